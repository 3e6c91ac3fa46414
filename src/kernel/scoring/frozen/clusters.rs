use serde::{Deserialize, Serialize};

use super::{Shares, largest, largest_at, softmax};

/// Centers; a row belongs to the nearest one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segments {
    names: Vec<String>,
    centers: Vec<Vec<f64>>,
}

/// Independent normal columns in each class: naive Bayes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianBayes {
    /// The classes; the second of two is the positive one.
    pub classes: Vec<String>,
    /// The share of each class in training.
    pub priors: Vec<f64>,
    /// The mean of each column in each class.
    pub means: Vec<Vec<f64>>,
    /// The variance of each column in each class.
    pub variances: Vec<Vec<f64>>,
}

/// Normal distributions with a full covariance each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mixture {
    /// Names of the components.
    pub names: Vec<String>,
    /// The share of each.
    pub weights: Vec<f64>,
    /// The mean of each.
    pub means: Vec<Vec<f64>>,
    /// The lower triangle, by rows, of the inverse of each covariance's Cholesky factor.
    pub whiteners: Vec<Vec<f64>>,
    /// Whether the score is how unlikely a row is (minus the log of its density), not the component.
    pub is_anomaly: bool,
}

/// Core points of DBSCAN with their clusters; a row that is near none is noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorePoints {
    /// Names of the clusters.
    pub names: Vec<String>,
    /// The points.
    pub points: Vec<Vec<f64>>,
    /// The cluster of each point.
    pub clusters: Vec<u32>,
    /// How near a row must be.
    pub radius: f64,
}

fn squared_distance(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn even(rows: &[Vec<f64>], n: usize, names: &[String]) -> Result<(), String> {
    let width = rows.first().map_or(0, Vec::len);
    if rows.is_empty() || rows.len() != n || names.len() != n {
        return Err("names and numbers of the model do not fit each other".to_owned());
    }
    if rows.iter().any(|row| row.len() != width) {
        return Err("the rows of the model have different lengths".to_owned());
    }
    super::are_finite("numbers", rows.iter().flatten())
}

/// The place of a class as a score.
fn as_score(place: usize) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a small number of clusters")]
    let score = place as f64;
    score
}

impl Segments {
    /// Segments of their centers.
    #[must_use]
    pub const fn new(names: Vec<String>, centers: Vec<Vec<f64>>) -> Self {
        Self { names, centers }
    }

    /// The centers.
    #[must_use]
    pub fn centers(&self) -> &[Vec<f64>] {
        &self.centers
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn width(&self) -> usize {
        self.centers.first().map_or(0, Vec::len)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        even(&self.centers, self.centers.len(), &self.names)
    }

    pub(super) fn score(&self, row: &[f64]) -> f64 {
        as_score(self.nearest(row))
    }

    /// The place of the nearest center, the first of equally near ones.
    #[must_use]
    pub fn nearest(&self, row: &[f64]) -> usize {
        let mut best = (0, f64::INFINITY);
        for (place, center) in self.centers.iter().enumerate() {
            let distance = squared_distance(center, row);
            if distance < best.1 {
                best = (place, distance);
            }
        }
        best.0
    }

    /// 1 for the segment of a row, 0 for others.
    pub(super) fn shares(&self, row: &[f64]) -> Shares {
        let nearest = self.nearest(row);
        (0..self.centers.len()).map(|place| f64::from(u8::from(place == nearest))).collect()
    }
}

impl GaussianBayes {
    pub(super) fn width(&self) -> usize {
        self.means.first().map_or(0, Vec::len)
    }

    /// The classes.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        // Two classes are one score.
        if self.classes.len() == 2 { &[] } else { &self.classes }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        even(&self.means, self.classes.len(), &self.classes)?;
        even(&self.variances, self.classes.len(), &self.classes)?;
        let is_positive = |number: &f64| *number > 0.0;
        let is_even = self.priors.len() == self.classes.len()
            && self.means[0].len() == self.variances[0].len();
        match is_even && self.variances.iter().flatten().chain(&self.priors).all(is_positive) {
            true => Ok(()),
            false => {
                Err("naive Bayes needs a share and variances above 0 of each class".to_owned())
            }
        }
    }

