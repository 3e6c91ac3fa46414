use std::collections::BTreeMap;

use serde::Serialize;

/// How good the scores of a part of the rows are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Rows.
    pub rows: usize,
    /// Positive rows.
    pub positives: usize,
    /// Area under the ROC curve: the probability that a positive row scores above a negative one, ties
    /// counting half (Hanley and McNeil 1982). NaN without both kinds.
    pub auc: f64,
    /// Mean of `-ln(probability of what happened)`.
    pub log_loss: f64,
    /// Mean squared difference of probability and outcome (Brier 1950).
    pub brier: f64,
    /// Mean over bins of |mean score - share of positives|, weighted by rows.
    pub calibration_error: f64,
    /// Scores in groups of equally many rows, lowest first.
    pub calibration: Vec<Bin>,
    /// The ROC curve as (false positive rate, true positive rate), from (0, 0) to (1, 1).
    pub roc: Vec<(f64, f64)>,
}

/// Rows of similar score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Rows.
    pub rows: usize,
    /// Mean score.
    pub score: f64,
    /// Share of positives.
    pub observed: f64,
}

/// Bins of a calibration curve.
const BINS: usize = 10;
/// The most points of a ROC curve; more than a plot has pixels say nothing.
const ROC_POINTS: usize = 400;
/// Probabilities are kept this far from 0 and 1 in the log-loss, as scikit-learn does.
const CLIP: f64 = 1e-15;

impl Evaluation {
    /// Evaluates scores against what happened.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 rows")]
    pub fn of(scores: &[f64], positive: &[bool]) -> Self {
        let n = scores.len() as f64;
        let mut ranked: Vec<(f64, bool)> =
            scores.iter().copied().zip(positive.iter().copied()).collect();
        ranked.sort_by(|left, right| left.0.total_cmp(&right.0));
        let outcome = |positive: bool| f64::from(u8::from(positive));
        let loss = |(score, positive): &(f64, bool)| {
            let probability = if *positive { *score } else { 1.0 - score };
            -probability.clamp(CLIP, 1.0 - CLIP).ln()
        };
        let square = |(score, positive): &(f64, bool)| (score - outcome(*positive)).powi(2);
        let calibration = bins(&ranked);
        let error: f64 =
            calibration.iter().map(|bin| (bin.score - bin.observed).abs() * bin.rows as f64).sum();
        let (auc, roc) = roc(&ranked);
        Self {
            rows: scores.len(),
            positives: positive.iter().filter(|positive| **positive).count(),
            auc,
            log_loss: ranked.iter().map(loss).sum::<f64>() / n,
            brier: ranked.iter().map(square).sum::<f64>() / n,
            calibration_error: error / n,
            calibration,
            roc,
        }
    }

    /// The numbers of it, by name.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 rows")]
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        [
            ("rows", self.rows as f64),
            ("positives", self.positives as f64),
            ("auc", self.auc),
            ("log_loss", self.log_loss),
            ("brier", self.brier),
            ("calibration_error", self.calibration_error),
        ]
        .into_iter()
        .filter(|(_, value)| value.is_finite())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

#[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 rows")]
fn bins(ranked: &[(f64, bool)]) -> Vec<Bin> {
    let n = ranked.len();
    (0..BINS)
        .map(|bin| &ranked[bin * n / BINS..(bin + 1) * n / BINS])
        .filter(|rows| !rows.is_empty())
        .map(|rows| {
            let count = rows.len() as f64;
            Bin {
                rows: rows.len(),
                score: rows.iter().map(|(score, _)| score).sum::<f64>() / count,
                observed: rows.iter().filter(|(_, positive)| *positive).count() as f64 / count,
            }
        })
        .collect()
}

/// Area and curve, walking down from the highest score; equal scores are one step.
#[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 rows")]
fn roc(ranked: &[(f64, bool)]) -> (f64, Vec<(f64, f64)>) {
    let positives = ranked.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = ranked.len() as f64 - positives;
    let mut curve = vec![(0.0, 0.0)];
    let (mut true_positives, mut false_positives, mut area) = (0.0, 0.0, 0.0);
    for ties in ranked.chunk_by(|left, right| left.0 == right.0).rev() {
        let hits = ties.iter().filter(|(_, positive)| *positive).count() as f64;
        let misses = ties.len() as f64 - hits;
        area += misses * (true_positives + hits / 2.0);
        true_positives += hits;
        false_positives += misses;
        curve.push((false_positives / negatives, true_positives / positives));
    }
    if positives == 0.0 || negatives == 0.0 {
        return (f64::NAN, Vec::new());
    }
    let step = curve.len().div_ceil(ROC_POINTS);
    let last = curve.last().copied();
    let mut thinned: Vec<(f64, f64)> = curve.into_iter().step_by(step).collect();
    thinned.extend(last);
    thinned.dedup();
    (area / (positives * negatives), thinned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_known_scores() {
        // scikit-learn 1.9: roc_auc_score, log_loss, brier_score_loss.
        let scores = [0.1, 0.4, 0.35, 0.8];
        let evaluation = Evaluation::of(&scores, &[false, false, true, true]);
        assert!((evaluation.auc - 0.75).abs() < 1e-12);
        assert!((evaluation.log_loss - 0.472_287_953_809_176_15).abs() < 1e-12);
        assert!((evaluation.brier - 0.158_125).abs() < 1e-12);
    }

    #[test]
    fn ties_count_half_and_one_class_has_no_auc() {
        assert!((Evaluation::of(&[0.5; 4], &[true, false, true, false]).auc - 0.5).abs() < 1e-12);
        assert!(Evaluation::of(&[0.1, 0.2], &[true, true]).auc.is_nan());
        assert!((Evaluation::of(&[0.0, 0.0, 1.0], &[false, true, true]).auc - 0.75).abs() < 1e-12);
    }
}
