use std::collections::BTreeSet;

use kernel::domain::Job;
use kernel::scoring::{CorePoints, Encoder, Encoding, FrozenModel, Mixture, Segments};
use linfa::traits::Fit as _;
use serde::{Deserialize, Serialize};

use super::evaluate::scores;
use crate::data::{Prepared, TrainingSet, learnable, matrix, numbers};
use crate::estimators::{KMeans, Trained};
use crate::evaluation::silhouette;
use crate::{Algorithm, ModelSpec, Result, Task};

/// What is different in a segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentProfile {
    /// Its name: what differs most.
    pub name: String,
    /// Training rows in it.
    #[serde(default)]
    pub rows: usize,
    /// Distinct customers of these rows. A customer with rows at several times can be in several segments.
    pub customers: usize,
    /// For each feature: its mean here and everywhere, and how many standard deviations lie between; those
    /// that differ most first.
    pub features: Vec<(String, f64, f64, f64)>,
}

/// Numbers of clusters that are tried.
const CLUSTERS: std::ops::RangeInclusive<usize> = 2..=8;
/// Rows that they are tried on.
const ROWS: usize = 1_500;
/// Features of a profile.
const SHOWN: usize = 8;
/// Standard deviations from which on a feature names a segment.
const TELLING: f64 = 0.3;

/// A spec with a number of clusters: where it has none, the one whose clusters are farthest apart.
pub(super) fn with_clusters(spec: &ModelSpec, prepared: &Prepared, job: &Job) -> Result<ModelSpec> {
    let is_open = spec.task == Task::Clustering
        && spec.model.clusters.is_none()
        && matches!(spec.model.algorithm, Algorithm::KMeans | Algorithm::GaussianMixture);
    let n = prepared.x.nrows();
    if !is_open || n < 2 * CLUSTERS.end() {
        return Ok(spec.clone());
    }
    let stride = n.div_ceil(ROWS).max(1);
    let places: Vec<usize> = (0..n).step_by(stride).collect();
    let x = prepared.x.select(ndarray::Axis(0), &places);
    let rows: Vec<Vec<f64>> = x.rows().into_iter().map(|row| row.to_vec()).collect();
    let mut best = (f64::NEG_INFINITY, *CLUSTERS.start());
    for clusters in CLUSTERS {
        let data = learnable(x.clone(), vec![0.0; rows.len()], false);
        let k_means = KMeans { clusters, starts: 3, seed: spec.model.seed, job };
        let Trained(FrozenModel::Segments(segments)) = k_means.fit(&data)? else { continue };
        let own: Vec<usize> = rows.iter().map(|row| segments.nearest(row)).collect();
        let width = silhouette(&rows, &own);
        if width > best.0 {
            best = (width, clusters);
        }
    }
    let mut spec = spec.clone();
    spec.model.clusters = Some(best.1);
    Ok(spec)
}

/// Names the segments of a model by what differs in them, and says what does.
pub(super) fn name(
    set: &TrainingSet,
    rows: &[usize],
    encoder: &Encoder,
    model: &mut FrozenModel,
) -> Vec<SegmentProfile> {
    let x = matrix(set, rows, encoder);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place")]
    let own: Vec<usize> = scores(model, &x).into_iter().map(|score| score as usize).collect();
    let n_segments = own.iter().max().map_or(0, |last| last + 1);
    // Means of the features as people know them, not as they are encoded.
    let features = features(set, rows, encoder);
    let customers: Vec<&str> = rows.iter().map(|row| set.customers[*row].as_ref()).collect();
    let profile = |segment| profile(&features, &customers, &own, segment);
    let mut profiles: Vec<SegmentProfile> = (0..n_segments).map(profile).collect();
    for place in 0..profiles.len() {
        let twins = profiles[..place].iter().filter(|p| p.name == profiles[place].name).count();
        if twins > 0 {
            profiles[place].name = format!("{} ({})", profiles[place].name, twins + 1);
        }
    }
    rename(model, &profiles);
    profiles
}

/// The numbers of features, and of columns of categories, of each row.
fn features(set: &TrainingSet, rows: &[usize], encoder: &Encoder) -> Vec<(String, Vec<f64>)> {
    let mut features = Vec::new();
    for (column, values) in encoder.columns.iter().zip(&set.features.values) {
        match &column.encoding {
            Encoding::Dropped => {}
            Encoding::OneHot { categories, .. } => {
                for category in categories {
                    let own = rows.iter().map(|row| {
                        f64::from(u8::from(values.value(*row).to_string() == *category))
                    });
                    features.push((format!("{} = {category}", column.feature), own.collect()));
                }
            }
            _ => features.push((column.feature.clone(), numbers(values, rows))),
        }
    }
    features
}

fn profile(
    features: &[(String, Vec<f64>)],
    customers: &[&str],
    own: &[usize],
    segment: usize,
) -> SegmentProfile {
    let rows = own.iter().filter(|own| **own == segment).count();
    let of_segment = customers.iter().zip(own).filter(|(_, own)| **own == segment);
    let n_customers = of_segment.map(|(customer, _)| *customer).collect::<BTreeSet<&str>>().len();
    let mut differences: Vec<(String, f64, f64, f64)> = features
        .iter()
        .filter_map(|(name, numbers)| {
            let mean = |is_in: &dyn Fn(usize) -> bool| {
                let known =
                    numbers.iter().enumerate().filter(|(at, x)| is_in(*at) && x.is_finite());
                let (sum, n) = known.fold((0.0, 0.0), |(sum, n), (_, x)| (sum + x, n + 1.0));
                sum / n
            };
            let (here, everywhere) = (mean(&|at| own[at] == segment), mean(&|_| true));
            let squares =
                numbers.iter().filter(|x| x.is_finite()).map(|x| (x - everywhere).powi(2));
            #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
            let spread = (squares.sum::<f64>() / numbers.len() as f64).sqrt();
            let difference = (here - everywhere) / spread;
            difference.is_finite().then(|| (name.clone(), here, everywhere, difference))
        })
        .collect();
    differences.sort_by(|left, right| right.3.abs().total_cmp(&left.3.abs()));
    let words: Vec<String> = differences
        .iter()
        .take(2)
        .filter(|(.., difference)| difference.abs() >= TELLING)
        .map(|(name, .., difference)| {
            format!("{} {name}", if *difference > 0.0 { "high" } else { "low" })
        })
        .collect();
    let name = if words.is_empty() { "average".to_owned() } else { words.join(", ") };
    differences.truncate(SHOWN);
    SegmentProfile { name, rows, customers: n_customers, features: differences }
}

fn rename(model: &mut FrozenModel, profiles: &[SegmentProfile]) {
    let name = |place: usize, old: &str| match profiles.get(place) {
        Some(profile) if old != "none" => profile.name.clone(),
        _ => old.to_owned(),
    };
    let renamed = |names: &[String]| -> Vec<String> {
        names.iter().enumerate().map(|(place, old)| name(place, old)).collect()
    };
    match model {
        FrozenModel::Segments(segments) => {
            *segments = Segments::new(renamed(segments.names()), segments.centers().to_vec());
        }
        FrozenModel::Mixture(mixture) => {
            let names = renamed(&mixture.names);
            *mixture = Mixture { names, ..mixture.clone() };
        }
        FrozenModel::CorePoints(points) => {
            let names = renamed(&points.names);
            *points = CorePoints { names, ..points.clone() };
        }
        FrozenModel::Projected { model, .. } => rename(model, profiles),
        _ => {}
    }
}
