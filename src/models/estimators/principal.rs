use faer::Mat;
use kernel::domain::Job;
use linfa::traits::Fit;
use ndarray::{Array1, Array2};

use super::Data;
use super::gram::Gram;
use crate::{Error, Result};

/// Principal components, from the products of the centered columns. linfa's iterates over the whole
/// matrix and takes some 20 times as long.
#[derive(Clone, Copy, Debug)]
pub struct PrincipalComponents<'j> {
    /// The number of components.
    pub components: usize,
    /// What can be canceled.
    pub job: &'j Job,
}

/// What principal components are.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// The mean of each column.
    pub means: Vec<f64>,
    /// Directions of length 1, most variance first; the largest number of each is positive.
    pub axes: Vec<Vec<f64>>,
    /// The variance along each.
    pub variances: Vec<f64>,
    /// The variance of all columns.
    pub total_variance: f64,
}

impl Fit<Array2<f64>, Array1<f64>, Error> for PrincipalComponents<'_> {
    type Object = Principal;

    /// Targets are not read.
    fn fit(&self, data: &Data) -> Result<Principal> {
        let gram = Gram::of(data, self.job)?;
        let d = gram.means.len();
        if self.components == 0 || self.components > d {
            let wanted = self.components;
            return Err(Error::Data(format!("{d} columns have no {wanted} principal components")));
        }
        let freedom = (gram.total - 1.0).max(1.0);
        let products = Mat::from_fn(d, d, |i, j| gram.products[(i, j)] / freedom);
        let eigen = products
            .self_adjoint_eigen(faer::Side::Lower)
            .map_err(|error| Error::Training(format!("{error:?}")))?;
        let (values, vectors) = (eigen.S(), eigen.U());
        // They come smallest first.
        let places = (0..d).rev().take(self.components);
        let axis = |place: usize| {
            let axis: Vec<f64> = (0..d).map(|row| vectors[(row, place)]).collect();
            let largest = axis.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
            let sign = largest.unwrap_or(1.0).signum();
            axis.into_iter().map(|x| x * sign).collect()
        };
        Ok(Principal {
            axes: places.clone().map(axis).collect(),
            variances: places.map(|place| values.column_vector()[place].max(0.0)).collect(),
            total_variance: (0..d).map(|j| gram.products[(j, j)] / freedom).sum(),
            means: gram.means,
        })
    }
}
