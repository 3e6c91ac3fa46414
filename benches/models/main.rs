//! Trains one estimator on a file of numbers and says what it took: the Rust side of `compare.py`, which
//! runs the same beside scikit-learn, `LightGBM`, implicit and lifetimes.
//!
//! `CASE INPUT OUTPUT [OTHER]`: the input is `rows, columns` as `u64`, then the columns and the label as
//! `f64`; the output gets what was learned, or else a score for each row, of the other file if there is one.
//! One JSON object is printed.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark is a tool")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "numbers of a benchmark"
)]

use std::time::Instant;

use kernel::domain::Job;
use kernel::scoring::FrozenModel;
use models::Fit as _;
use models::customers::{self, Ease, ImplicitAls, Interactions, Purchases};
use models::estimators::{self, Data, Trained};
use models::evaluation as metrics;
use models::trees::{self, Loss};

/// CPU seconds of this process.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

struct Input {
    columns: Vec<Vec<f64>>,
    y: Vec<f64>,
}

fn read(path: &str) -> Input {
    let bytes = std::fs::read(path).unwrap();
    let word = |at: usize| <[u8; 8]>::try_from(&bytes[at * 8..at * 8 + 8]).unwrap();
    let (rows, columns) =
        (u64::from_le_bytes(word(0)) as usize, u64::from_le_bytes(word(1)) as usize);
    let column = |column: usize| {
        (0..rows).map(|row| f64::from_le_bytes(word(2 + column * rows + row))).collect()
    };
    Input { columns: (0..columns).map(column).collect(), y: column(columns) }
}

fn write(path: &str, numbers: &[f64]) {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    std::fs::write(path, bytes).unwrap();
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [case, input, output, other @ ..] = arguments.as_slice() else {
        println!("usage: python3 benches/models/compare.py (it runs this)");
        return;
    };
    let Input { columns, y } = read(input);
    if special(case, &columns, &y, input, output) {
        return;
    }
    let data = estimators::dataset(&columns, y, None).unwrap();
    let (started, wall) = (cpu(), Instant::now());
    let model = fit(case, &data);
    let (seconds, wall) = (cpu() - started, wall.elapsed().as_secs_f64());
    let Trained(model) = model;
    let columns = other.first().map_or(columns, |other| read(other).columns);
    let said = match &model {
        FrozenModel::LogisticRegression { intercept, weights }
        | FrozenModel::LinearRegression { intercept, weights }
        | FrozenModel::LogLinear { intercept, weights } => {
            weights.iter().copied().chain([*intercept]).collect()
        }
        FrozenModel::Multinomial(model) => {
            let own = model.weights().iter().zip(model.intercepts());
            own.flat_map(|(weights, i)| weights.iter().copied().chain([*i])).collect()
        }
        FrozenModel::Segments(segments) => segments.centers().concat(),
        model => {
            let mut row = vec![0.0; columns.len()];
            let score = |place: usize| {
                row.iter_mut().zip(&columns).for_each(|(x, column)| *x = column[place]);
                model.score(&row)
            };
            (0..columns[0].len()).map(score).collect()
        }
    };
    write(output, &said);
    println!("{{\"cpu\": {seconds}, \"wall\": {wall}, \"ns_a_row\": {}}}", speed(&model, &columns));
}

