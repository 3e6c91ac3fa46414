//! Estimators alone: nothing makes them panic, the number of threads changes no bit, explanations add up.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kernel::domain::Job;
use kernel::scoring::{Branch, FrozenModel, Link, Split, Trees};
use models::customers::{self, Ease, ImplicitAls, Interactions, Purchases};
use models::estimators::{self, Data, LogLink, Trained, dataset};
use models::evaluation as metrics;
use models::trees::{self, Loss};
use models::{Error, Fit as _, Predict as _};
use proptest::prelude::*;

/// A small generator that follows from its seed alone.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        #[allow(clippy::cast_precision_loss, reason = "53 bits are kept")]
        let unit = (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }
}

/// Columns, of which the first two say the outcome.
fn data(rows: usize, columns: usize, seed: u64) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut random = Random(seed | 1);
    let x: Vec<Vec<f64>> =
        (0..columns).map(|_| (0..rows).map(|_| random.next() * 4.0 - 2.0).collect()).collect();
    let y = (0..rows)
        .map(|row| {
            let sum = x[0][row] + if x[1 % columns][row] > 0.5 { 1.5 } else { 0.0 };
            f64::from(u8::from(random.next() < 1.0 / (1.0 + (-sum).exp())))
        })
        .collect();
    (x, y)
}

