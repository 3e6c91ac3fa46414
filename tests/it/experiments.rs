//! Experiments from a definition to a decision: who gets what over a real port, and what came of it.

#![allow(clippy::print_stdout, reason = "figures of simulations, for who asks with --nocapture")]

use kernel::domain::{Job, Name};
use models::experiments::{Effect, Method, Moments, RatioMismatch, theta};
use serde_json::{Value as Json, json};
use workspace::{Project, Sample, Verdict};

use crate::endpoint::{deploy, function};
use crate::support::{Answer, TestEndpoint, agent, read};

fn start(endpoint: &TestEndpoint, definition: &Json) -> Answer {
    start_file(endpoint, &json!({ "format": 1, "definition": definition }))
}

fn start_file(endpoint: &TestEndpoint, file: &Json) -> Answer {
    let name = file["definition"]["name"].as_str().unwrap();
    let path = format!("/v1/experiments/{name}");
    endpoint.post(&endpoint.keys.admin, &path, file.to_string().as_bytes())
}

fn decide(endpoint: &TestEndpoint, experiment: &str, customer: &str) -> Json {
    let path = format!("/v1/decide/{experiment}?customer_id={customer}");
    let answer = endpoint.get(&endpoint.keys.score, &path);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn end(endpoint: &TestEndpoint, experiment: &str, how: &str, body: &Json) -> Answer {
    let path = format!("/v1/experiments/{experiment}/{how}");
    endpoint.post(&endpoint.keys.admin, &path, body.to_string().as_bytes())
}

/// The exposures of a customer, oldest first. What was recorded is in the log before any event that was
/// sent after it.
fn exposures(endpoint: &TestEndpoint, customer: &str) -> Vec<Json> {
    endpoint.track(customer, "view", &json!({}));
    let timeline = endpoint.customer(customer)["timeline"].as_array().unwrap().clone();
    let own = timeline.iter().rev().filter(|event| event["event"] == "$exposure");
    own.map(|event| event["properties"].clone()).collect()
}

fn two(name: &str) -> Json {
    json!({ "name": name, "variants": [
        { "name": "paid", "value": { "shipping": 4.9 } }, { "name": "free", "value": { "shipping": 0 } },
    ]})
}

#[test]
fn a_customer_keeps_their_variant_and_is_exposed_once() {
    let mut endpoint = TestEndpoint::new();
    assert_eq!(start(&endpoint, &two("shipping")).status, 200);
    let ids: Vec<String> = (0..400).map(|n| format!("c{n}")).collect();
    let variants = |endpoint: &TestEndpoint, why: &str| -> Vec<Json> {
        let of = |id: &String| {
            let decision = decide(endpoint, "shipping", id);
            assert_eq!(decision["why"], why, "{decision}");
            decision["variant"].clone()
        };
        ids.iter().map(of).collect()
    };
    let first = variants(&endpoint, "assigned");
    let free = first.iter().filter(|variant| **variant == "free").count();
    // Five standard deviations of a binomial with n = 400 and p = 0.5 are 50.
    assert!((150..=250).contains(&free), "{free} of 400");
    assert_eq!(variants(&endpoint, "kept"), first);
    let own = exposures(&endpoint, "c7");
    assert_eq!(own.len(), 1, "{own:?}");
    assert_eq!(own[0]["variant"], first[7]);
    assert_eq!((&own[0]["version"], &own[0]["probability"]), (&json!(1.0), &json!(0.5)));
    endpoint.restart();
    assert_eq!(variants(&endpoint, "kept"), first, "also after a restart");
    // The same definition goes on; another one begins anew and asks nobody who had what.
    assert_eq!(start(&endpoint, &two("shipping")).body["version"], 1);
    let mut other = two("shipping");
    other["variants"][0]["weight"] = json!(0.0);
    other["variants"][1]["weight"] = json!(1.0);
    assert_eq!(start(&endpoint, &other).body["version"], 2);
    assert!(variants(&endpoint, "assigned").iter().all(|variant| variant == "free"));
    assert_eq!(exposures(&endpoint, "c7").len(), 2);
    // Who was erased is somebody new, of whom it is recorded again.
    assert_eq!(endpoint.delete(&endpoint.keys.admin, "/v1/customers/c7").status, 200);
    assert_eq!(decide(&endpoint, "shipping", "c7")["why"], "assigned");
    assert_eq!(exposures(&endpoint, "c7").len(), 1);
}

#[test]
fn who_was_anonymous_keeps_the_variant_after_the_join() {
    let endpoint = TestEndpoint::new();
    assert_eq!(start(&endpoint, &two("shipping")).status, 200);
    for n in 0..40 {
        let (anonymous, known) = (format!("anonymous-{n}"), format!("known-{n}"));
        let before = decide(&endpoint, "shipping", &anonymous);
        // The exposure is in the log before this answer.
        let body = json!({ "userId": known, "anonymousId": anonymous, "traits": {} });
        let body = body.to_string();
        let answer = endpoint.post(&endpoint.keys.write, "/v1/identify", body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        let after = decide(&endpoint, "shipping", &known);
        assert_eq!(after["variant"], before["variant"], "{known}");
        assert_eq!(after["why"], "kept");
    }
}

#[test]
fn layers_share_no_customer_and_the_holdout_is_in_nothing() {
    let endpoint = TestEndpoint::new();
    let of = |name: &str, from: f64, until: f64| {
        let mut definition = two(name);
        definition["layer"] = json!({ "name": "checkout", "from": from, "until": until });
        definition["holdout"] = json!(0.2);
        definition
    };
    assert_eq!(start(&endpoint, &of("one", 0.0, 0.5)).status, 200);
    let refused = start(&endpoint, &of("two", 0.4, 1.0));
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body["detail"].as_str().unwrap().contains("take another part"));
    assert_eq!(start(&endpoint, &of("two", 0.5, 1.0)).status, 200);
    let (mut held, mut both, mut neither) = (0, 0, 0);
    for n in 0..500 {
        let customer = format!("c{n}");
        let one = decide(&endpoint, "one", &customer);
        let two = decide(&endpoint, "two", &customer);
        match (one["variant"].is_null(), two["variant"].is_null()) {
            (false, false) => both += 1,
            (true, true) => {
                neither += 1;
                held += usize::from(one["why"] == "holdout" && two["why"] == "holdout");
                assert_eq!(one["value"], json!({ "shipping": 4.9 }), "the control's value");
            }
            _ => {}
        }
    }
    assert_eq!((both, neither), (0, held), "in one of them, or held out of both");
    assert!((50..=150).contains(&held), "{held} of 500 held out");
}

#[test]
fn the_variants_of_a_deployment_answer_for_its_scores() {
    let endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    let uploaded = endpoint.post(&endpoint.keys.admin, "/v1/functions", function(2.0).as_bytes());
    let body = json!({ "function": uploaded.body["function"], "role": "shadow" }).to_string();
    endpoint.post(&endpoint.keys.admin, "/v1/deployments/tiny", body.as_bytes());
    let definition = json!({ "name": "better", "deployment": "tiny", "variants": [
        { "name": "old" }, { "name": "new", "version": 2 },
    ]});
    assert_eq!(start(&endpoint, &definition).status, 200);
    let mut seen = [0, 0];
    for n in 0..60 {
        let customer = format!("c{n}");
        let answer =
            endpoint.get(&endpoint.keys.score, &format!("/v1/score/tiny?customer_id={customer}"));
        let score = answer.body;
        let is_new = score["variant"] == "new";
        assert_eq!(score["experiment"], "better", "{score}");
        assert_eq!(score["version"], if is_new { 2 } else { 1 }, "{score}");
        assert_eq!(decide(&endpoint, "better", &customer)["variant"], score["variant"]);
        seen[usize::from(is_new)] += 1;
        assert_eq!(exposures(&endpoint, &customer).len(), 1);
    }
    assert!(seen.iter().all(|n| *n > 10), "{seen:?}");
    // The winner becomes champion, for everybody.
    let decided =
        end(&endpoint, "better", "decide", &json!({ "variant": "new", "note": "it is better" }));
    assert_eq!(
        (&decided.body["state"], &decided.body["winner"]),
        (&json!("decided"), &json!("new"))
    );
    assert_eq!(decided.body["changes"][1]["note"], "it is better");
    for n in 0..20 {
        let answer =
            endpoint.get(&endpoint.keys.score, &format!("/v1/score/tiny?customer_id=c{n}"));
        assert_eq!(
            (&answer.body["version"], &answer.body["variant"]),
            (&json!(2), &json!("champion"))
        );
    }
    let stopped = end(&endpoint, "better", "stop", &json!({}));
    assert_eq!(stopped.body["state"], "stopped");
    assert_eq!(decide(&endpoint, "better", "c1")["why"], "stopped");
}

#[test]
fn published_protocols_say_the_same_as_a_decision() {
    let endpoint = TestEndpoint::new();
    let mut definition = two("shipping");
    definition["traffic"] = json!(0.5);
    definition["holdout"] = json!(0.1);
    assert_eq!(start(&endpoint, &definition).status, 200);
    let ask = |path: &str, body: Json, tag: Option<&str>| {
        let request = agent().post(format!("{}{path}", endpoint.url));
        let bearer = format!("Bearer {}", endpoint.keys.score);
        let request = request.header("authorization", bearer);
        let request = match tag {
            Some(tag) => request.header("if-none-match", tag),
            None => request,
        };
        read(request.send(body.to_string().as_bytes()).unwrap())
    };
    for n in 0..50 {
        let customer = format!("c{n}");
        let body = json!({ "context": { "targetingKey": customer } });
        let flag = ask("/ofrep/v1/evaluate/flags/shipping", body.clone(), None).body;
        let decision = decide(&endpoint, "shipping", &customer);
        assert_eq!(flag["value"], decision["value"]);
        let is_in = !decision["variant"].is_null();
        assert_eq!(
            flag["variant"],
            if is_in { decision["variant"].clone() } else { json!("paid") }
        );
        assert_eq!(flag["reason"], if is_in { "SPLIT" } else { "DEFAULT" });
        let all = ask("/ofrep/v1/evaluate/flags", body.clone(), None);
        let tag = all.headers["etag"].to_str().unwrap().to_owned();
        assert_eq!(ask("/ofrep/v1/evaluate/flags", body, Some(&tag)).status, 304);
    }
    for (body, status, code) in [
        (json!({ "context": {} }), 400, "TARGETING_KEY_MISSING"),
        (json!("ada"), 400, "PARSE_ERROR"),
    ] {
        let refused = ask("/ofrep/v1/evaluate/flags/shipping", body, None);
        assert_eq!((refused.status, &refused.body["errorCode"]), (status, &json!(code)));
    }
    let unknown = json!({ "context": { "targetingKey": "ada" } });
    let unknown = ask("/ofrep/v1/evaluate/flags/nothing", unknown, None);
    assert_eq!((unknown.status, &unknown.body["errorCode"]), (404, &json!("FLAG_NOT_FOUND")));
    // GrowthBook's payload, for a key that is as public as theirs.
    let path = format!("/api/features/{}", endpoint.keys.write);
    let features = read(agent().get(format!("{}{path}", endpoint.url)).call().unwrap());
    let rule = &features.body["features"]["shipping"]["rules"][0];
    assert_eq!((&rule["hashVersion"], &rule["coverage"]), (&json!(2), &json!(0.5)));
    let nobody = read(agent().get(format!("{}/api/features/x", endpoint.url)).call().unwrap());
    assert_eq!(nobody.status, 401);
}

#[test]
fn definitions_that_make_no_sense_are_refused_and_say_what_would() {
    let endpoint = TestEndpoint::new();
    let base = || two("shipping");
    let with = |field: &str, value: Json| {
        let mut definition = base();
        definition[field] = value;
        definition
    };
    for (definition, said) in [
        (with("variants", json!([{ "name": "one" }])), "2 to 20 variants"),
        (with("variants", json!([{ "name": "a" }, { "name": "a" }])), "two are called 'a'"),
        (
            with(
                "variants",
                json!([{ "name": "a", "weight": 0.7 }, { "name": "b", "weight": 0.7 }]),
            ),
            "add up to 1.4",
        ),
        (with("traffic", json!(0)), "a share between"),
        (with("layer", json!({ "name": "l", "from": 0.5, "until": 0.5 })), "ends after it begins"),
        (with("eligible", json!("orders > 1")), "name the view"),
        (with("allocation", json!("thompson")), "primary metric"),
        (with("metrics", json!([{ "name": "m", "aggregation": "count" }])), "role primary"),
        (with("deployment", json!("nothing")), "nothing is deployed as 'nothing'"),
        (with("unknown", json!(1)), "unknown field"),
    ] {
        let refused = start(&endpoint, &definition);
        assert!((400..=404).contains(&refused.status), "{definition}: {refused:?}");
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains(said), "'{detail}' does not say '{said}'");
    }
    let unknown = endpoint.get(&endpoint.keys.score, "/v1/decide/nothing?customer_id=ada");
    assert_eq!(unknown.status, 404);
}

