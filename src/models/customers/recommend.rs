use faer::Mat;
use faer::linalg::solvers::DenseSolveCore as _;
use kernel::domain::Job;
use kernel::scoring::Neighbors;
use pulp::{Arch, Simd, WithSimd};
use rand::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::Interactions;
use crate::{Error, Result};

/// Weights of an item that are kept: more make scores slower and hardly better.
const MOST_NEIGHBORS: usize = 200;

/// Each item from all others, by least squares with an L2 penalty and nothing of itself: EASE (Steck 2019).
/// Memory grows with the square of the number of items, time with its cube.
#[derive(Clone, Copy, Debug)]
pub struct Ease<'j> {
    /// The penalty.
    pub lambda: f64,
    /// What can be canceled.
    pub job: &'j Job,
}

impl Ease<'_> {
    /// Learns from the items of customers.
    ///
    /// # Errors
    /// There are no items, or it was canceled.
    pub fn fit(&self, data: &Interactions) -> Result<Neighbors> {
        let n = data.n_items;
        if n == 0 || data.rows.is_empty() {
            return Err(Error::Data("no customer has an item".to_owned()));
        }
        let mut products = Mat::<f32>::zeros(n, n);
        for items in &data.rows {
            for (left, _) in items {
                let column = products.col_as_slice_mut(*left as usize);
                items.iter().for_each(|(right, _)| column[*right as usize] += 1.0);
            }
        }
        #[allow(clippy::cast_possible_truncation, reason = "a penalty")]
        let lambda = self.lambda.max(1e-3) as f32;
        (0..n).for_each(|item| products[(item, item)] += lambda);
        if self.job.is_canceled() {
            return Err(Error::Canceled);
        }
        let failed = |_error| Error::Training("use a larger lambda".to_owned());
        let inverse = products.llt(faer::Side::Lower).map_err(failed)?.inverse();
        if self.job.is_canceled() {
            return Err(Error::Canceled);
        }
        // The weight of an item for another is minus their entry over the other's own; the inverse is
        // symmetric, so that a column is a row.
        let diagonal: Vec<f32> = (0..n).map(|item| inverse[(item, item)]).collect();
        let lists = (0..n).into_par_iter().map(|item| {
            let weight = |other: usize| -inverse[(other, item)] / diagonal[other];
            strongest((0..n).filter(|other| *other != item).map(|other| (other, weight(other))))
        });
        Ok(weights(lists.collect()))
    }
}

/// The weights of largest size, in order of the items.
fn strongest(weights: impl Iterator<Item = (usize, f32)>) -> (Vec<u32>, Vec<f32>) {
    let mut weights: Vec<(usize, f32)> =
        weights.filter(|(_, weight)| *weight != 0.0 && weight.is_finite()).collect();
    let order =
        |l: &(usize, f32), r: &(usize, f32)| r.1.abs().total_cmp(&l.1.abs()).then(l.0.cmp(&r.0));
    if weights.len() > MOST_NEIGHBORS {
        weights.select_nth_unstable_by(MOST_NEIGHBORS, order);
        weights.truncate(MOST_NEIGHBORS);
    }
    weights.sort_unstable_by_key(|(item, _)| *item);
    weights.into_iter().map(|(item, w)| (u32::try_from(item).unwrap_or(u32::MAX), w)).unzip()
}

fn weights(lists: Vec<(Vec<u32>, Vec<f32>)>) -> Neighbors {
    let (places, weights) = lists.into_iter().unzip();
    Neighbors::Weights { places, weights, is_binary: true }
}