type Estimator = (&'static str, Box<dyn Fn(&Data) -> Result<Trained, Error> + Send + Sync>);

/// Every estimator, small.
fn all() -> Vec<Estimator> {
    let job: &'static Job = Box::leak(Box::new(Job::unwatched()));
    let two = || vec!["no".to_owned(), "yes".to_owned()];
    let linked = move |link| estimators::GeneralizedLinear { link, alpha: 1.0, job };
    let boosted = move |loss| {
        let boosting = trees::GradientBoosting::new(loss, job);
        trees::GradientBoosting { rounds: 5, min_rows: 2, ..boosting }
    };
    let forest = move |classes| trees::RandomForest {
        classes,
        trees: 5,
        depth: 6,
        leaves: 64,
        min_rows: 1,
        columns: None,
        categorical: Vec::new(),
        seed: 1,
        job,
    };
    vec![
        ("logistic", Box::new(move |d| estimators::LogisticRegression { alpha: 1.0, job }.fit(d))),
        (
            "logistic without penalty",
            Box::new(move |d| estimators::LogisticRegression { alpha: 0.0, job }.fit(d)),
        ),
        (
            "multinomial",
            Box::new(move |d| {
                estimators::MultinomialRegression { classes: two(), alpha: 1.0, job }.fit(d)
            }),
        ),
        ("ridge", Box::new(move |d| estimators::Ridge { alpha: 0.0, job }.fit(d))),
        (
            "elastic net",
            Box::new(move |d| estimators::ElasticNet { alpha: 0.1, l1_ratio: 0.5, job }.fit(d)),
        ),
        ("poisson", Box::new(move |d| linked(LogLink::Poisson).fit(d))),
        ("gamma", Box::new(move |d| linked(LogLink::Gamma).fit(d))),
        ("tweedie", Box::new(move |d| linked(LogLink::Tweedie(1.5)).fit(d))),
        ("naive Bayes", Box::new(move |d| estimators::NaiveBayes { classes: two(), job }.fit(d))),
        (
            "k-means",
            Box::new(move |d| estimators::KMeans { clusters: 3, starts: 2, seed: 1, job }.fit(d)),
        ),
        (
            "mixture",
            Box::new(move |d| {
                estimators::GaussianMixture { components: 2, is_anomaly: false, seed: 1, job }
                    .fit(d)
            }),
        ),
        ("dbscan", Box::new(move |d| estimators::Dbscan { radius: 1.0, min_rows: 3, job }.fit(d))),
        (
            "tree",
            Box::new(move |d| {
                let classes = two();
                let categorical = Vec::new();
                trees::DecisionTree { classes, depth: 4, leaves: 16, min_rows: 2, categorical, job }
                    .fit(d)
            }),
        ),
        ("forest", Box::new(move |d| forest(two()).fit(d))),
        ("forest of numbers", Box::new(move |d| forest(Vec::new()).fit(d))),
        ("boosting", Box::new(move |d| boosted(Loss::Logistic).fit(d))),
        ("boosting of numbers", Box::new(move |d| boosted(Loss::Squared).fit(d))),
        ("boosting of quantiles", Box::new(move |d| boosted(Loss::Quantile(0.9)).fit(d))),
        ("boosting of counts", Box::new(move |d| boosted(Loss::Poisson).fit(d))),
        (
            "isolation",
            Box::new(move |d| trees::IsolationForest { trees: 5, sample: 64, seed: 1, job }.fit(d)),
        ),
    ]
}

/// What is hard about it, columns, outcomes.
type Hard = (&'static str, Vec<Vec<f64>>, Vec<f64>);

#[test]
fn no_data_makes_an_estimator_panic_or_say_what_is_not_finite() {
    let (x, y) = data(60, 3, 7);
    let mut hard: Vec<Hard> = vec![
        ("no row", vec![Vec::new(); 3], Vec::new()),
        ("one row", x.iter().map(|c| c[..1].to_vec()).collect(), y[..1].to_vec()),
        ("no column", Vec::new(), y.clone()),
        ("one class", x.clone(), vec![1.0; 60]),
        ("no positive", x.clone(), vec![0.0; 60]),
        ("constant columns", vec![vec![2.5; 60]; 3], y.clone()),
        ("the same row", x.iter().map(|c| vec![c[0]; 60]).collect(), y.clone()),
        ("the same column", vec![x[0].clone(); 3], y.clone()),
        (
            "huge numbers",
            x.iter().map(|c| c.iter().map(|v| v * 1e308).collect()).collect(),
            y.clone(),
        ),
        (
            "tiny numbers",
            x.iter().map(|c| c.iter().map(|v| v * 1e-300).collect()).collect(),
            y.clone(),
        ),
        ("huge outcomes", x.clone(), y.iter().map(|v| (v + 0.1) * 1e308).collect()),
        ("separated", vec![y.iter().map(|v| v * 2.0 - 1.0).collect(); 2], y.clone()),
        ("far from 0", x.iter().map(|c| c.iter().map(|v| v + 1e9).collect()).collect(), y.clone()),
    ];
    let (wide, few) = data(8, 40, 3);
    hard.push(("more columns than rows", wide, few));
    for (what, value) in [("a missing number", f64::NAN), ("infinity", f64::INFINITY)] {
        let mut x = x.clone();
        x[1][5] = value;
        hard.push((what, x, y.clone()));
    }
    for (what, x, y) in hard {
        let Ok(data) = dataset(&x, y, None) else { continue };
        for (name, fit) in all() {
            let fitted = catch_unwind(AssertUnwindSafe(|| fit(&data)));
            let fitted = fitted.unwrap_or_else(|_| panic!("{name} panicked at {what}"));
            let Ok(Trained(model)) = fitted else { continue };
            model.check().unwrap_or_else(|error| panic!("{name} at {what}: {error}"));
            let row: Vec<f64> = x.iter().map(|column| column[0]).collect();
            if row.iter().all(|x| x.is_finite() && x.abs() < 1e100) {
                let score = model.score(&row);
                assert!(score.is_finite(), "{name} at {what}: {score}");
            }
        }
    }
}

#[test]
fn a_canceled_job_stops_every_estimator() {
    let job = Job::unwatched();
    job.cancel();
    let (x, y) = data(200, 3, 5);
    let data = dataset(&x, y, None).unwrap();
    let canceled = [
        estimators::LogisticRegression { alpha: 1.0, job: &job }.fit(&data).err(),
        estimators::ElasticNet { alpha: 0.1, l1_ratio: 0.5, job: &job }.fit(&data).err(),
        estimators::KMeans { clusters: 2, starts: 1, seed: 1, job: &job }.fit(&data).err(),
        trees::GradientBoosting::new(Loss::Logistic, &job).fit(&data).err(),
        trees::IsolationForest { trees: 3, sample: 32, seed: 1, job: &job }.fit(&data).err(),
    ];
    assert!(canceled.iter().all(|error| matches!(error, Some(Error::Canceled))), "{canceled:?}");
}

#[test]
fn what_is_learned_does_not_depend_on_the_number_of_threads() {
    let (x, y) = data(70_000, 5, 11);
    let data = dataset(&x, y, None).unwrap();
    let wanted = ["logistic", "k-means", "forest", "boosting", "boosting of numbers", "ridge"];
    for (name, fit) in all().into_iter().filter(|(name, _)| wanted.contains(name)) {
        let learned: Vec<FrozenModel> = [1, 2, 4]
            .into_iter()
            .map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| fit(&data).unwrap().0)
            })
            .collect();
        assert!(learned[0] == learned[1] && learned[1] == learned[2], "{name}");
    }
}

