use kernel::scoring::{Encoder, FrozenModel, Wish};
use ndarray::Array2;
use rayon::prelude::*;

use super::estimate::{list_keys, treated};
use crate::data::{Outcome, TrainingSet, matrix};
use crate::evaluation::{
    Chart, Confusion, Deviance, Evaluation, Metric, Resamples, Series, best_threshold, brier,
    by_score, calibration_curve, calibration_error_in, confusion_at, deviance, gain_curve,
    log_loss, mean_absolute, mean_pinball, multiclass_accuracy, multiclass_log_loss, ndcg,
    of_order, precision_recall_curve, qini, r_squared, recall_at, roc_curve, root_mean_square,
    silhouette_widths, uplift_at, uplift_curve,
};
use crate::{ModelSpec, Objective, Result, Task};

/// What scores are evaluated against.
pub(super) struct Part<'a> {
    pub(super) spec: &'a ModelSpec,
    pub(super) set: &'a TrainingSet,
    pub(super) outcome: &'a Outcome,
    pub(super) rows: &'a [usize],
    /// Whether intervals are wanted, which take some time.
    pub(super) intervals: bool,
}

/// Bins of a calibration curve.
const BINS: usize = 10;
/// Rows of a silhouette, whose time grows with their square.
const SILHOUETTE_ROWS: usize = 2_000;
/// Items that recommendations are judged by.
const ITEMS: usize = 20;

/// Rows as a model scores them, and the scores.
pub(super) fn scores(model: &FrozenModel, x: &Array2<f64>) -> Vec<f64> {
    per_row(x, |row| model.score(row))
}

fn per_row<T: Send>(x: &Array2<f64>, of: impl Fn(&[f64]) -> T + Sync) -> Vec<T> {
    (0..x.nrows())
        .into_par_iter()
        .map_init(Vec::new, |row, place| {
            row.clear();
            row.extend(x.row(place));
            of(row)
        })
        .collect()
}

