//! Experiments as they are run: many at once at a real endpoint, back through `pull`, and read out.

#![allow(clippy::print_stdout, reason = "figures of simulations, for who asks with --nocapture")]

use kernel::domain::{Job, Time};
use kernel::experiments::ExperimentDefinition;
use serde_json::{Value as Json, json};
use workspace::{Client, Project};

use crate::experiments::Dice;
use crate::support::TestEndpoint;

/// Customers, each of whom is in every experiment.
const CUSTOMERS: usize = 1_000;
/// What the treatment adds to `bought`, and nothing to `spent`.
const EFFECT: f64 = 0.4;
/// How much of what is spent was to be seen before.
const CORRELATION: f64 = 0.7;
/// Events of a batch.
const BATCH: usize = 500;

/// Experiments at once: of their own seeds, so that each divides the same customers anew. More with
/// `FULLCIRCLE_EXPERIMENTS=1000`.
fn n_experiments() -> usize {
    let asked = std::env::var("FULLCIRCLE_EXPERIMENTS").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(60)
}

/// An A/A test of what is spent, and beside it an A/B test of what is bought under its name.
fn definition(name: &str) -> Json {
    json!({
        "name": name, "alpha": 0.05,
        "variants": [{ "name": "a", "value": 0 }, { "name": "b", "value": 1 }],
        "metrics": [
            { "name": "spent", "role": "primary", "aggregation": "sum", "events": ["spent"],
              "property": "amount" },
            { "name": "bought", "aggregation": "sum", "events": [format!("bought_{name}")],
              "property": "amount" },
        ],
    })
}