#[test]
fn boosting_learns_what_a_line_cannot_and_keeps_its_promises() {
    let job = Job::unwatched();
    let (x, _) = data(3_000, 3, 5);
    let y: Vec<f64> = (0..3_000).map(|row| x[0][row] * x[1][row] + 0.1 * x[2][row]).collect();
    let data = dataset(&x, y.clone(), None).unwrap();
    let boosting = trees::GradientBoosting::new(Loss::Squared, &job);
    let said = boosting.fit(&data).unwrap().predict(data.records()).to_vec();
    assert!(metrics::r_squared(&said, &y, None) > 0.95);
    // A monotone score never falls.
    let monotone = trees::GradientBoosting { monotone: vec![0, 0, 1], ..boosting };
    let Trained(model) = monotone.fit(&data).unwrap();
    for other in [-1.5, 0.0, 1.5] {
        let scores: Vec<f64> =
            (0..50).map(|step| model.score(&[other, 0.7, f64::from(step) * 0.08 - 2.0])).collect();
        assert!(scores.is_sorted(), "{scores:?}");
    }
    // A missing number has a side of its own.
    let mut gaps = x.clone();
    let y: Vec<f64> = (0..3_000).map(|row| f64::from(u8::from(row % 3 == 0))).collect();
    (0..3_000).filter(|row| row % 3 == 0).for_each(|row| gaps[1][row] = f64::NAN);
    let data = dataset(&gaps, y, None).unwrap();
    let Trained(model) = trees::GradientBoosting::new(Loss::Logistic, &job).fit(&data).unwrap();
    assert!(model.score(&[0.0, f64::NAN, 0.0]) > 0.95 && model.score(&[0.0, 0.3, 0.0]) < 0.05);
}

#[test]
fn categories_are_split_by_sets() {
    let job = Job::unwatched();
    let codes: Vec<f64> = (0..4_000).map(|row| f64::from(row * 37 % 40)).collect();
    let y: Vec<f64> =
        codes.iter().map(|code| f64::from(u8::from((*code as u32).is_multiple_of(3)))).collect();
    let data = dataset(&[codes], y, None).unwrap();
    let boosting = trees::GradientBoosting::new(Loss::Logistic, &job);
    let boosting = trees::GradientBoosting { categorical: vec![true], rounds: 60, ..boosting };
    let Trained(model) = boosting.fit(&data).unwrap();
    for code in 0..40_u32 {
        let score = model.score(&[f64::from(code)]);
        assert_eq!(score > 0.5, code % 3 == 0, "{code}: {score}");
    }
    assert!(model.score(&[f64::NAN]).is_finite() && model.score(&[1e9]).is_finite());
}

/// The value of a tree when only some columns are known: the definition that Shapley values rest on.
fn expected(tree: &[Branch], at: usize, row: &[f64], known: u32) -> f64 {
    match &tree[at] {
        Branch::Leaf { value, .. } => *value,
        Branch::Split { column, split: Split::Number { threshold }, children, .. } => {
            let cover = |place: usize| match &tree[place] {
                Branch::Leaf { cover, .. } | Branch::Split { cover, .. } => *cover,
            };
            let (left, right) = *children;
            if known >> column & 1 == 1 {
                let next = if row[*column] <= *threshold { left } else { right };
                return expected(tree, next, row, known);
            }
            let total = cover(left) + cover(right);
            (cover(left) * expected(tree, left, row, known)
                + cover(right) * expected(tree, right, row, known))
                / total
        }
        Branch::Split { .. } => unreachable!("trees of numbers"),
    }
}

