use serde::{Deserialize, Serialize};

/// Items that a customer may want next, from the items of their timeline.
///
/// The row has a number for each item: how much the customer had to do with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recommender {
    /// The items, in the order of the row.
    pub items: Vec<String>,
    /// The category of each item; none where none is known.
    pub categories: Vec<Option<String>>,
    /// How popular each item is, between 0 and 1; for customers of whom nothing is known.
    pub popularity: Vec<f64>,
    /// Whether items that a customer has had already are recommended again.
    pub repeats: bool,
    /// What items have to do with each other.
    pub neighbors: Neighbors,
}

/// How a score of an item follows from the items that a customer had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Neighbors {
    /// Weights between items, the strongest of each (EASE, item-item cosine).
    Weights {
        /// For each item, the places of the items that speak for others.
        places: Vec<Vec<u32>>,
        /// How much it speaks for each of them.
        weights: Vec<Vec<f32>>,
        /// Whether only having had an item counts, not how often.
        is_binary: bool,
    },
    /// A vector an item; a customer's vector is solved for at once (implicit ALS: Hu, Koren and Volinsky
    /// 2008).
    Factors {
        /// The numbers of a vector.
        size: usize,
        /// The vectors, one after the other.
        vectors: Vec<f32>,
        /// The sum over items of a vector times itself, row by row.
        gram: Vec<f64>,
        /// L2 penalty of a customer's vector.
        regularization: f64,
        /// How much more an item that was had weighs than one that was not.
        confidence: f64,
    },
    /// What a customer had before, most of it first; then what is popular.
    BuyAgain,
}

/// What is asked of recommendations.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// The most items.
    pub limit: usize,
    /// Items that must not be among them: out of stock, on the page already.
    pub exclude: Vec<String>,
    /// The only items that may be; none asked for means all.
    pub only: Vec<String>,
    /// The only categories; none asked for means all.
    pub categories: Vec<String>,
    /// Whether items that the customer had may be recommended; none means as the model says.
    pub repeats: Option<bool>,
    /// From 0, best first whatever they are, to 1, one of each category first: each item of a category
    /// that is there already counts `1 - diversity` times less.
    pub diversity: f64,
}

/// An item for a customer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    /// The item.
    pub item: String,
    /// How much speaks for it.
    pub score: f64,
    /// The item of the customer that speaks most for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            limit: 10,
            exclude: Vec::new(),
            only: Vec::new(),
            categories: Vec::new(),
            repeats: None,
            diversity: 0.0,
        }
    }
}

impl Recommender {
    pub(super) fn width(&self) -> usize {
        self.items.len()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let n = self.items.len();
        let unfit = |what: &str| Err(format!("the {what} of the recommender do not fit its items"));
        if n == 0 || self.categories.len() != n || self.popularity.len() != n {
            return unfit("lists");
        }
        super::are_finite("popularity", self.popularity.iter())?;
        match &self.neighbors {
            Neighbors::Weights { places, weights, .. } => {
                let mut lists = places.iter().zip(weights);
                let fits = |(places, weights): (&Vec<u32>, &Vec<f32>)| {
                    places.len() == weights.len()
                        && places.iter().all(|place| (*place as usize) < n)
                        && weights.iter().all(|weight| weight.is_finite())
                };
                if places.len() != n || weights.len() != n || !lists.all(fits) {
                    return unfit("weights");
                }
            }
            Neighbors::Factors { size, vectors, gram, regularization, confidence } => {
                let fits = Some(vectors.len()) == n.checked_mul(*size)
                    && Some(gram.len()) == size.checked_mul(*size)
                    && *regularization > 0.0
                    && *confidence >= 0.0;
                if !fits || vectors.iter().any(|number| !number.is_finite()) {
                    return unfit("vectors");
                }
                super::are_finite("sums", gram.iter())?;
            }
            Neighbors::BuyAgain => {}
        }
        Ok(())
    }

    /// The scores of all items, and how much each of the customer's items speaks for any.
    #[must_use]
    pub fn scores(&self, row: &[f64]) -> Vec<f64> {
        let had = || row.iter().copied().enumerate().filter(|(_, amount)| *amount > 0.0);
        if had().next().is_none() {
            return self.popularity.clone();
        }
        match &self.neighbors {
            Neighbors::Weights { places, weights, is_binary } => {
                let mut scores = vec![0.0; self.items.len()];
                for (item, amount) in had() {
                    let amount = if *is_binary { 1.0 } else { amount };
                    for (place, weight) in places[item].iter().zip(&weights[item]) {
                        scores[*place as usize] += amount * f64::from(*weight);
                    }
                }
                scores
            }
            Neighbors::Factors { size, vectors, .. } => {
                let customer = self.customer_vector(row);
                let dot = |vector: &[f32]| {
                    vector.iter().zip(&customer).map(|(v, c)| f64::from(*v) * c).sum::<f64>()
                };
                vectors.chunks_exact((*size).max(1)).map(dot).collect()
            }
            Neighbors::BuyAgain => {
                // What is popular breaks ties and comes after everything that was had.
                row.iter().zip(&self.popularity).map(|(own, popular)| own + popular * 0.5).collect()
            }
        }
    }