/// Cases that are no estimator on columns; whether it was one.
fn special(case: &str, columns: &[Vec<f64>], y: &[f64], input: &str, output: &str) -> bool {
    let job = Job::unwatched();
    let (started, wall) = (cpu(), Instant::now());
    let said: Vec<f64> = match case.split_once('=').map_or(case, |(name, _)| name) {
        // Columns: frequency, recency, age, value.
        "lifetime" => {
            let customer = |row: usize| Purchases {
                frequency: columns[0][row],
                recency: columns[1][row],
                age: columns[2][row],
                value: columns[3][row],
            };
            let all: Vec<Purchases> = (0..y.len()).map(customer).collect();
            let (model, likelihood) = customers::fit_beta_geometric(&all, &job).unwrap();
            let worth = customers::fit_gamma_gamma(&all, &job).unwrap();
            vec![model.r, model.alpha, model.a, model.b, likelihood, worth.p, worth.q, worth.v]
        }
        // Columns: customer, item of the training pairs; what comes out are all scores of all customers.
        "ease" | "als" | "item" => return recommend(case, columns, output),
        // Columns: score; the label is 0 or 1, weights are a second column.
        "metrics" => {
            let (scores, weights) = (&columns[0], Some(columns[1].as_slice()));
            let positive: Vec<bool> = y.iter().map(|y| *y > 0.5).collect();
            let share: Vec<f64> = scores.iter().map(|s| s.clamp(0.0, 1.0)).collect();
            vec![
                metrics::roc_auc(scores, &positive, weights),
                metrics::average_precision(scores, &positive, weights),
                metrics::log_loss(&share, &positive, weights),
                metrics::brier(&share, &positive, weights),
                metrics::root_mean_square(scores, y, weights),
                metrics::mean_absolute(scores, y, weights),
                metrics::r_squared(scores, y, weights),
                metrics::ndcg(scores, y, 10),
                metrics::mean_pinball(scores, y, 0.3, weights),
            ]
        }
        // An ONNX file beside the input: scores, or explanations with their expected value last.
        "onnx" | "shap" => {
            let bytes = std::fs::read(format!("{input}.onnx")).unwrap();
            let imported = models::exchange::import(&bytes).unwrap();
            let rows = (0..y.len()).map(|row| {
                let mut encoded = Vec::new();
                for (encoding, column) in imported.encodings.iter().zip(columns) {
                    encoding.encode_into(&kernel::domain::Value::Number(column[row]), &mut encoded);
                }
                encoded
            });
            match &imported.model {
                FrozenModel::Trees(trees) if case == "shap" => rows
                    .flat_map(|row| {
                        let mut said = trees.contributions(0, &row);
                        said.push(trees.expected(0));
                        said
                    })
                    .collect(),
                model => rows.map(|row| model.score(&row)).collect(),
            }
        }
        _ => return false,
    };
    let (seconds, wall) = (cpu() - started, wall.elapsed().as_secs_f64());
    write(output, &said);
    println!("{{\"cpu\": {seconds}, \"wall\": {wall}, \"ns_a_row\": 0}}");
    true
}

/// Learns from pairs and writes the scores of all items for all customers.
fn recommend(case: &str, columns: &[Vec<f64>], output: &str) -> bool {
    let job = Job::unwatched();
    let (name, argument) = case.split_once('=').unwrap_or((case, "200"));
    let most = |column: &[f64]| column.iter().copied().fold(0.0, f64::max) as usize + 1;
    let (n_customers, n_items) = (most(&columns[0]), most(&columns[1]));
    let mut data = Interactions { n_items, rows: vec![Vec::new(); n_customers] };
    for (customer, item) in columns[0].iter().zip(&columns[1]) {
        data.rows[*customer as usize].push((*item as u32, 1.0));
    }
    let (started, wall) = (cpu(), Instant::now());
    let neighbors = match name {
        "ease" => Ease { lambda: argument.parse().unwrap(), job: &job }.fit(&data),
        "als" => ImplicitAls {
            factors: 64,
            iterations: 15,
            regularization: argument.parse().unwrap(),
            confidence: 10.0,
            seed: 1,
            job: &job,
        }
        .fit(&data),
        _ => customers::item_item(&data, &job),
    };
    let neighbors = neighbors.unwrap();
    let (seconds, wall) = (cpu() - started, wall.elapsed().as_secs_f64());
    let recommender = kernel::scoring::Recommender {
        items: (0..n_items).map(|item| format!("{item:06}")).collect(),
        categories: vec![None; n_items],
        popularity: data.popularity(),
        repeats: false,
        neighbors,
    };
    let mut said = Vec::with_capacity(n_customers * n_items);
    for items in &data.rows {
        let mut row = vec![0.0; n_items];
        items.iter().for_each(|(item, amount)| row[*item as usize] = f64::from(*amount));
        said.extend(recommender.scores(&row));
    }
    write(output, &said);
    println!("{{\"cpu\": {seconds}, \"wall\": {wall}, \"ns_a_row\": 0}}");
    true
}