    pub(super) fn probabilities(&self, row: &[f64]) -> Shares {
        let classes = self.priors.iter().zip(self.means.iter().zip(&self.variances));
        let density = |(prior, (means, variances)): (&f64, (&Vec<f64>, &Vec<f64>))| {
            means.iter().zip(variances).zip(row).fold(prior.ln(), |sum, ((mean, variance), x)| {
                sum - 0.5 * (variance.ln() + (x - mean) * (x - mean) / variance)
            })
        };
        softmax(classes.map(density).collect())
    }

    pub(super) fn score(&self, row: &[f64]) -> f64 {
        let probabilities = self.probabilities(row);
        match probabilities.as_slice() {
            [_, positive] => *positive,
            all => largest(all),
        }
    }
}

impl Mixture {
    pub(super) fn width(&self) -> usize {
        self.means.first().map_or(0, Vec::len)
    }

    /// The components; none of an anomaly score.
    #[must_use]
    pub fn names(&self) -> &[String] {
        if self.is_anomaly { &[] } else { &self.names }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        even(&self.means, self.names.len(), &self.names)?;
        let triangle = self.width() * (self.width() + 1) / 2;
        let fits = self.weights.len() == self.means.len()
            && self.whiteners.len() == self.means.len()
            && self.whiteners.iter().all(|whitener| whitener.len() == triangle);
        if !fits || self.weights.iter().any(|weight| *weight <= 0.0) {
            return Err("the components of the mixture do not fit each other".to_owned());
        }
        super::are_finite("numbers", self.whiteners.iter().flatten().chain(&self.weights))
    }

    /// The log of each component's weighted density at a row.
    fn densities(&self, row: &[f64]) -> Shares {
        let width = self.width();
        #[allow(clippy::cast_precision_loss, reason = "a number of columns")]
        let constant = width as f64 * std::f64::consts::TAU.ln() / 2.0;
        let components = self.weights.iter().zip(self.means.iter().zip(&self.whiteners));
        let density = |(weight, (mean, whitener)): (&f64, (&Vec<f64>, &Vec<f64>))| {
            let mut sum = weight.ln() - constant;
            let mut start = 0;
            for size in 1..=width {
                let line = &whitener[start..start + size];
                let white: f64 =
                    line.iter().zip(row.iter().zip(mean)).map(|(l, (x, m))| l * (x - m)).sum();
                sum += line[size - 1].abs().max(f64::MIN_POSITIVE).ln() - 0.5 * white * white;
                start += size;
            }
            sum
        };
        components.map(density).collect()
    }

    /// The log of the density at a row.
    #[must_use]
    pub fn log_density(&self, row: &[f64]) -> f64 {
        let densities = self.densities(row);
        let most = densities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + densities.iter().map(|density| (density - most).exp()).sum::<f64>().ln()
    }

    pub(super) fn score(&self, row: &[f64]) -> f64 {
        if self.is_anomaly {
            return -self.log_density(row);
        }
        as_score(largest_at(&self.densities(row)))
    }

    /// The probability of each component at a row.
    #[must_use]
    pub fn shares(&self, row: &[f64]) -> Shares {
        softmax(self.densities(row))
    }
}

impl CorePoints {
    pub(super) fn width(&self) -> usize {
        self.points.first().map_or(0, Vec::len)
    }

    /// The clusters, and noise last.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let n_clusters = self.names.len().saturating_sub(1);
        let fits = self.clusters.len() == self.points.len()
            && self.clusters.iter().all(|cluster| (*cluster as usize) < n_clusters)
            && self.points.iter().all(|point| point.len() == self.width())
            && self.radius > 0.0;
        if !fits {
            return Err("the core points do not fit their clusters".to_owned());
        }
        super::are_finite("points", self.points.iter().flatten())
    }

    /// The cluster of a row, or the number after the last one for noise.
    pub(super) fn cluster(&self, row: &[f64]) -> usize {
        let mut best = (self.names.len().saturating_sub(1), self.radius * self.radius);
        for (point, cluster) in self.points.iter().zip(&self.clusters) {
            let distance = squared_distance(point, row);
            if distance < best.1 {
                best = (*cluster as usize, distance);
            }
        }
        best.0
    }

    pub(super) fn score(&self, row: &[f64]) -> f64 {
        as_score(self.cluster(row))
    }

    pub(super) fn shares(&self, row: &[f64]) -> Shares {
        let own = self.cluster(row);
        (0..self.names.len()).map(|place| f64::from(u8::from(place == own))).collect()
    }
}