    /// The vector of a customer, exactly: of the normal equations of their own items.
    fn customer_vector(&self, row: &[f64]) -> Vec<f64> {
        let Neighbors::Factors { size, vectors, gram, regularization, confidence } =
            &self.neighbors
        else {
            return Vec::new();
        };
        let size = *size;
        let mut system = gram.clone();
        let mut right = vec![0.0; size];
        (0..size).for_each(|place| system[place * size + place] += regularization);
        for (item, amount) in row.iter().enumerate().filter(|(_, amount)| **amount > 0.0) {
            let vector = &vectors[item * size..(item + 1) * size];
            let more = confidence * amount;
            for (line, own) in vector.iter().enumerate() {
                let own = f64::from(*own);
                right[line] += (1.0 + more) * own;
                let line = &mut system[line * size..(line + 1) * size];
                line.iter_mut().zip(vector).for_each(|(s, v)| *s += more * own * f64::from(*v));
            }
        }
        solve(&mut system, &mut right, size);
        right
    }

    /// The score of the best item.
    pub(super) fn best_score(&self, row: &[f64]) -> f64 {
        let wish = Wish { limit: 1, ..Wish::default() };
        self.recommend(row, &wish).first().map_or(0.0, |best| best.score)
    }

    /// Items for a customer, best first; equal ones in the order of the items.
    #[must_use]
    pub fn recommend(&self, row: &[f64], wish: &Wish) -> Vec<Recommendation> {
        let mut scores = self.scores(row);
        let repeats = wish.repeats.unwrap_or(self.repeats);
        let is_wanted = |place: usize| {
            let item = &self.items[place];
            let category = self.categories[place].as_ref();
            (repeats || row.get(place).is_none_or(|had| *had <= 0.0))
                && !wish.exclude.contains(item)
                && (wish.only.is_empty() || wish.only.contains(item))
                && (wish.categories.is_empty()
                    || category.is_some_and(|category| wish.categories.contains(category)))
        };
        let mut places: Vec<usize> = (0..scores.len()).filter(|place| is_wanted(*place)).collect();
        let mut chosen: Vec<Recommendation> = Vec::new();
        let kept = 1.0 - wish.diversity.clamp(0.0, 1.0);
        let best = |scores: &[f64], places: &[usize]| {
            let order = |left: &usize, right: &usize| {
                scores[*left].total_cmp(&scores[*right]).then(right.cmp(left))
            };
            places.iter().copied().max_by(order)
        };
        if kept >= 1.0 {
            let order = |l: &usize, r: &usize| scores[*r].total_cmp(&scores[*l]).then(l.cmp(r));
            if places.len() > wish.limit && wish.limit > 0 {
                places.select_nth_unstable_by(wish.limit - 1, order);
            }
            places.truncate(wish.limit);
            places.sort_unstable_by(order);
            return places
                .iter()
                .map(|place| self.explained(*place, scores[*place], row))
                .collect();
        }
        let own = scores.clone();
        while chosen.len() < wish.limit {
            let Some(next) = best(&scores, &places) else { break };
            places.retain(|place| *place != next);
            chosen.push(self.explained(next, own[next], row));
            let Some(category) = &self.categories[next] else { continue };
            for place in &places {
                if self.categories[*place].as_ref() == Some(category) {
                    // A score below 0 is moved down, too.
                    let score = &mut scores[*place];
                    *score -= (1.0 - kept) * score.abs();
                }
            }
        }
        chosen
    }

    fn explained(&self, place: usize, score: f64, row: &[f64]) -> Recommendation {
        Recommendation {
            item: self.items[place].clone(),
            score,
            because: self.because(place, row).map(|item| self.items[item].clone()),
        }
    }

    /// The item of a customer that speaks most for another.
    fn because(&self, place: usize, row: &[f64]) -> Option<usize> {
        let target = u32::try_from(place).ok()?;
        let had = row.iter().enumerate().filter(|(_, amount)| **amount > 0.0);
        let speaks = |item: usize| match &self.neighbors {
            Neighbors::Weights { places, weights, .. } => {
                let at = places[item].iter().position(|place| *place == target)?;
                Some(f64::from(weights[item][at]))
            }
            Neighbors::Factors { size, vectors, .. } => {
                let vector = |item: usize| &vectors[item * size..(item + 1) * size];
                let pairs = vector(item).iter().zip(vector(place));
                Some(pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum())
            }
            Neighbors::BuyAgain => None,
        };
        let all = had.filter_map(|(item, _)| Some((item, speaks(item)?)));
        let (item, weight) = all.max_by(|left, right| left.1.total_cmp(&right.1))?;
        (weight > 0.0).then_some(item)
    }
}

/// Solves a small symmetric positive definite system in place, by Cholesky's factors.
fn solve(system: &mut [f64], right: &mut [f64], size: usize) {
    for line in 0..size {
        for column in 0..=line {
            let products = (0..column).map(|k| system[line * size + k] * system[column * size + k]);
            let rest = system[line * size + column] - products.sum::<f64>();
            system[line * size + column] = match line == column {
                true => rest.max(f64::MIN_POSITIVE).sqrt(),
                false => rest / system[column * size + column],
            };
        }
    }
    for line in 0..size {
        let known: f64 = (0..line).map(|k| system[line * size + k] * right[k]).sum();
        right[line] = (right[line] - known) / system[line * size + line];
    }
    for line in (0..size).rev() {
        let known: f64 = (line + 1..size).map(|k| system[k * size + line] * right[k]).sum();
        right[line] = (right[line] - known) / system[line * size + line];
    }
}