fn tree(
    depth: u32,
    random: &mut Random,
    branches: &mut Vec<Branch>,
    columns: usize,
) -> (usize, f64) {
    let place = branches.len();
    branches
        .push(Branch::Leaf { value: random.next(), cover: 1.0 + (random.next() * 20.0).floor() });
    if depth == 0 || random.next() < 0.2 {
        let Branch::Leaf { cover, .. } = branches[place] else { unreachable!() };
        return (place, cover);
    }
    let (left, l) = tree(depth - 1, random, branches, columns);
    let (right, r) = tree(depth - 1, random, branches, columns);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a column")]
    let column = (random.next() * columns as f64) as usize;
    let split = Split::Number { threshold: random.next() };
    branches[place] =
        Branch::Split { column, split, missing_left: false, cover: l + r, children: (left, right) };
    (place, l + r)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Against the definition: the mean over all orders of columns of what a column adds.
    #[test]
    fn explanations_of_trees_are_shapley_values(seed in 1_u64..u64::MAX) {
        const COLUMNS: usize = 4;
        let mut random = Random(seed);
        let mut branches = Vec::new();
        tree(4, &mut random, &mut branches, COLUMNS);
        let mut trees = Trees::new(COLUMNS, vec![0.25], Link::Identity, Vec::new());
        trees.push(&branches).unwrap();
        let row: Vec<f64> = (0..COLUMNS).map(|_| random.next()).collect();
        let said = trees.contributions(0, &row);
        let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
        for (column, said) in said.iter().enumerate() {
            let mut value = 0.0;
            for known in (0..1_u32 << COLUMNS).filter(|known| known >> column & 1 == 0) {
                let size = known.count_ones();
                let n = u32::try_from(COLUMNS).unwrap();
                let weight = factorial(size) * factorial(n - size - 1) / factorial(n);
                let with = expected(&branches, 0, &row, known | 1 << column);
                value += weight * (with - expected(&branches, 0, &row, known));
            }
            prop_assert!((value - said).abs() < 1e-9, "{value} {said}");
        }
        let sum = trees.expected(0) + said.iter().sum::<f64>();
        prop_assert!((sum - trees.sum(0, &row)).abs() < 1e-9);
    }

    /// Trees are the same after a file, and walked alone or eight at a time.
    #[test]
    fn trees_are_the_same_in_a_file_and_in_groups(
        seed in 1_u64..u64::MAX,
        missing in 0_usize..5,
        outputs in 1_usize..4,
        n_trees in 0_usize..14,
    ) {
        let mut random = Random(seed);
        let classes = (0..outputs).filter(|_| outputs > 1).map(|class| class.to_string()).collect();
        let mut all = Trees::new(5, vec![0.5; outputs], Link::Identity, classes);
        let mut alone = vec![0.5; outputs];
        let mut row: Vec<f64> = (0..5).map(|_| random.next()).collect();
        if let Some(x) = row.get_mut(missing) { *x = f64::NAN; }
        for at in 0..n_trees * outputs {
            let mut branches = Vec::new();
            tree(5, &mut random, &mut branches, 5);
            all.push(&branches).unwrap();
            let mut one = Trees::new(5, vec![0.0], Link::Identity, Vec::new());
            one.push(&branches).unwrap();
            alone[at % outputs] += one.sum(0, &row);
        }
        let text = serde_json::to_string(&all).unwrap();
        let back: Trees = serde_json::from_str(&text).unwrap();
        for (output, alone) in alone.iter().enumerate() {
            prop_assert!((all.sum(output, &row) - alone).abs() < 1e-12);
            prop_assert_eq!(back.sum(output, &row).to_bits(), all.sum(output, &row).to_bits());
        }
    }

    #[test]
    fn the_area_under_the_curve_is_what_pairs_say(
        rows in proptest::collection::vec((0_u8..6, any::<bool>()), 2..60),
    ) {
        let scores: Vec<f64> = rows.iter().map(|(score, _)| f64::from(*score)).collect();
        let positive: Vec<bool> = rows.iter().map(|(_, positive)| *positive).collect();
        let (mut sum, mut pairs) = (0.0, 0.0);
        for hit in (0..rows.len()).filter(|row| positive[*row]) {
            for miss in (0..rows.len()).filter(|row| !positive[*row]) {
                sum += match scores[hit].total_cmp(&scores[miss]) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
                pairs += 1.0;
            }
        }
        let auc = metrics::roc_auc(&scores, &positive, None);
        if pairs > 0.0 { prop_assert!((auc - sum / pairs).abs() < 1e-12) } else { prop_assert!(auc.is_nan()) }
    }
}