/// Items that the same customers had: the cosine of their customers, each customer counting the less the
/// more items they had (Deshpande and Karypis 2004).
///
/// # Errors
/// There are no items, or it was canceled.
pub fn item_item(data: &Interactions, job: &Job) -> Result<Neighbors> {
    if data.n_items == 0 || data.rows.is_empty() {
        return Err(Error::Data("no customer has an item".to_owned()));
    }
    #[allow(clippy::cast_precision_loss, reason = "a number of items")]
    let share = |customer: u32| 1.0 / (data.rows[customer as usize].len() as f32).max(1.0);
    let by_item = data.by_item();
    let size = |item: usize| {
        let customers = by_item.rows[item].iter().map(|(customer, _)| share(*customer));
        customers.sum::<f32>().sqrt().max(f32::MIN_POSITIVE)
    };
    let sizes: Vec<f32> = (0..data.n_items).map(size).collect();
    let lists = (0..data.n_items)
        .into_par_iter()
        .map_init(
            || vec![0.0_f32; data.n_items],
            |sums, item| {
                if job.is_canceled() {
                    return (Vec::new(), Vec::new());
                }
                sums.fill(0.0);
                for (customer, _) in &by_item.rows[item] {
                    let share = share(*customer);
                    let items = &data.rows[*customer as usize];
                    items.iter().for_each(|(other, _)| sums[*other as usize] += share);
                }
                let cosine = |other: usize| (other, sums[other] / (sizes[item] * sizes[other]));
                strongest((0..data.n_items).filter(|other| *other != item).map(cosine))
            },
        )
        .collect();
    match job.is_canceled() {
        true => Err(Error::Canceled),
        false => Ok(weights(lists)),
    }
}

/// A vector a customer and an item, so that their product says whether the customer had it; what was had
/// counts more than what was not (Hu, Koren and Volinsky 2008). Each side is solved for in turn by a few
/// steps of conjugate gradients (Takács, Pilászy and Tikk 2011).
#[derive(Clone, Copy, Debug)]
pub struct ImplicitAls<'j> {
    /// The numbers of a vector.
    pub factors: usize,
    /// How often both sides are solved for.
    pub iterations: usize,
    /// L2 penalty.
    pub regularization: f64,
    /// How much more an item that was had weighs.
    pub confidence: f64,
    /// What random choices follow from.
    pub seed: u64,
    /// What can be canceled.
    pub job: &'j Job,
}

/// Numbers that are added side by side: enough that no sum waits for itself.
const LANES: usize = 16;
/// Steps of conjugate gradients, from the last vector.
const STEPS: usize = 3;

impl ImplicitAls<'_> {
    /// Learns from the items of customers.
    ///
    /// # Errors
    /// There are no items, or it was canceled.
    #[allow(clippy::cast_possible_truncation, reason = "vectors are single")]
    pub fn fit(&self, data: &Interactions) -> Result<Neighbors> {
        if data.n_items == 0 || data.rows.is_empty() {
            return Err(Error::Data("no customer has an item".to_owned()));
        }
        // Whole groups, which are added side by side.
        let size = self.factors.div_ceil(LANES) * LANES;
        let by_item = data.by_item();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let mut draw = |n: usize| -> Vec<f32> {
            // What is beyond the wanted numbers is 0, and stays so.
            let is_wanted = |place: usize| place % size < self.factors;
            let number =
                |place| if is_wanted(place) { (random.random::<f32>() - 0.5) * 0.02 } else { 0.0 };
            (0..n * size).map(number).collect()
        };
        let (mut customers, mut items) = (draw(data.rows.len()), draw(data.n_items));
        for round in 0..self.iterations {
            if self.job.is_canceled() {
                return Err(Error::Canceled);
            }
            #[allow(clippy::cast_precision_loss, reason = "progress for people")]
            self.job.report("Training", round as f32 / self.iterations as f32);
            self.solve(&data.rows, &items, &mut customers, size);
            self.solve(&by_item.rows, &customers, &mut items, size);
        }
        let gram = gram(&items, size).into_iter().map(f64::from).collect();
        Ok(Neighbors::Factors {
            size,
            vectors: items,
            gram,
            regularization: self.regularization.max(1e-9),
            confidence: self.confidence,
        })
    }

    /// Solves for the vectors of one side.
    #[allow(clippy::cast_possible_truncation, reason = "vectors are single")]
    fn solve(&self, rows: &[Vec<(u32, f32)>], others: &[f32], own: &mut [f32], size: usize) {
        let side = Side {
            gram: gram(others, size),
            others,
            size,
            penalty: self.regularization as f32,
            confidence: self.confidence as f32,
        };
        // Whatever a processor has: the lanes, and so the sums, are the same for all.
        let processor = Arch::new();
        own.par_chunks_exact_mut(size).zip(rows).for_each_init(
            || [(); 3].map(|()| vec![0.0_f32; size]),
            |scratch, (vector, items)| {
                processor.dispatch(Step { side: &side, items, vector, scratch });
            },
        );
    }
}