/// A number of a normal distribution (Box and Muller 1958).
fn normal(dice: &mut Dice) -> f64 {
    let (u, v) = (1.0 - dice.next(), dice.next());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn event(customer: &str, name: &str, amount: f64, at: Option<&str>) -> Json {
    let mut event = json!({ "type": "track", "userId": customer, "event": name,
        "properties": { "amount": amount } });
    if let Some(at) = at {
        event["timestamp"] = json!(at);
    }
    event
}

fn send(endpoint: &TestEndpoint, events: &[Json]) {
    for batch in events.chunks(BATCH) {
        let body = json!({ "batch": batch }).to_string();
        let answer = endpoint.post(&endpoint.keys.write, "/v1/batch", body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// Before the experiments: what everybody spent three days ago. Gives it by customer.
fn spend_before(endpoint: &TestEndpoint, dice: &mut Dice) -> Vec<f64> {
    let now = endpoint.get(&endpoint.keys.score, "/healthz").body["time"].clone();
    let now: Time = now.as_str().unwrap().parse().unwrap();
    let then = Time(now.0 - 3 * kernel::domain::MICROS_PER_DAY).to_string();
    let spent: Vec<f64> = (0..CUSTOMERS).map(|_| normal(dice)).collect();
    let events = spent.iter().enumerate();
    let events: Vec<Json> =
        events.map(|(n, amount)| event(&format!("c{n}"), "spent", *amount, Some(&then))).collect();
    send(endpoint, &events);
    spent
}

/// Everybody asks for all experiments at once, as applications do, then spends, and buys more where the
/// treatment makes them.
fn live(endpoint: &TestEndpoint, before: &[f64], dice: &mut Dice) {
    for (n, before) in before.iter().enumerate() {
        let customer = format!("c{n}");
        let body = json!({ "context": { "targetingKey": customer } }).to_string();
        let path = "/ofrep/v1/evaluate/flags";
        let answer = endpoint.post(&endpoint.keys.score, path, body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        let new = normal(dice);
        let spent = CORRELATION * before + (1.0 - CORRELATION * CORRELATION).sqrt() * new;
        let mut events = vec![event(&customer, "spent", spent, None)];
        for flag in answer.body["flags"].as_array().unwrap() {
            let more = EFFECT * flag["value"].as_f64().unwrap();
            let name = format!("bought_{}", flag["key"].as_str().unwrap());
            events.push(event(&customer, &name, more + normal(dice), None));
        }
        send(endpoint, &events);
    }
}

/// Seeded, so that who is in which variant and what they do is the same every time.
#[test]
#[allow(clippy::cast_precision_loss, reason = "a number of experiments")]
fn experiments_through_the_endpoint_and_back_claim_what_is_true() {
    let n = n_experiments();
    let endpoint = TestEndpoint::new();
    let names: Vec<String> = (0..n).map(|n| format!("e{n:04}")).collect();
    for name in &names {
        let body = json!({ "format": 1, "definition": definition(name) }).to_string();
        let path = format!("/v1/experiments/{name}");
        let answer = endpoint.post(&endpoint.keys.admin, &path, body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let mut dice = Dice(0x5eed);
    let before = spend_before(&endpoint, &mut dice);
    live(&endpoint, &before, &mut dice);

    let folder = tempfile::tempdir().unwrap();
    let project = Project::open(folder.path()).unwrap();
    let job = Job::unwatched();
    let client = Client::new(&endpoint.url, Some(endpoint.keys.admin.clone()));
    let pulled = project.pull(&client, &job).unwrap();
    let expected = CUSTOMERS * (2 * n + 2);
    assert_eq!(usize::try_from(pulled.accepted).unwrap(), expected, "every exposure, each once");

    let (mut always, mut peeked, mut covered, mut explained, mut wrong) = (0, 0, 0, 0.0, 0);
    for name in &names {
        let definition: ExperimentDefinition = serde_json::from_value(definition(name)).unwrap();
        project.save_experiment(&definition).unwrap();
        let readout = project.readout(&definition.name, None, &job).unwrap();
        assert_eq!(readout.customers, CUSTOMERS);
        wrong += usize::from(readout.split.unwrap().is_wrong());
        let finds = |low: f64, high: f64| low > 0.0 || high < 0.0;
        assert!(readout.looks.len() >= 20, "{} looks", readout.looks.len());
        always += usize::from(
            readout.looks.iter().any(|look| finds(look.absolute.low, look.absolute.high)),
        );
        let spent = &readout.metrics[0].effects[0];
        peeked += usize::from(finds(spent.fixed.low, spent.fixed.high));
        explained += spent.explained / n as f64;
        let bought = &readout.metrics[1].effects[0].fixed;
        covered += usize::from(bought.low < EFFECT && EFFECT < bought.high);
    }
    let correlation = explained.sqrt();
    println!(
        "{n} experiments of {CUSTOMERS} customers through endpoint and pull: {always} A/A tests found \
         something at any of their looks, {peeked} at one planned look; {covered} intervals have the true \
         effect; {explained:.4} of the variance explained by what was before (a correlation of \
         {correlation:.3}); {wrong} splits wrong"
    );
    assert!(always * 20 <= n, "{always} of {n} A/A tests");
    // Five standard deviations around 95 %; of a thousand they are the 93 to 97 % that are asked for.
    let off = (covered as f64 / n as f64 - 0.95).abs();
    assert!(off < (5.0 * (0.05 * 0.95 / n as f64).sqrt()).max(0.02), "{covered} of {n}");
    assert!((correlation - CORRELATION).abs() < 0.05, "{correlation}");
    assert!(wrong * 100 <= n, "{wrong} of {n}");
}

/// Customers of the simulation of a wrong split; at 100,000 one percent is found, at few only more.
fn n_customers() -> usize {
    let asked = std::env::var("FULLCIRCLE_CUSTOMERS").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(5_000)
}

/// The endpoint gives one variant too seldom; nobody but the readout can see it.
#[test]
fn a_split_that_is_wrong_at_the_endpoint_stops_the_readout() {
    let n = n_customers();
    let share = if n >= 100_000 { 0.51 } else { 0.56 };
    let endpoint = TestEndpoint::new();
    let folder = tempfile::tempdir().unwrap();
    let project = Project::open(folder.path()).unwrap();
    let job = Job::unwatched();
    for (name, share) in [("right", 0.5), ("wrong", share)] {
        let mut live = definition(name);
        live["variants"][0]["weight"] = json!(share);
        live["variants"][1]["weight"] = json!(1.0 - share);
        let body = json!({ "format": 1, "definition": live }).to_string();
        let path = format!("/v1/experiments/{name}");
        assert_eq!(endpoint.post(&endpoint.keys.admin, &path, body.as_bytes()).status, 200);
        let written: ExperimentDefinition = serde_json::from_value(definition(name)).unwrap();
        project.save_experiment(&written).unwrap();
    }
    let events: Vec<Json> = (0..100).map(|n| event(&format!("c{n}"), "spent", 1.0, None)).collect();
    send(&endpoint, &events);
    for customer in 0..n {
        let body = json!({ "context": { "targetingKey": format!("c{customer}") } }).to_string();
        let path = "/ofrep/v1/evaluate/flags";
        assert_eq!(endpoint.post(&endpoint.keys.score, path, body.as_bytes()).status, 200);
    }
    send(
        &endpoint,
        &[event("c0", "bought_right", 1.0, None), event("c0", "bought_wrong", 1.0, None)],
    );
    let client = Client::new(&endpoint.url, Some(endpoint.keys.admin.clone()));
    project.pull(&client, &job).unwrap();
    let read = |name: &str| project.readout(&name.parse().unwrap(), None, &job).unwrap();
    let (right, wrong) = (read("right"), read("wrong"));
    println!(
        "{n} customers: {share}:{:.2} has p {:.2e}, 50:50 has p {:.3}",
        1.0 - share,
        wrong.split.unwrap().always_valid,
        right.split.unwrap().always_valid
    );
    assert_eq!(wrong.advice.verdict, workspace::Verdict::SplitIsWrong);
    assert_ne!(right.advice.verdict, workspace::Verdict::SplitIsWrong);
}

/// Customers of a bandit.
const ARRIVALS: usize = 1_200;

/// What was lost by not giving everybody the better variant, at a real endpoint that learns as events come.
#[test]
#[allow(clippy::cast_precision_loss, reason = "a number of customers")]
fn a_bandit_at_the_endpoint_loses_less_than_a_fixed_split() {
    const RATES: [f64; 2] = [0.2, 0.5];
    let endpoint = TestEndpoint::new();
    let definition = json!({
        "name": "offer", "allocation": "thompson",
        "variants": [{ "name": "a", "value": 0 }, { "name": "b", "value": 1 }],
        "metrics": [{ "name": "ordered", "role": "primary", "aggregation": "count",
            "events": ["order"], "conversion": true }],
    });
    let file = json!({ "format": 1, "definition": definition,
        "reads": { "events": ["order"], "properties": {}, "traits": {} } });
    let path = "/v1/experiments/offer";
    let body = file.to_string();
    assert_eq!(endpoint.post(&endpoint.keys.admin, path, body.as_bytes()).status, 200);
    let mut dice = Dice(0xba2d);
    let mut lost = 0.0;
    for n in 0..ARRIVALS {
        let path = format!("/v1/decide/offer?customer_id=c{n}");
        let variant = endpoint.get(&endpoint.keys.score, &path).body["value"].as_f64().unwrap();
        let rate = if variant > 0.5 { RATES[1] } else { RATES[0] };
        lost += RATES[1] - rate;
        if dice.next() < rate {
            endpoint.track(&format!("c{n}"), "order", &json!({}));
        }
    }
    let split = ARRIVALS as f64 * (RATES[1] - RATES[0]) / 2.0;
    println!("a bandit at the endpoint loses {lost:.1} of {ARRIVALS}, a fixed split {split:.1}");
    assert!(lost < split / 2.0, "{lost} {split}");
}

/// Two kinds of customers want two things: only who knows them live can give each their own.
#[test]
fn a_contextual_bandit_learns_whom_to_give_what() {
    let endpoint = TestEndpoint::new();
    let folder = tempfile::tempdir().unwrap();
    let project = Project::open(&folder.path().join("project")).unwrap();
    let job = Job::unwatched();
    let mut csv = "customer_id,event,event_time\n".to_owned();
    for n in 0..40 {
        csv += &format!(
            "h{n},{},2024-01-0{}\n",
            if n % 2 == 0 { "visit" } else { "order" },
            1 + n % 9
        );
    }
    let file = folder.path().join("history.csv");
    std::fs::write(&file, csv).unwrap();
    project.import(&[file], &workspace::Options::default(), &job).unwrap();
    let view =
        "name = 'seen'\n[[features]]\nname = 'visits'\naggregation = 'count'\nevents = ['visit']\n";
    std::fs::write(project.folder().join("views/seen.toml"), view).unwrap();
    let definition: ExperimentDefinition = serde_json::from_value(json!({
        "name": "own", "allocation": "contextual", "view": "seen", "context": ["visits"],
        "variants": [{ "name": "a", "value": 0 }, { "name": "b", "value": 1 }],
        "metrics": [{ "name": "ordered", "role": "primary", "aggregation": "count",
            "events": ["order"], "conversion": true }],
    }))
    .unwrap();
    project.save_experiment(&definition).unwrap();
    let client = Client::new(&endpoint.url, Some(endpoint.keys.admin.clone()));
    project.start_experiment(&definition.name, &client).unwrap();
    let mut dice = Dice(0xc0de);
    let mut own = [0; 2];
    for n in 0..ARRIVALS {
        let customer = format!("c{n}");
        let has_visited = n % 2 == 0;
        if has_visited {
            endpoint.track(&customer, "visit", &json!({}));
        }
        let decision = client.decide("own", &customer).unwrap();
        // Who has visited wants b, who has not wants a.
        let is_own = (decision.value == json!(1)) == has_visited;
        if dice.next() < if is_own { 0.7 } else { 0.1 } {
            endpoint.track(&customer, "order", &json!({}));
        }
        own[usize::from(n >= ARRIVALS / 2)] += usize::from(is_own);
    }
    let half = ARRIVALS / 2;
    println!("what they wanted got {} of the first {half}, {} of the last {half}", own[0], own[1]);
    assert!(own[1] * 10 > half * 8, "{own:?} of {half}");
}