#[test]
fn metrics_of_known_scores() {
    // scikit-learn 1.9: roc_auc_score, log_loss, brier_score_loss, average_precision_score, ndcg_score.
    let (scores, positive) = ([0.1, 0.4, 0.35, 0.8], [false, false, true, true]);
    let near = |value: f64, known: f64| assert!((value - known).abs() < 1e-12, "{value} {known}");
    near(metrics::roc_auc(&scores, &positive, None), 0.75);
    near(metrics::log_loss(&scores, &positive, None), 0.472_287_953_809_176_15);
    near(metrics::brier(&scores, &positive, None), 0.158_125);
    near(metrics::average_precision(&scores, &positive, None), 0.833_333_333_333_333_3);
    near(
        metrics::ndcg(&[0.1, 0.2, 0.3, 4.0, 70.0], &[10.0, 0.0, 0.0, 1.0, 5.0], 5),
        0.695_694_044_381_307_6,
    );
    let confusion = metrics::confusion_at(&[1.0, 1.0, 1.0, 0.0], &[true, false, false, false], 0.5);
    near(confusion.precision(), 1.0 / 3.0);
    near(confusion.recall(), 1.0);
}

#[test]
fn purchases_that_were_drawn_give_their_parameters_back() {
    let job = Job::unwatched();
    let mut random = Random(99);
    // Every customer buys at a rate of 0.25 a week, and leaves after a purchase with a chance of 0.2.
    let customers: Vec<Purchases> = (0..4_000)
        .map(|_| {
            let age = 30.0 + random.next() * 10.0;
            let (mut now, mut frequency, mut recency) = (0.0, 0.0, 0.0);
            loop {
                now += -(1.0 - random.next()).ln() / 0.25;
                if now > age {
                    break;
                }
                frequency += 1.0;
                recency = now;
                if random.next() < 0.2 {
                    break;
                }
            }
            Purchases { frequency, recency, age, value: 20.0 }
        })
        .collect();
    let (model, _) = customers::fit_beta_geometric(&customers, &job).unwrap();
    let (rate, leaving) = (model.r / model.alpha, model.a / (model.a + model.b));
    assert!((rate - 0.25).abs() < 0.02, "{model:?}");
    assert!((leaving - 0.2).abs() < 0.02, "{model:?}");
    assert!(customers::fit_beta_geometric(&[], &job).is_err());
}

#[test]
fn items_that_go_together_are_found() {
    let job = Job::unwatched();
    // Items 0 to 4 go together, and 5 to 9: a customer has most of one kind, by chance.
    let mut random = Random(17);
    let rows: Vec<Vec<(u32, f32)>> = (0..400_u32)
        .map(|customer| {
            let first = customer % 2 * 5;
            (first..first + 5).filter(|_| random.next() < 0.7).map(|item| (item, 1.0)).collect()
        })
        .collect();
    let data = Interactions { n_items: 10, rows };
    let als = ImplicitAls {
        factors: 2,
        iterations: 10,
        regularization: 1.0,
        confidence: 10.0,
        seed: 3,
        job: &job,
    };
    let all = [
        Ease { lambda: 5.0, job: &job }.fit(&data),
        als.fit(&data),
        customers::item_item(&data, &job),
    ];
    for neighbors in all {
        let recommender = kernel::scoring::Recommender {
            items: (0..10).map(|item| format!("i{item}")).collect(),
            categories: vec![None; 10],
            popularity: data.popularity(),
            repeats: false,
            neighbors: neighbors.unwrap(),
        };
        let mut row = vec![0.0; 10];
        (row[0], row[2]) = (1.0, 1.0);
        let wish = kernel::scoring::Wish { limit: 3, ..Default::default() };
        let items: Vec<String> =
            recommender.recommend(&row, &wish).into_iter().map(|item| item.item).collect();
        // Whoever had 0 and 2 may want the others of that kind, and none of the other kind.
        let mut sorted = items.clone();
        sorted.sort();
        assert_eq!(sorted, ["i1", "i3", "i4"], "{items:?}");
    }
    let nothing = Interactions { n_items: 3, rows: Vec::new() };
    assert!(Ease { lambda: 5.0, job: &job }.fit(&nothing).is_err());
}
