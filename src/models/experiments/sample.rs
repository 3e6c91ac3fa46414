/// Means and covariances of what was measured of the customers of a variant: the metric, the denominator if
/// it is a ratio, and the same metric before the exposure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// Customers.
    pub n: f64,
    mean: [f64; 3],
    /// Sums of products of deviations from the means.
    products: [[f64; 3]; 3],
}

const METRIC: usize = 0;
const DENOMINATOR: usize = 1;
const BEFORE: usize = 2;

/// The mean of a metric in a variant, with the variance of one customer's share of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Customers.
    pub n: f64,
    /// The mean, adjusted if there is something to adjust by.
    pub mean: f64,
    /// The mean as it was measured.
    pub unadjusted: f64,
    /// The variance of one customer's share of the mean.
    pub variance: f64,
}

impl Moments {
    /// Takes one customer: metric, denominator (anything where there is none), and the metric before. Means
    /// and products are updated one by one (Welford 1962), which loses no digits.
    pub fn add(&mut self, metric: f64, denominator: f64, before: f64) {
        self.n += 1.0;
        let values = [metric, denominator, before];
        let mut deviations = [0.0; 3];
        for (place, value) in values.into_iter().enumerate() {
            deviations[place] = value - self.mean[place];
            self.mean[place] += deviations[place] / self.n;
        }
        for (row, deviation) in deviations.into_iter().enumerate() {
            for (column, value) in values.into_iter().enumerate() {
                self.products[row][column] += deviation * (value - self.mean[column]);
            }
        }
    }

    /// Those of both (Chan, Golub and LeVeque 1983).
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        let n = self.n + other.n;
        if n == 0.0 {
            return *self;
        }
        let mut merged = Self { n, ..Self::default() };
        let deviation = |place: usize| other.mean[place] - self.mean[place];
        for row in 0..3 {
            merged.mean[row] = self.mean[row] + deviation(row) * other.n / n;
            for column in 0..3 {
                merged.products[row][column] = self.products[row][column]
                    + other.products[row][column]
                    + deviation(row) * deviation(column) * self.n * other.n / n;
            }
        }
        merged
    }

    fn covariance(&self, row: usize, column: usize) -> f64 {
        if self.n > 1.0 { self.products[row][column] / (self.n - 1.0) } else { 0.0 }
    }

    /// The mean of the metric, and its variance.
    #[must_use]
    pub fn plain(&self) -> Estimate {
        let (mean, variance) = (self.mean[METRIC], self.covariance(METRIC, METRIC));
        Estimate { n: self.n, mean, unadjusted: mean, variance }
    }

    /// The sum of the metric over the sum of the denominator, with its variance by the delta method (Deng,
    /// Knoblich and Lu 2018, "Applying the delta method in metric analytics").
    #[must_use]
    pub fn ratio(&self) -> Estimate {
        let (metric, denominator) = (self.mean[METRIC], self.mean[DENOMINATOR]);
        if denominator == 0.0 {
            return Estimate { n: self.n, mean: 0.0, unadjusted: 0.0, variance: 0.0 };
        }
        let ratio = metric / denominator;
        let variance = (self.covariance(METRIC, METRIC)
            - 2.0 * ratio * self.covariance(METRIC, DENOMINATOR)
            + ratio * ratio * self.covariance(DENOMINATOR, DENOMINATOR))
            / (denominator * denominator);
        Estimate { n: self.n, mean: ratio, unadjusted: ratio, variance: variance.max(0.0) }
    }

    /// The mean of the metric less what was there before, with `theta` of it (CUPED: Deng, Xu, Kohavi and
    /// Walker 2013, "Improving the sensitivity of online controlled experiments by utilizing pre-experiment
    /// data").
    #[must_use]
    pub fn adjusted(&self, theta: f64) -> Estimate {
        let variance = self.covariance(METRIC, METRIC)
            + theta * theta * self.covariance(BEFORE, BEFORE)
            - 2.0 * theta * self.covariance(METRIC, BEFORE);
        Estimate {
            n: self.n,
            mean: self.mean[METRIC] - theta * self.mean[BEFORE],
            unadjusted: self.mean[METRIC],
            variance: variance.max(0.0),
        }
    }

    /// The correlation of the metric with the one before; 0 where one of them does not vary.
    #[must_use]
    pub fn correlation(&self) -> f64 {
        let scale = (self.covariance(METRIC, METRIC) * self.covariance(BEFORE, BEFORE)).sqrt();
        if scale > 0.0 { self.covariance(METRIC, BEFORE) / scale } else { 0.0 }
    }
}

/// How much of the metric before explains the metric, over both variants: one number for both, so that the
/// difference of the means stays unbiased.
#[must_use]
pub fn theta(control: &Moments, treatment: &Moments) -> f64 {
    let both = control.merged(treatment);
    let before = both.covariance(BEFORE, BEFORE);
    if before > 0.0 { both.covariance(METRIC, BEFORE) / before } else { 0.0 }
}