/// Nanoseconds to score one row, over and over other rows.
fn speed(model: &FrozenModel, columns: &[Vec<f64>]) -> f64 {
    let rows: Vec<Vec<f64>> = (0..1_000.min(columns[0].len()))
        .map(|row| columns.iter().map(|column| column[row]).collect())
        .collect();
    let mut best = f64::INFINITY;
    for _ in 0..200 {
        let started = Instant::now();
        let sum: f64 = rows.iter().map(|row| model.score(std::hint::black_box(row))).sum();
        std::hint::black_box(sum);
        best = best.min(started.elapsed().as_secs_f64() / rows.len() as f64 * 1e9);
    }
    best
}

fn fit(case: &str, data: &Data) -> Trained {
    let job = Job::unwatched();
    let job = &job;
    let (case, argument) = case.split_once('=').unwrap_or((case, ""));
    let number = || argument.parse::<f64>().unwrap();
    let two = || vec!["0".to_owned(), "1".to_owned()];
    let fitted = match case {
        "logistic" => estimators::LogisticRegression { alpha: 1.0, job }.fit(data),
        "multinomial" => {
            let classes = (0..argument.parse().unwrap()).map(|c: usize| c.to_string()).collect();
            estimators::MultinomialRegression { classes, alpha: 1.0, job }.fit(data)
        }
        "ridge" => estimators::Ridge { alpha: number(), job }.fit(data),
        "elastic" => estimators::ElasticNet { alpha: 0.01, l1_ratio: 0.5, job }.fit(data),
        "poisson" => estimators::GeneralizedLinear {
            link: estimators::LogLink::Poisson,
            alpha: number(),
            job,
        }
        .fit(data),
        "gamma" => {
            estimators::GeneralizedLinear { link: estimators::LogLink::Gamma, alpha: number(), job }
                .fit(data)
        }
        "tweedie" => estimators::GeneralizedLinear {
            link: estimators::LogLink::Tweedie(1.5),
            alpha: number(),
            job,
        }
        .fit(data),
        "bayes" => estimators::NaiveBayes { classes: two(), job }.fit(data),
        "kmeans" => {
            let clusters = argument.parse().unwrap();
            estimators::KMeans { clusters, starts: 10, seed: 1, job }.fit(data)
        }
        "forest" => trees::RandomForest {
            classes: two(),
            trees: 100,
            depth: 10,
            leaves: usize::MAX,
            min_rows: 1,
            columns: None,
            categorical: Vec::new(),
            seed: 1,
            job,
        }
        .fit(data),
        "isolation" => trees::IsolationForest { trees: 100, sample: 256, seed: 1, job }.fit(data),
        "boost" | "boost300" => {
            let rounds = if case == "boost" { 100 } else { 300 };
            let loss = match argument {
                "squared" => Loss::Squared,
                "poisson" => Loss::Poisson,
                _ => Loss::Logistic,
            };
            trees::GradientBoosting { rounds, ..trees::GradientBoosting::new(loss, job) }.fit(data)
        }
        // Leaves, learning rate, rows of a leaf, lambda, shares of rows and of columns, rounds.
        "set" => {
            let wanted: Vec<f64> = argument.split(',').map(|x| x.parse().unwrap()).collect();
            let [leaves, learning_rate, min_rows, lambda, subsample, columns, rounds] = wanted[..]
            else {
                panic!("seven parameters");
            };
            trees::GradientBoosting {
                leaves: leaves as usize,
                learning_rate,
                min_rows: min_rows as usize,
                lambda,
                subsample,
                columns,
                rounds: rounds as usize,
                ..trees::GradientBoosting::new(Loss::Logistic, job)
            }
            .fit(data)
        }
        "tuned" => trees::GradientBoosting {
            rounds: 600,
            learning_rate: 0.03,
            leaves: 15,
            lambda: 10.0,
            min_curvature: 10.0,
            subsample: 0.7,
            columns: 0.6,
            ..trees::GradientBoosting::new(Loss::Logistic, job)
        }
        .fit(data),
        other => panic!("no case {other}"),
    };
    fitted.unwrap()
}
