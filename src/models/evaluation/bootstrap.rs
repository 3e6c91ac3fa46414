use std::collections::HashMap;
use std::sync::Arc;

use rand::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

/// Samples of customers, with all of their rows: rows of one customer are not independent.
pub(crate) struct Resamples {
    seed: u64,
    /// The customer of each row, as a number.
    of_row: Vec<u32>,
    n_customers: usize,
}

/// The number of samples.
const SAMPLES: u64 = 200;

impl Resamples {
    pub(crate) fn of<'c>(customers: impl Iterator<Item = &'c Arc<str>>, seed: u64) -> Self {
        let mut places: HashMap<&Arc<str>, u32> = HashMap::new();
        let of_row: Vec<u32> = customers
            .map(|customer| {
                let next = u32::try_from(places.len()).unwrap_or(u32::MAX);
                *places.entry(customer).or_insert(next)
            })
            .collect();
        Self { seed, of_row, n_customers: places.len() }
    }

    /// The middle 95 % of numbers over samples: each sees how often each row was drawn.
    pub(crate) fn intervals(
        &self,
        of: impl Fn(&[f64]) -> Vec<f64> + Sync,
    ) -> Vec<Option<(f64, f64)>> {
        let runs: Vec<Vec<f64>> = (0..SAMPLES)
            .into_par_iter()
            .map(|sample| {
                let mut random = Xoshiro256PlusPlus::seed_from_u64(self.seed ^ (sample << 32));
                let mut counts = vec![0.0; self.n_customers];
                for _ in 0..self.n_customers {
                    counts[random.random_range(0..self.n_customers)] += 1.0;
                }
                let weights: Vec<f64> =
                    self.of_row.iter().map(|customer| counts[*customer as usize]).collect();
                of(&weights)
            })
            .collect();
        let n_numbers = runs.first().map_or(0, Vec::len);
        (0..n_numbers)
            .map(|at| {
                let mut numbers: Vec<f64> =
                    runs.iter().map(|run| run[at]).filter(|x| x.is_finite()).collect();
                numbers.sort_unstable_by(f64::total_cmp);
                let last = numbers.len().checked_sub(1)?;
                Some((numbers[last * 25 / 1_000], numbers[last - last * 25 / 1_000]))
            })
            .collect()
    }
}