impl Part<'_> {
    /// Evaluates a model on the rows of the part.
    pub(super) fn evaluate(&self, model: &FrozenModel, encoder: &Encoder) -> Result<Evaluation> {
        if self.spec.task == Task::Recommendation {
            return Ok(self.recommendations(model, encoder));
        }
        let x = matrix(self.set, self.rows, encoder);
        let y = self.outcome.of_rows(self.rows);
        match self.spec.task {
            Task::Classification if !model.classes().is_empty() => {
                Ok(self.classes(per_row(&x, |row| model.probabilities(row).to_vec()), &y))
            }
            Task::Classification => Ok(self.probabilities(&scores(model, &x), &y)),
            Task::Clustering => Ok(self.clusters(model, &x)),
            Task::Anomaly => Ok(self.anomalies(&scores(model, &x))),
            Task::Ranking => Ok(self.lists(&scores(model, &x), &y)),
            Task::Uplift => self.effects(&scores(model, &x), &y),
            Task::LifetimeValue if !self.spec.needs_label() => Ok(self.values(&scores(model, &x))),
            Task::Regression | Task::LifetimeValue | Task::Recommendation => {
                Ok(self.numbers(&scores(model, &x), &y))
            }
        }
    }

    fn with_intervals(
        &self,
        names: &[&str],
        of: impl Fn(Option<&[f64]>) -> Vec<f64> + Sync,
    ) -> Vec<Metric> {
        let values = of(None);
        let intervals = match self.intervals {
            true => {
                let customers = self.rows.iter().map(|row| &self.set.customers[*row]);
                let resamples = Resamples::of(customers, self.spec.model.seed);
                resamples.intervals(|weights| of(Some(weights)))
            }
            false => vec![None; values.len()],
        };
        let all = names.iter().zip(values).zip(intervals);
        all.map(|((name, value), interval)| metric(name, value, interval)).collect()
    }

    fn empty(&self) -> Evaluation {
        Evaluation { rows: self.rows.len(), ..Evaluation::default() }
    }

    /// Of the probability of the positive class.
    pub(super) fn probabilities(&self, scores: &[f64], y: &[f64]) -> Evaluation {
        let positive: Vec<bool> = y.iter().map(|y| *y > 0.5).collect();
        let names =
            ["auc", "average_precision", "log_loss", "brier", "calibration_error", "lift_10", "ks"];
        let order = by_score(scores);
        let mut metrics = self.with_intervals(&names, |weights| {
            let [auc, precision, ks, lift] = of_order(&order, scores, &positive, 0.1, weights);
            let loss = log_loss(scores, &positive, weights);
            let brier = brier(scores, &positive, weights);
            let off = calibration_error_in(&order, scores, &positive, BINS, weights);
            vec![auc, precision, loss, brier, off, lift, ks]
        });
        let costs = self.spec.costs;
        let threshold = match costs {
            Some(costs) => {
                best_threshold(scores, &positive, costs.false_positive, costs.false_negative)
            }
            None => 0.5,
        };
        let confusion: Confusion = confusion_at(scores, &positive, threshold);
        if let Some(costs) = costs {
            let cost = confusion.false_positives * costs.false_positive
                + confusion.false_negatives * costs.false_negative;
            metrics.push(metric("cost", cost, None));
        }
        let bins = calibration_curve(scores, &positive, BINS);
        let charts = vec![
            line(
                "ROC",
                "false positive rate",
                "true positive rate",
                roc_curve(scores, &positive),
                true,
            ),
            line(
                "Calibration",
                "mean score",
                "share of positives",
                bins.into_iter().map(|(_, score, observed)| (score, observed)).collect(),
                true,
            ),
            line(
                "Gain",
                "share of rows",
                "share of positives",
                gain_curve(scores, &positive),
                true,
            ),
            line(
                "Precision and recall",
                "recall",
                "precision",
                precision_recall_curve(scores, &positive),
                false,
            ),
        ];
        let positives = positive.iter().filter(|positive| **positive).count();
        Evaluation { positives, metrics, charts, confusion: Some(confusion), ..self.empty() }
    }

    fn classes(&self, probabilities: Vec<Vec<f64>>, y: &[f64]) -> Evaluation {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place")]
        let classes: Vec<usize> = y.iter().map(|y| *y as usize).collect();
        let each = (0..self.outcome.classes.len()).map(|place| {
            let own: Vec<f64> = probabilities.iter().map(|p| p[place]).collect();
            let is_own: Vec<bool> = classes.iter().map(|class| *class == place).collect();
            (by_score(&own), own, is_own)
        });
        let each: Vec<(Vec<u32>, Vec<f64>, Vec<bool>)> = each.collect();
        let titles: Vec<String> =
            self.outcome.classes.iter().map(|name| format!("auc of {name}")).collect();
        let names: Vec<&str> =
            ["log_loss", "accuracy"].into_iter().chain(titles.iter().map(String::as_str)).collect();
        let metrics = self.with_intervals(&names, |weights| {
            let of_all = [
                multiclass_log_loss(&probabilities, &classes, weights),
                multiclass_accuracy(&probabilities, &classes, weights),
            ];
            let auc = each
                .iter()
                .map(|(order, own, is_own)| of_order(order, own, is_own, 0.1, weights)[0]);
            of_all.into_iter().chain(auc).collect()
        });
        let charts = vec![Chart {
            series: self
                .outcome
                .classes
                .iter()
                .enumerate()
                .map(|(place, name)| {
                    let own: Vec<f64> = probabilities.iter().map(|p| p[place]).collect();
                    let is_own: Vec<bool> = classes.iter().map(|class| *class == place).collect();
                    Series { name: name.clone(), points: roc_curve(&own, &is_own) }
                })
                .collect(),
            ..line("ROC", "false positive rate", "true positive rate", Vec::new(), true)
        }];
        Evaluation { metrics, charts, ..self.empty() }
    }

    /// Of numbers.
    pub(super) fn numbers(&self, scores: &[f64], y: &[f64]) -> Evaluation {
        let mut metrics = self.with_intervals(&["rmse", "mae", "r2"], |weights| {
            vec![
                root_mean_square(scores, y, weights),
                mean_absolute(scores, y, weights),
                r_squared(scores, y, weights),
            ]
        });
        let is_count = y.iter().all(|y| *y >= 0.0) && scores.iter().all(|score| *score > 0.0);
        if is_count {
            metrics.extend(self.with_intervals(&["poisson_deviance"], |weights| {
                vec![deviance(scores, y, Deviance::Poisson, weights)]
            }));
        }
        if self.spec.model.objective == Some(Objective::Quantile) {
            let quantile = self.spec.model.quantile.unwrap_or(0.5);
            metrics.extend(self.with_intervals(&["pinball"], |weights| {
                vec![mean_pinball(scores, y, quantile, weights)]
            }));
        }
        // The mean outcome of rows of about the same score.
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|left, right| scores[*left].total_cmp(&scores[*right]));
        let bins = order.chunks(order.len().div_ceil(20).max(1)).map(|rows| {
            #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
            let n = rows.len() as f64;
            let mean = |of: &[f64]| rows.iter().map(|row| of[*row]).sum::<f64>() / n;
            (mean(scores), mean(y))
        });
        let charts =
            vec![line("Predicted and actual", "mean score", "mean outcome", bins.collect(), true)];
        Evaluation { metrics, charts, ..self.empty() }
    }

    fn clusters(&self, model: &FrozenModel, x: &Array2<f64>) -> Evaluation {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place")]
        let clusters: Vec<usize> =
            scores(model, x).into_iter().map(|score| score as usize).collect();
        let stride = x.nrows().div_ceil(SILHOUETTE_ROWS).max(1);
        let rows: Vec<Vec<f64>> =
            (0..x.nrows()).step_by(stride).map(|row| x.row(row).to_vec()).collect();
        let own: Vec<usize> = clusters.iter().copied().step_by(stride).collect();
        let n_clusters = clusters.iter().max().map_or(0, |last| last + 1);
        let mut sizes = vec![0.0; n_clusters];
        clusters.iter().for_each(|cluster| sizes[*cluster] += 1.0);
        #[allow(clippy::cast_precision_loss, reason = "numbers of clusters")]
        let bars = sizes.iter().enumerate().map(|(place, size)| (place as f64 + 1.0, *size));
        let chart = line("Rows", "segment", "rows", bars.collect(), false);
        #[allow(clippy::cast_precision_loss, reason = "a number of clusters")]
        let segments = metric("segments", n_clusters as f64, None);
        let widths: Vec<[f64; 1]> =
            silhouette_widths(&rows, &own).into_iter().map(|width| [width]).collect();
        let known = || (0..).step_by(stride).zip(&widths);
        let mut metrics =
            self.with_intervals(&["silhouette"], |weights| means(known(), weights).to_vec());
        metrics.push(segments);
        Evaluation { metrics, charts: vec![Chart { bars: true, ..chart }], ..self.empty() }
    }

    fn anomalies(&self, scores: &[f64]) -> Evaluation {
        let mut sorted = scores.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            #[allow(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a place among the rows"
            )]
            let place = ((sorted.len().saturating_sub(1)) as f64 * share) as usize;
            sorted.get(place).copied().unwrap_or(f64::NAN)
        };
        let metrics =
            vec![metric("median", at(0.5), None), metric("99th percentile", at(0.99), None)];
        Evaluation { metrics, charts: vec![distribution(scores)], ..self.empty() }
    }

    /// Of values that nothing is known of yet: how they spread.
    fn values(&self, scores: &[f64]) -> Evaluation {
        #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
        let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
        let metrics = vec![metric("mean", mean, None)];
        Evaluation { metrics, charts: vec![distribution(scores)], ..self.empty() }
    }

    fn lists(&self, scores: &[f64], y: &[f64]) -> Evaluation {
        let keys = list_keys(self.spec, self.set);
        let mut lists: std::collections::BTreeMap<&str, Vec<usize>> = Default::default();
        for (at, row) in self.rows.iter().enumerate() {
            lists.entry(keys[*row].as_str()).or_default().push(at);
        }
        // Of each list that can be judged: a row of it, and how good its order is.
        let judged = lists.values().filter_map(|list| {
            let gains: Vec<f64> = list.iter().map(|at| y[*at]).collect();
            if list.len() < 2 || gains.iter().all(|gain| *gain <= 0.0) {
                return None;
            }
            let own: Vec<f64> = list.iter().map(|at| scores[*at]).collect();
            Some((list[0], [ndcg(&own, &gains, 10), ndcg(&own, &gains, 1)]))
        });
        let judged: Vec<(usize, [f64; 2])> = judged.collect();
        let mut metrics = self.with_intervals(&["ndcg_10", "ndcg_1"], |weights| {
            means(judged.iter().map(|(at, values)| (*at, values)), weights).to_vec()
        });
        #[allow(clippy::cast_precision_loss, reason = "a number of lists")]
        metrics.push(metric("lists", judged.len() as f64, None));
        Evaluation { metrics, charts: vec![distribution(scores)], ..self.empty() }
    }

    fn effects(&self, scores: &[f64], y: &[f64]) -> Result<Evaluation> {
        let treated = treated(self.spec, self.set)?;
        let treated: Vec<bool> = self.rows.iter().map(|row| treated[*row]).collect();
        let names = ["qini", "uplift_10", "uplift_30", "uplift"];
        let metrics = self.with_intervals(&names, |weights| {
            let at = |share| uplift_at(scores, &treated, y, share, weights);
            vec![qini(scores, &treated, y, weights), at(0.1), at(0.3), at(1.0)]
        });
        let curve = uplift_curve(scores, &treated, y);
        let end = curve.last().copied().unwrap_or_default();
        let chart = Chart {
            series: vec![
                Series { name: "model".to_owned(), points: curve },
                Series { name: "at random".to_owned(), points: vec![(0.0, 0.0), end] },
            ],
            ..line("Uplift", "share treated", "gain a customer", Vec::new(), false)
        };
        Ok(Evaluation { metrics, charts: vec![chart], ..self.empty() })
    }

    /// What customers had in the label's horizon against what was recommended; without a label, a fifth
    /// of what they had is hidden from the model.
    fn recommendations(&self, model: &FrozenModel, encoder: &Encoder) -> Evaluation {
        let FrozenModel::Recommender(recommender) = model else { return self.empty() };
        let place = |text: &str| recommender.items.binary_search_by(|item| item.as_str().cmp(text));
        let popular = kernel::scoring::Recommender {
            neighbors: kernel::scoring::Neighbors::BuyAgain,
            ..recommender.clone()
        };
        let judged: Vec<Option<[f64; 4]>> = self
            .rows
            .par_iter()
            .map(|row| {
                let mut had = encoder.encode(&self.set.row(*row));
                let wanted: Vec<usize> = match self.spec.needs_label() {
                    true => {
                        let wanted = items_of(&self.set.labels[*row]);
                        let wanted = wanted.iter().filter_map(|text| place(text).ok());
                        wanted.filter(|item| recommender.repeats || had[*item] <= 0.0).collect()
                    }
                    false => {
                        let is_hidden = |item: &usize| {
                            let key = format!(
                                "{}/{}",
                                self.set.customers[*row], recommender.items[*item]
                            );
                            crate::data::customer_share(&key, self.spec.model.seed) < 0.2
                        };
                        let own = (0..had.len()).filter(|item| had[*item] > 0.0);
                        let hidden: Vec<usize> = own.filter(is_hidden).collect();
                        hidden.iter().for_each(|item| had[*item] = 0.0);
                        hidden
                    }
                };
                if wanted.is_empty() {
                    return None;
                }
                let wish = Wish { limit: ITEMS, ..Wish::default() };
                let judge = |items: Vec<kernel::scoring::Recommendation>| {
                    let items: Vec<usize> =
                        items.iter().filter_map(|item| place(&item.item).ok()).collect();
                    let n = items.len();
                    let rank = |item: &usize| items.iter().position(|other| other == item);
                    #[allow(clippy::cast_precision_loss, reason = "places of a list")]
                    let discount = |place: usize| 1.0 / (place as f64 + 2.0).log2();
                    let gain: f64 = wanted.iter().filter_map(rank).map(discount).sum();
                    let best: f64 = (0..wanted.len().min(ITEMS)).map(discount).sum();
                    debug_assert!(n <= ITEMS);
                    (recall_at(&items, &wanted, ITEMS), gain / best)
                };
                let own = judge(recommender.recommend(&had, &wish));
                let nothing = vec![0.0; had.len()];
                let mut usual = popular.recommend(&nothing, &Wish { limit: had.len(), ..wish });
                usual.retain(|item| {
                    recommender.repeats || place(&item.item).is_ok_and(|item| had[item] <= 0.0)
                });
                usual.truncate(ITEMS);
                let usual = judge(usual);
                Some([own.0, own.1, usual.0, usual.1])
            })
            .collect();
        let names = ["recall_20", "ndcg_20", "popularity: recall_20", "popularity: ndcg_20"];
        let known = || judged.iter().enumerate().filter_map(|(at, row)| Some((at, row.as_ref()?)));
        let mut metrics = self.with_intervals(&names, |weights| means(known(), weights).to_vec());
        let customers = known().map(|(at, _)| &*self.set.customers[self.rows[at]]);
        let customers: std::collections::BTreeSet<&str> = customers.collect();
        #[allow(clippy::cast_precision_loss, reason = "a number of customers")]
        metrics.push(metric("customers", customers.len() as f64, None));
        Evaluation { metrics, ..self.empty() }
    }
}

