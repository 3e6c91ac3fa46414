/// The items of customers: sparse rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interactions {
    /// The number of items.
    pub n_items: usize,
    /// For each customer, places of items and how often; each item once.
    pub rows: Vec<Vec<(u32, f32)>>,
}

impl Interactions {
    /// How many customers had each item.
    #[must_use]
    pub fn counts(&self) -> Vec<f64> {
        let mut counts = vec![0.0; self.n_items];
        self.rows.iter().flatten().for_each(|(item, _)| counts[*item as usize] += 1.0);
        counts
    }

    /// How popular each item is: the share of customers who had it.
    #[must_use]
    pub fn popularity(&self) -> Vec<f64> {
        #[allow(clippy::cast_precision_loss, reason = "a number of customers")]
        let n = self.rows.len().max(1) as f64;
        self.counts().into_iter().map(|count| count / n).collect()
    }

    /// The customers of each item, and how often.
    #[must_use]
    pub fn by_item(&self) -> Self {
        let mut rows = vec![Vec::new(); self.n_items];
        for (customer, items) in (0_u32..).zip(&self.rows) {
            for (item, amount) in items {
                rows[*item as usize].push((customer, *amount));
            }
        }
        Self { n_items: self.rows.len(), rows }
    }
}