#[test]
fn a_bandit_moves_customers_to_the_better_variant_and_logs_the_odds() {
    let endpoint = TestEndpoint::new();
    let mut definition = two("offer");
    definition["allocation"] = json!("thompson");
    definition["metrics"] = json!([{ "name": "bought", "role": "primary", "aggregation": "count",
        "events": ["order"], "conversion": true }]);
    let file = json!({ "format": 1, "definition": definition, "reads":
        { "events": ["order"], "properties": {}, "traits": {} } });
    assert_eq!(start_file(&endpoint, &file).status, 200);
    let chance = || {
        let live = endpoint.get(&endpoint.keys.score, "/v1/experiments/offer").body;
        (
            live["arms"][1]["chance"].as_f64().unwrap(),
            live["arms"][1]["rewards"].as_f64().unwrap(),
            live["arms"][0]["exposed"].as_f64().unwrap()
                + live["arms"][1]["exposed"].as_f64().unwrap(),
        )
    };
    let mut bought = 0;
    for n in 0..60 {
        let customer = format!("c{n}");
        // Free shipping always sells, paid shipping never.
        if decide(&endpoint, "offer", &customer)["variant"] == "free" {
            endpoint.track(&customer, "order", &json!({}));
            bought += 1;
        }
    }
    endpoint.track("somebody", "view", &json!({}));
    // It has read all of them, soon: nothing else says when.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while chance().2 < 60.0 || (chance().1 - f64::from(bought)).abs() > 0.1 {
        assert!(std::time::Instant::now() < deadline, "{:?} of {bought}", chance());
        std::thread::yield_now();
    }
    assert!(chance().0 > 0.95, "{:?}", chance());
    let later =
        (100..200).filter(|n| decide(&endpoint, "offer", &format!("c{n}"))["variant"] == "free");
    let later = later.count();
    assert!(later > 85, "{later} of 100");
    let own = exposures(&endpoint, "c150");
    assert!(own[0]["probability"].as_f64().unwrap() > 0.95 || own[0]["variant"] == "paid");
}