/// The means of values of rows, by their weights.
fn means<'r, const N: usize>(
    rows: impl Iterator<Item = (usize, &'r [f64; N])>,
    weights: Option<&[f64]>,
) -> [f64; N] {
    let (mut sums, mut total) = ([0.0; N], 0.0);
    for (at, values) in rows {
        let weight = weights.map_or(1.0, |weights| weights[at]);
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        total += weight;
    }
    sums.map(|sum| sum / total)
}

/// The items of a label.
fn items_of(label: &kernel::domain::Value) -> Vec<String> {
    use kernel::domain::Value;
    match label {
        Value::Null => Vec::new(),
        Value::List(values) => values.iter().map(ToString::to_string).collect(),
        Value::Counts(values) => values.iter().map(|(value, _)| value.to_string()).collect(),
        single => vec![single.to_string()],
    }
}

fn metric(name: &str, value: f64, interval: Option<(f64, f64)>) -> Metric {
    Metric { name: name.to_owned(), value, interval }
}

fn line(title: &str, x: &str, y: &str, points: Vec<(f64, f64)>, diagonal: bool) -> Chart {
    Chart {
        title: title.to_owned(),
        x: x.to_owned(),
        y: y.to_owned(),
        series: vec![Series { name: title.to_owned(), points }],
        bars: false,
        diagonal,
    }
}

/// How many rows have about each score.
fn distribution(scores: &[f64]) -> Chart {
    const BARS: usize = 30;
    let (least, most) = scores
        .iter()
        .filter(|score| score.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), x| (l.min(*x), m.max(*x)));
    #[allow(clippy::cast_precision_loss, reason = "a few bars")]
    let width = ((most - least) / BARS as f64).max(f64::MIN_POSITIVE);
    let mut bars = vec![0.0; BARS];
    for score in scores.iter().filter(|score| score.is_finite()) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bar")]
        let bar = (((score - least) / width) as usize).min(BARS - 1);
        bars[bar] += 1.0;
    }
    #[allow(clippy::cast_precision_loss, reason = "a few bars")]
    let middle = |bar: usize| least + (bar as f64 + 0.5) * width;
    let points = bars.iter().enumerate().map(|(bar, n)| (middle(bar), *n)).collect();
    Chart { bars: true, ..line("Scores", "score", "rows", points, false) }
}
