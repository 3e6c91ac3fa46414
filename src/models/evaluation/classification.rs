use serde::{Deserialize, Serialize};

use super::{mean, thinned, weight};

/// Probabilities are kept this far from 0 and 1 in the log-loss, as scikit-learn does.
const CLIP: f64 = f64::EPSILON;

/// What was right and wrong at a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// Scores of at least this are acted on.
    pub threshold: f64,
    /// Acted on, and positive.
    pub true_positives: f64,
    /// Acted on, and not positive.
    pub false_positives: f64,
    /// Not acted on, and not positive.
    pub true_negatives: f64,
    /// Not acted on, and positive.
    pub false_negatives: f64,
}

impl Confusion {
    /// The share of what was acted on that is positive; 0 of nothing.
    #[must_use]
    pub fn precision(&self) -> f64 {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    /// The share of what is positive that was acted on; 0 of nothing.
    #[must_use]
    pub fn recall(&self) -> f64 {
        share(self.true_positives, self.true_positives + self.false_negatives)
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Rows of one score, in order from the highest: positive and other weight, and the score.
fn steps(scores: &[f64], positive: &[bool], weights: Option<&[f64]>) -> Vec<(f64, f64, f64)> {
    steps_in(&by_score(scores), scores, positive, weights)
}

/// The same of rows that are in order already.
pub(super) fn steps_in(
    order: &[u32],
    scores: &[f64],
    positive: &[bool],
    weights: Option<&[f64]>,
) -> Vec<(f64, f64, f64)> {
    let mut steps: Vec<(f64, f64, f64)> = Vec::new();
    for row in order.iter().map(|row| *row as usize) {
        let weight = weight(weights, row);
        if weight == 0.0 {
            continue;
        }
        let (hit, miss) = if positive[row] { (weight, 0.0) } else { (0.0, weight) };
        match steps.last_mut() {
            Some((hits, misses, score)) if *score == scores[row] => {
                *hits += hit;
                *misses += miss;
            }
            _ => steps.push((hit, miss, scores[row])),
        }
    }
    steps
}

/// The rows by score, the highest first.
pub(crate) fn by_score(scores: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0_u32..).take(scores.len()).collect();
    order.sort_unstable_by(|left, right| {
        scores[*right as usize].total_cmp(&scores[*left as usize]).then(left.cmp(right))
    });
    order
}

/// What the order of rows says, given that order: [`roc_auc`], [`average_precision`],
/// [`kolmogorov_smirnov`] and [`lift_at`].
pub(crate) fn of_order(
    order: &[u32],
    scores: &[f64],
    positive: &[bool],
    lift_at: f64,
    weights: Option<&[f64]>,
) -> [f64; 4] {
    let steps = steps_in(order, scores, positive, weights);
    [auc_of(&steps), precision_of(&steps), distance_of(&steps), lift_of(&steps, lift_at)]
}

/// Area under the ROC curve: the probability that a positive row scores above another one, ties counting
/// half (Hanley and McNeil 1982). NaN without both kinds.
#[must_use]
pub fn roc_auc(scores: &[f64], positive: &[bool], weights: Option<&[f64]>) -> f64 {
    auc_of(&steps(scores, positive, weights))
}

pub(super) fn auc_of(steps: &[(f64, f64, f64)]) -> f64 {
    let (mut hits, mut misses, mut area) = (0.0, 0.0, 0.0);
    for (hit, miss, _) in steps {
        area += miss * (hits + hit / 2.0);
        hits += hit;
        misses += miss;
    }
    if hits > 0.0 && misses > 0.0 { area / (hits * misses) } else { f64::NAN }
}

/// The ROC curve as (false positive rate, true positive rate), from (0, 0) to (1, 1).
#[must_use]
pub fn roc_curve(scores: &[f64], positive: &[bool]) -> Vec<(f64, f64)> {
    let steps = steps(scores, positive, None);
    let totals = totals(&steps);
    let (mut hits, mut misses) = (0.0, 0.0);
    let mut curve = vec![(0.0, 0.0)];
    for (hit, miss, _) in steps {
        hits += hit;
        misses += miss;
        curve.push((misses / totals.1, hits / totals.0));
    }
    thinned(curve)
}

fn totals(steps: &[(f64, f64, f64)]) -> (f64, f64) {
    steps.iter().fold((0.0, 0.0), |(hits, misses), (hit, miss, _)| (hits + hit, misses + miss))
}

/// Mean precision over the steps of recall, without interpolation. NaN without a positive row.
#[must_use]
pub fn average_precision(scores: &[f64], positive: &[bool], weights: Option<&[f64]>) -> f64 {
    precision_of(&steps(scores, positive, weights))
}

pub(super) fn precision_of(steps: &[(f64, f64, f64)]) -> f64 {
    let (mut hits, mut all, mut sum) = (0.0, 0.0, 0.0);
    for (hit, miss, _) in steps {
        hits += hit;
        all += hit + miss;
        sum += hit * hits / all;
    }
    sum / hits
}

/// Precision over recall, from all rows to the highest score.
#[must_use]
pub fn precision_recall_curve(scores: &[f64], positive: &[bool]) -> Vec<(f64, f64)> {
    let steps = steps(scores, positive, None);
    let total = totals(&steps).0;
    let (mut hits, mut all) = (0.0, 0.0);
    let curve = steps.iter().map(|(hit, miss, _)| {
        hits += hit;
        all += hit + miss;
        (hits / total, hits / all)
    });
    thinned(curve.collect())
}

/// Mean of `-ln(probability of what happened)`.
#[must_use]
pub fn log_loss(scores: &[f64], positive: &[bool], weights: Option<&[f64]>) -> f64 {
    let loss = |(score, positive): (&f64, &bool)| {
        let probability = score.clamp(CLIP, 1.0 - CLIP);
        -(if *positive { probability } else { 1.0 - probability }).ln()
    };
    mean(weights, scores.iter().zip(positive).map(loss))
}

/// Mean squared difference of probability and outcome (Brier 1950).
#[must_use]
pub fn brier(scores: &[f64], positive: &[bool], weights: Option<&[f64]>) -> f64 {
    let square =
        |(score, positive): (&f64, &bool)| (score - f64::from(u8::from(*positive))).powi(2);
    mean(weights, scores.iter().zip(positive).map(square))
}

/// The largest difference between the shares of positive and of other rows above a score.
#[must_use]
pub fn kolmogorov_smirnov(scores: &[f64], positive: &[bool]) -> f64 {
    distance_of(&steps(scores, positive, None))
}

fn distance_of(steps: &[(f64, f64, f64)]) -> f64 {
    let totals = totals(steps);
    let (mut hits, mut misses, mut largest) = (0.0, 0.0, 0.0_f64);
    for (hit, miss, _) in steps {
        hits += hit;
        misses += miss;
        largest = largest.max((hits / totals.0 - misses / totals.1).abs());
    }
    if totals.0 > 0.0 && totals.1 > 0.0 { largest } else { f64::NAN }
}

/// The share of positive rows that the highest scores have, over the share of rows: from (0, 0) to (1, 1).
#[must_use]
pub fn gain_curve(scores: &[f64], positive: &[bool]) -> Vec<(f64, f64)> {
    let steps = steps(scores, positive, None);
    let (hits_in_all, misses_in_all) = totals(&steps);
    let (mut hits, mut all) = (0.0, 0.0);
    let mut curve = vec![(0.0, 0.0)];
    for (hit, miss, _) in steps {
        hits += hit;
        all += hit + miss;
        curve.push((all / (hits_in_all + misses_in_all), hits / hits_in_all));
    }
    thinned(curve)
}

/// How many times more positive rows a share of the rows with the highest scores has than chance. Rows of
/// one score count in proportion.
#[must_use]
pub fn lift_at(scores: &[f64], positive: &[bool], at: f64) -> f64 {
    lift_of(&steps(scores, positive, None), at)
}

fn lift_of(steps: &[(f64, f64, f64)], at: f64) -> f64 {
    let (hits_in_all, misses_in_all) = totals(steps);
    let wanted = at * (hits_in_all + misses_in_all);
    let (mut hits, mut all) = (0.0, 0.0);
    for (hit, miss, _) in steps {
        let part = ((wanted - all) / (hit + miss)).clamp(0.0, 1.0);
        hits += part * hit;
        all += hit + miss;
    }
    hits / hits_in_all / at
}

/// What is right and wrong when scores of at least a threshold are acted on.
#[must_use]
pub fn confusion_at(scores: &[f64], positive: &[bool], threshold: f64) -> Confusion {
    let mut confusion = Confusion {
        threshold,
        true_positives: 0.0,
        false_positives: 0.0,
        true_negatives: 0.0,
        false_negatives: 0.0,
    };
    for (score, positive) in scores.iter().zip(positive) {
        let cell = match (*score >= threshold, positive) {
            (true, true) => &mut confusion.true_positives,
            (true, false) => &mut confusion.false_positives,
            (false, true) => &mut confusion.false_negatives,
            (false, false) => &mut confusion.true_negatives,
        };
        *cell += 1.0;
    }
    confusion
}

/// The threshold at which wrong decisions cost least, the highest of equal ones.
#[must_use]
pub fn best_threshold(
    scores: &[f64],
    positive: &[bool],
    false_positive: f64,
    false_negative: f64,
) -> f64 {
    let steps = steps(scores, positive, None);
    let mut cost = totals(&steps).0 * false_negative;
    let highest = steps.first().map_or(1.0, |(_, _, score)| *score);
    // Above the highest score nothing is acted on.
    let mut best = (cost, highest.next_up());
    for (hit, miss, score) in steps {
        cost += miss * false_positive - hit * false_negative;
        if cost < best.0 {
            best = (cost, score);
        }
    }
    best.1
}

/// The share of rows whose most likely class is theirs.
#[must_use]
pub fn multiclass_accuracy(
    probabilities: &[Vec<f64>],
    classes: &[usize],
    weights: Option<&[f64]>,
) -> f64 {
    let is_right = |(probabilities, class): (&Vec<f64>, &usize)| {
        let own = probabilities.get(*class).copied().unwrap_or(f64::NAN);
        let best = probabilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let first = probabilities.iter().position(|p| *p == best);
        f64::from(u8::from(own == best && first == Some(*class)))
    };
    mean(weights, probabilities.iter().zip(classes).map(is_right))
}

/// Mean of `-ln(probability of the class of the row)`.
#[must_use]
pub fn multiclass_log_loss(
    probabilities: &[Vec<f64>],
    classes: &[usize],
    weights: Option<&[f64]>,
) -> f64 {
    let loss = |(probabilities, class): (&Vec<f64>, &usize)| {
        let own = probabilities.get(*class).copied().unwrap_or(0.0);
        -own.clamp(CLIP, 1.0 - CLIP).ln()
    };
    mean(weights, probabilities.iter().zip(classes).map(loss))
}
