use serde::{Deserialize, Serialize};

/// How often a customer will buy (BG/NBD), and for how much (Gamma-Gamma).
///
/// A row has the number of repeat purchases, the days from the first to the last purchase, the days since
/// the first one, and perhaps the mean value of the repeat purchases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifetime {
    /// When customers buy, and when they have left.
    pub purchases: BetaGeometric,
    /// What a purchase is worth; without it the score is the number of purchases.
    pub value: Option<GammaGamma>,
    /// Where in a row the numbers are, in that order.
    pub columns: Vec<usize>,
    /// The numbers of a row.
    pub width: usize,
    /// Days of a unit of time.
    pub unit_days: f64,
    /// How far ahead, in units.
    pub horizon: f64,
}

/// BG/NBD: purchases are Poisson while a customer is alive, and each may be the last one (Fader, Hardie
/// and Lee 2005).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BetaGeometric {
    /// Shape of the purchase rates over customers.
    pub r: f64,
    /// Scale of them: a mean rate is `r / alpha`.
    pub alpha: f64,
    /// Of the chance to leave after a purchase: its mean is `a / (a + b)`.
    pub a: f64,
    /// The other parameter of that.
    pub b: f64,
}

/// Gamma-Gamma: the values of a customer's purchases vary about their own mean, and the means over
/// customers (Fader and Hardie 2013).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GammaGamma {
    /// Shape of the values of one customer.
    pub p: f64,
    /// Shape of the customers' scales.
    pub q: f64,
    /// Scale of those.
    pub v: f64,
}

/// The most terms of a hypergeometric series; it converges long before.
const MOST_TERMS: u32 = 20_000;

impl BetaGeometric {
    /// The probability that a customer has not left.
    #[must_use]
    pub fn alive(&self, frequency: f64, recency: f64, age: f64) -> f64 {
        if frequency <= 0.0 {
            return 1.0;
        }
        1.0 / (1.0 + self.odds_of_leaving(frequency, recency, age))
    }

    fn odds_of_leaving(&self, frequency: f64, recency: f64, age: f64) -> f64 {
        let Self { r, alpha, a, b } = *self;
        let ratio = ((alpha + age) / (alpha + recency)).ln() * (r + frequency);
        a / (b + frequency - 1.0).max(f64::MIN_POSITIVE) * ratio.exp()
    }

    /// Purchases that are expected within a time (Fader, Hardie and Lee 2005, equation 10).
    #[must_use]
    pub fn expected(&self, frequency: f64, recency: f64, age: f64, within: f64) -> f64 {
        let Self { r, alpha, a, b } = *self;
        let x = frequency.max(0.0);
        let z = within / (alpha + age + within);
        let series = hypergeometric(r + x, b + x, a + b + x - 1.0, z);
        let shrink = ((alpha + age) / (alpha + age + within)).ln() * (r + x);
        // At a = 1 both parts vanish together; beside it they do not cancel badly.
        let a_less_one = if (a - 1.0).abs() < 1e-7 { 1e-7 } else { a - 1.0 };
        let purchases = (a + b + x - 1.0) / a_less_one * (1.0 - shrink.exp() * series);
        let leaving = if x > 0.0 { self.odds_of_leaving(x, recency, age) } else { 0.0 };
        purchases / (1.0 + leaving)
    }
}

/// Gauss' hypergeometric function by its series, for `0 <= z < 1`.
fn hypergeometric(a: f64, b: f64, c: f64, z: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for place in 0..MOST_TERMS {
        let n = f64::from(place);
        term *= (a + n) * (b + n) / ((c + n) * (n + 1.0)) * z;
        sum += term;
        if term.abs() <= 1e-16 * sum.abs() || !sum.is_finite() {
            break;
        }
    }
    sum
}

impl GammaGamma {
    /// The mean value of a customer's next purchases.
    #[must_use]
    pub fn expected(&self, frequency: f64, mean: f64) -> f64 {
        let Self { p, q, v } = *self;
        let own = p * frequency / (p * frequency + q - 1.0);
        let everybody = v * p / (q - 1.0);
        if frequency > 0.0 && mean > 0.0 { (1.0 - own) * everybody + own * mean } else { everybody }
    }
}

impl Lifetime {
    pub(super) fn check(&self) -> Result<(), String> {
        let BetaGeometric { r, alpha, a, b } = self.purchases;
        let value = self.value.map_or([1.0; 3], |GammaGamma { p, q, v }| [p, q, v]);
        let all = [r, alpha, a, b, self.unit_days, self.horizon];
        if !(3..=4).contains(&self.columns.len()) || self.columns.iter().any(|c| *c >= self.width) {
            return Err("a lifetime value reads three or four numbers of a row".to_owned());
        }
        if self.value.is_some_and(|value| value.q <= 1.0) {
            return Err("the values of a lifetime value have no mean: q must be above 1".to_owned());
        }
        match all.iter().chain(&value).all(|number| number.is_finite() && *number > 0.0) {
            true => Ok(()),
            false => Err("the parameters of a lifetime value must be above 0".to_owned()),
        }
    }

    /// The value of a customer within the horizon, or the number of purchases.
    pub(super) fn value(&self, row: &[f64]) -> f64 {
        let number = |place: usize| {
            let column = self.columns.get(place);
            column
                .and_then(|column| row.get(*column))
                .copied()
                .filter(|x| x.is_finite())
                .unwrap_or(0.0)
                .max(0.0)
        };
        let [frequency, recency, age, mean] = [0, 1, 2, 3].map(number);
        let (recency, age) = (recency / self.unit_days, age / self.unit_days);
        let recency = recency.min(age);
        let purchases = self.purchases.expected(frequency, recency, age, self.horizon);
        match &self.value {
            Some(value) => purchases * value.expected(frequency, mean),
            None => purchases,
        }
    }
}
