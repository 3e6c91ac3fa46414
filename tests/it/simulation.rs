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
