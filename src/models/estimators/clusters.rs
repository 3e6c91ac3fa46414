use kernel::domain::Job;
use kernel::scoring::{CorePoints, FrozenModel};
use linfa::traits::{Fit, Transformer as _};
use linfa_clustering::Dbscan as LinfaDbscan;
use ndarray::{Array1, Array2};
use rayon::prelude::*;

use super::{Data, Trained};
use crate::{Error, Result};

/// Dense regions (Ester et al. 1996). linfa finds them; what is kept for new rows are the core points.
#[derive(Clone, Copy, Debug)]
pub struct Dbscan<'j> {
    /// How near rows of a dense region are.
    pub radius: f64,
    /// Rows within the radius that make a row a core point.
    pub min_rows: usize,
    /// What can be canceled.
    pub job: &'j Job,
}

/// Rows that are learned from; more are sampled evenly, and a score reads all core points.
const MOST_ROWS: usize = 5_000;
/// Numbers beyond this have no finite square.
const FARTHEST: f64 = 1e150;

impl Fit<Array2<f64>, Array1<f64>, Error> for Dbscan<'_> {
    type Object = Trained;

    /// Targets are not read.
    fn fit(&self, data: &Data) -> Result<Trained> {
        let (n, d) = data.records().dim();
        let stride = n.div_ceil(MOST_ROWS).max(1);
        let places: Vec<usize> = (0..n).step_by(stride).collect();
        let rows = Array2::from_shape_fn((places.len(), d), |(row, column)| {
            data.records()[(places[row], column)]
        });
        // linfa's search for neighbors panics where distances are not finite.
        if rows.iter().any(|x| x.is_nan() || x.abs() > FARTHEST) {
            let message = "a number is missing, or too large to square; scale the columns";
            return Err(Error::Data(message.to_owned()));
        }
        let min_rows = self.min_rows.max(2);
        let found = LinfaDbscan::params(min_rows)
            .tolerance(self.radius)
            .transform(&rows)
            .map_err(|error| Error::Training(error.to_string()))?;
        if self.job.is_canceled() {
            return Err(Error::Canceled);
        }
        let squared = self.radius * self.radius;
        let near = |left: usize, right: usize| {
            let pairs = rows.row(left).into_iter().zip(rows.row(right));
            pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>() < squared
        };
        let is_core: Vec<bool> = (0..rows.nrows())
            .into_par_iter()
            .map(|row| {
                (0..rows.nrows()).filter(|other| near(row, *other)).nth(min_rows - 1).is_some()
            })
            .collect();
        let core = (0..rows.nrows()).filter(|row| is_core[*row]);
        let (mut points, mut clusters) = (Vec::new(), Vec::new());
        for (row, cluster) in core.filter_map(|row| Some((row, found[row]?))) {
            points.push(rows.row(row).to_vec());
            clusters.push(u32::try_from(cluster).unwrap_or(u32::MAX));
        }
        let n_clusters = clusters.iter().max().map_or(0, |last| *last as usize + 1);
        if n_clusters == 0 {
            return Err(Error::Data(format!(
                "no {min_rows} rows are within {} of each other; use a larger radius",
                self.radius
            )));
        }
        let mut names: Vec<String> =
            (1..=n_clusters).map(|place| format!("segment {place}")).collect();
        names.push("none".to_owned());
        let model = CorePoints { names, points, clusters, radius: self.radius };
        Ok(Trained(FrozenModel::CorePoints(model)))
    }
}
