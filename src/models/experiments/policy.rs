use faer::Mat;
use faer::prelude::Solve as _;

/// A customer as an adaptive experiment logged them.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// The variant that they got.
    pub variant: usize,
    /// The probability that it had.
    pub probability: f64,
    /// What came of it.
    pub reward: f64,
    /// What was known of them before; the same number of numbers for everybody.
    pub context: Vec<f64>,
}

/// What a policy would have brought a customer, from what was logged under another.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct PolicyValue {
    /// By inverse propensity: unbiased (Horvitz and Thompson 1952).
    pub inverse_propensity: f64,
    /// The same over the sum of its weights: less variable (Hajek 1971).
    pub self_normalized: f64,
    /// With a linear model of the reward, corrected by what it got wrong (Dudik, Langford and Li 2011,
    /// "Doubly robust policy evaluation and learning").
    pub doubly_robust: f64,
    /// The standard error of the last.
    pub error: f64,
}

/// The value of giving everybody one variant. None if nobody got it.
#[must_use]
pub fn off_policy(logged: &[Logged], variant: usize) -> Option<PolicyValue> {
    let own: Vec<&Logged> =
        logged.iter().filter(|it| it.variant == variant && it.probability > 0.0).collect();
    if own.is_empty() {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "a number of customers")]
    let n = logged.len() as f64;
    let weights: f64 = own.iter().map(|it| 1.0 / it.probability).sum();
    let weighted: f64 = own.iter().map(|it| it.reward / it.probability).sum();
    let model = Linear::fit(&own);
    let values: Vec<f64> = logged
        .iter()
        .map(|it| {
            let expected = model.predict(&it.context);
            let is_own = it.variant == variant && it.probability > 0.0;
            expected + if is_own { (it.reward - expected) / it.probability } else { 0.0 }
        })
        .collect();
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some(PolicyValue {
        inverse_propensity: weighted / n,
        self_normalized: weighted / weights,
        doubly_robust: mean,
        error: (squares / (n - 1.0).max(1.0) / n).sqrt(),
    })
}

/// Ridge regression of the reward on the context.
struct Linear {
    weights: Vec<f64>,
}

/// The penalty: enough to solve it where contexts are alike.
const PENALTY: f64 = 1e-3;

impl Linear {
    fn fit(rows: &[&Logged]) -> Self {
        let width = 1 + rows.first().map_or(0, |row| row.context.len());
        let mut products = Mat::<f64>::zeros(width, width);
        let mut sums = Mat::<f64>::zeros(width, 1);
        for row in rows {
            let x = |place: usize| if place == 0 { 1.0 } else { row.context[place - 1] };
            for i in 0..width {
                sums[(i, 0)] += x(i) * row.reward;
                for j in 0..width {
                    products[(i, j)] += x(i) * x(j);
                }
            }
        }
        (1..width).for_each(|place| products[(place, place)] += PENALTY);
        let solved = products.partial_piv_lu().solve(&sums);
        Self { weights: (0..width).map(|place| solved[(place, 0)]).collect() }
    }

    fn predict(&self, context: &[f64]) -> f64 {
        let rest: f64 = self.weights[1..].iter().zip(context).map(|(w, x)| w * x).sum();
        self.weights[0] + rest
    }
}