/// A vector that is solved for; a closure would be compiled for the least of processors only.
struct Step<'a> {
    side: &'a Side<'a>,
    items: &'a [(u32, f32)],
    vector: &'a mut [f32],
    scratch: &'a mut [Vec<f32>; 3],
}

impl WithSimd for Step<'_> {
    type Output = ();

    #[allow(clippy::inline_always, reason = "it is compiled anew for each kind of processor")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.side.solve(self.items, self.vector, self.scratch);
    }
}

/// What the vectors of one side are solved from: those of the other.
struct Side<'a> {
    /// The sum of each vector times itself.
    gram: Vec<f32>,
    others: &'a [f32],
    size: usize,
    penalty: f32,
    confidence: f32,
}

#[allow(clippy::inline_always, reason = "it is compiled anew for each kind of processor")]
impl Side<'_> {
    /// Takes a vector closer to what its items say, by conjugate gradients.
    #[inline(always)]
    fn solve(&self, items: &[(u32, f32)], vector: &mut [f32], scratch: &mut [Vec<f32>; 3]) {
        let [residual, direction, product] = scratch;
        self.apply(items, vector, product);
        for (residual, product) in residual.iter_mut().zip(&*product) {
            *residual = -product;
        }
        for (item, amount) in items {
            add(residual, 1.0 + self.confidence * amount, self.other(*item));
        }
        direction.copy_from_slice(residual);
        let mut size_now = dot(residual, residual);
        for _ in 0..STEPS {
            if size_now < 1e-20 {
                break;
            }
            self.apply(items, direction, product);
            let step = size_now / dot(direction, product);
            add(vector, step, direction);
            add(residual, -step, product);
            let size_next = dot(residual, residual);
            let keep = size_next / size_now;
            for (direction, residual) in direction.iter_mut().zip(&*residual) {
                *direction = residual + keep * *direction;
            }
            size_now = size_next;
        }
    }

    /// The system that a vector solves, times a vector.
    #[inline(always)]
    fn apply(&self, items: &[(u32, f32)], x: &[f32], out: &mut [f32]) {
        // The products are symmetric: a line is a column, and nothing is written between.
        for ((line, own), out) in self.gram.chunks_exact(self.size).zip(x).zip(out.iter_mut()) {
            *out = self.penalty * own + dot(line, x);
        }
        for (item, amount) in items {
            let other = self.other(*item);
            add(out, self.confidence * amount * dot(other, x), other);
        }
    }

    #[inline(always)]
    fn other(&self, item: u32) -> &[f32] {
        &self.others[item as usize * self.size..(item as usize + 1) * self.size]
    }
}

/// Adds a multiple of a vector.
#[allow(clippy::inline_always, reason = "it is compiled anew for each kind of processor")]
#[inline(always)]
fn add(sum: &mut [f32], factor: f32, vector: &[f32]) {
    for (sum, x) in sum.iter_mut().zip(vector) {
        *sum += factor * x;
    }
}

#[allow(clippy::inline_always, reason = "it is compiled anew for each kind of processor")]
#[inline(always)]
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [[0.0_f32; LANES / 2]; 2];
    for (left, right) in left.as_chunks::<LANES>().0.iter().zip(right.as_chunks::<LANES>().0) {
        const HALF: usize = LANES / 2;
        let halves = left.as_chunks::<HALF>().0.iter().zip(right.as_chunks::<HALF>().0);
        for (sums, (left, right)) in sums.iter_mut().zip(halves) {
            *sums = std::array::from_fn(|lane| sums[lane] + left[lane] * right[lane]);
        }
    }
    // By halves, so that few sums wait for others.
    let [low, high] = sums;
    let [a, b, c, d, e, f, g, h]: [f32; LANES / 2] =
        std::array::from_fn(|lane| low[lane] + high[lane]);
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// The sum of each vector times itself, row by row. Pieces are added in order, so that it is the same for
/// any number of threads.
fn gram(vectors: &[f32], size: usize) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = vectors
        .par_chunks(size * 4_096)
        .map(|vectors| {
            let mut sums = vec![0.0; size * size];
            for vector in vectors.chunks_exact(size) {
                for (line, x) in sums.chunks_exact_mut(size).zip(vector) {
                    add(line, *x, vector);
                }
            }
            sums
        })
        .collect();
    let mut sums = vec![0.0; size * size];
    parts.iter().for_each(|part| add(&mut sums, 1.0, part));
    sums
}