/// The shop's sample in a project of its own.
fn shop() -> (tempfile::TempDir, Project) {
    let folder = tempfile::tempdir().unwrap();
    let project = Project::open(folder.path()).unwrap();
    Sample::Shop.fill(&project, &Job::unwatched()).unwrap();
    (folder, project)
}

#[test]
fn the_readout_is_what_sql_says_and_finds_the_true_effect() {
    let (_folder, project) = shop();
    let (name, job): (Name, Job) = ("free_shipping".parse().unwrap(), Job::unwatched());
    let readout = project.readout(&name, None, &job).unwrap();
    let queries = project.readout_sql(&name, readout.version).unwrap();
    assert!(queries.len() >= 3, "{queries:?}");
    for (metric, sql) in queries {
        let own = readout.metrics.iter().find(|it| it.name == metric).unwrap();
        let result = project.query(&sql, 100, &job).unwrap();
        let by_variant = |variant: &str| {
            let row = result.rows.iter().find(|row| row[0].to_string() == variant).unwrap();
            (row[1].as_number().unwrap(), row[2].as_number().unwrap())
        };
        for arm in &own.arms {
            let (customers, mean) = by_variant(arm.variant.as_str());
            #[allow(clippy::cast_precision_loss, reason = "a number of customers")]
            let n = arm.customers as f64;
            assert!((n - customers).abs() < 0.5, "{metric} {arm:?} {customers}");
            assert!(
                (arm.mean - mean).abs() < 1e-9 * mean.abs().max(1.0),
                "{metric} {arm:?} {mean}"
            );
        }
    }
    let truth = workspace::truth(5_000, 200_000, 7);
    let effect = &readout.metrics[0].effects[0];
    let interval = effect.absolute;
    assert!(
        interval.low < truth.true_effect && truth.true_effect < interval.high,
        "{interval:?} {truth:?}"
    );
    assert_eq!(readout.advice.verdict, Verdict::Ship, "{:?}", readout.advice);
    assert!(readout.advice.days_to_decision.unwrap() < readout.days);
    let plan = project.plan_experiment(&project.experiment(&name).unwrap(), &job).unwrap();
    assert!(plan.customers_a_day > 10.0 && plan.metrics[0].days_always > plan.metrics[0].days);
}

/// Numbers from a seed, the same everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        #[allow(clippy::cast_precision_loss, reason = "53 bits")]
        let unit = ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }
}

/// An experiment of so many customers: each has a habit, which the time before shows too; `effect` is what
/// the treatment adds to the mean of 1. Gives the moments of both variants after every batch.
fn simulated(seed: u64, customers: usize, batch: usize, effect: f64) -> Vec<[Moments; 2]> {
    let mut dice = Dice(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut moments = [Moments::default(); 2];
    let mut looks = Vec::new();
    for n in 1..=customers {
        let exponential = |dice: &mut Dice| -(1.0 - dice.next()).ln();
        let habit = exponential(&mut dice);
        let variant = usize::from(dice.next() < 0.5);
        let before = habit + 0.5 * exponential(&mut dice);
        let own = 0.7 * habit + 0.3 * exponential(&mut dice);
        let more = if variant == 1 { effect } else { 0.0 };
        moments[variant].add(own + more, 1.0, before);
        if n % batch == 0 {
            looks.push(moments);
        }
    }
    looks
}

const RUNS: u64 = 1_000;

#[test]
fn looking_at_every_batch_of_an_a_a_test_finds_nothing_more_often_than_it_may() {
    let (mut always, mut fixed) = (0, 0);
    for seed in 0..RUNS {
        let looks = simulated(seed, 4_000, 40, 0.0);
        let claims = |method: Method| {
            looks.iter().any(|[control, treatment]| {
                let theta = theta(control, treatment);
                let effect = Effect::absolute(control.adjusted(theta), treatment.adjusted(theta));
                effect.interval(method, 0.05).p_value < 0.05
            })
        };
        always += u64::from(claims(Method::Sequential(5_000.0)));
        fixed += u64::from(claims(Method::Fixed));
    }
    println!(
        "false positives of {RUNS} A/A tests with 100 looks: {always} always-valid, {fixed} by t-tests"
    );
    assert!(always * 20 <= RUNS, "{always} of {RUNS}");
    assert!(fixed * 5 > RUNS, "peeking at t-tests is what must be avoided: {fixed}");
}

#[test]
fn an_interval_covers_the_truth_and_what_was_there_before_narrows_it() {
    let (mut covered, mut narrower, mut expected) = (0, 0.0, 0.0);
    for seed in 0..RUNS {
        let looks = simulated(seed + RUNS, 2_000, 2_000, 0.1);
        let [control, treatment] = looks.last().unwrap();
        let plain = Effect::absolute(control.plain(), treatment.plain());
        let theta = theta(control, treatment);
        let adjusted = Effect::absolute(control.adjusted(theta), treatment.adjusted(theta));
        let interval = adjusted.interval(Method::Fixed, 0.05);
        covered += u64::from(interval.low < 0.1 && 0.1 < interval.high);
        narrower += adjusted.variance() / plain.variance();
        expected += 1.0 - control.merged(treatment).correlation().powi(2);
    }
    #[allow(clippy::cast_precision_loss, reason = "a thousand")]
    let n = RUNS as f64;
    println!(
        "covered {covered} of {RUNS}; variance {:.4} of the plain one, by the correlation {:.4}",
        narrower / n,
        expected / n
    );
    assert!((930..=970).contains(&covered), "{covered}");
    assert!((narrower / expected - 1.0).abs() < 0.01, "{narrower} {expected}");
}

#[test]
fn a_wrong_split_is_found_and_a_right_one_is_not() {
    let found = |share: f64, seeds: std::ops::Range<u64>| {
        seeds
            .filter(|seed| {
                let mut dice = Dice(seed * 77);
                let mut counts = [0.0; 2];
                (0..100).any(|_| {
                    (0..1_000).for_each(|_| counts[usize::from(dice.next() < share)] += 1.0);
                    RatioMismatch::of(&counts, &[0.5, 0.5]).is_wrong()
                })
            })
            .count()
    };
    let (wrong, right) = (found(0.51, 0..200), found(0.5, 0..1_000));
    println!(
        "51:49 found in {wrong} of 200 by 100,000 customers; 50:50 stopped in {right} of 1,000"
    );
    assert!(wrong >= 198, "{wrong} of 200");
    assert!(right <= 10, "{right} of 1,000, looked at a hundred times");
}

#[test]
fn thompson_sampling_regrets_less_than_a_fixed_split() {
    use kernel::experiments::{Arm, chances};
    let rates = [0.05, 0.08, 0.06];
    let regret = |adaptive: bool, seed: u64| {
        let mut dice = Dice(seed * 31 + 5);
        let mut arms = [Arm::default(); 3];
        let mut weights = vec![1.0 / 3.0; 3];
        let mut regret = 0.0;
        for n in 0..6_000 {
            if adaptive && n % 50 == 0 {
                let posteriors: Vec<_> = arms.iter().map(Arm::conversion).collect();
                weights = chances(&posteriors, false, 0.02);
            }
            let place = dice.next();
            let arm =
                usize::from(place >= weights[0]) + usize::from(place >= weights[0] + weights[1]);
            arms[arm].exposed += 1.0;
            if dice.next() < rates[arm] {
                arms[arm].reward(0.0, 1.0);
            }
            regret += 0.08 - rates[arm];
        }
        regret
    };
    let total = |adaptive: bool| (0..100).map(|seed| regret(adaptive, seed)).sum::<f64>() / 100.0;
    let (adaptive, fixed) = (total(true), total(false));
    println!(
        "regret over 6,000 customers: {adaptive:.1} by Thompson sampling, {fixed:.1} by a fixed split"
    );
    assert!(adaptive < 0.5 * fixed, "{adaptive} {fixed}");
}
