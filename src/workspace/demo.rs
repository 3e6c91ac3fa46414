use std::path::{Path, PathBuf};
use std::time::Instant;

use kernel::domain::{Job, Name};
use kernel::features::Knowledge;
use serde::Serialize;
use serde_json::json;

use crate::going_live::Verified;
use crate::sample::{CDNOW_EVENT, Sample};
use crate::{Client, Error, LocalEndpoint, Project, Result, Rollout, Verdict, truth};

/// The whole circle in figures.
#[derive(Clone, Debug, Serialize)]
pub struct DemoReport {
    /// Events that were imported.
    pub events: u64,
    /// Their customers.
    pub customers: u64,
    /// Features of the view.
    pub features: usize,
    /// Rows that the model was trained on.
    pub training_rows: usize,
    /// Positive rows among them.
    pub positives: usize,
    /// AUC on the training part.
    pub auc_train: f64,
    /// AUC on the later test part.
    pub auc_test: f64,
    /// Hash of the function that went live.
    pub function: String,
    /// The name that it is live under.
    pub name: String,
    /// The customer that was scored.
    pub customer: String,
    /// Their score before a purchase.
    pub score_before: f64,
    /// Their score right after.
    pub score_after: f64,
    /// Live scores against offline ones.
    pub verified: Verified,
    /// Live events that came back.
    pub pulled: u64,
    /// The experiment of the shop.
    pub experiment: DemoExperiment,
    /// How long all of it took.
    pub seconds: f64,
}

/// An experiment in figures: shares of customers who order.
#[derive(Clone, Debug, Serialize)]
pub struct DemoExperiment {
    /// Customers who got a variant.
    pub customers: usize,
    /// What the generator of the data put into it.
    pub true_effect: f64,
    /// What was measured.
    pub estimate: f64,
    /// An interval around it that holds at every look.
    pub low: f64,
    /// Its other end.
    pub high: f64,
    /// What was decided.
    pub decision: Verdict,
    /// Days that it took.
    pub days_to_decision: Option<f64>,
    /// What every customer gets from now on.
    pub value: serde_json::Value,
}

/// Customers whose live and offline scores are compared.
const COMPARED: usize = 2_000;

/// Runs the whole circle on the bundled CDNOW data: import, view, model, endpoint, publish, deploy, score,
/// an event, score again, pull, verify. In a folder that is kept, or in a temporary one.
///
/// # Errors
/// The first step that failed.
pub fn run_demo(program: &Path, keep: Option<PathBuf>, say: &dyn Fn(&str)) -> Result<DemoReport> {
    let started = Instant::now();
    let temporary = match &keep {
        Some(_) => None,
        None => Some(tempfile::tempdir().map_err(Error::io("make a temporary folder", program))?),
    };
    let folder = match (&keep, &temporary) {
        (Some(folder), _) => folder.clone(),
        (None, Some(temporary)) => temporary.path().join("cdnow"),
        (None, None) => PathBuf::from("cdnow"),
    };
    let job = Job::unwatched();
    let project = Project::open(&folder)?;
    if let Some(report) = Sample::Cdnow.fill(&project, &job)? {
        let seconds = report.seconds;
        say(&format!(
            "import    {} events in {seconds:.1} s, {} rejected",
            report.accepted, report.rejected
        ));
    }
    let summary = project.summary()?;
    let (view, model): (Name, Name) = ("shopper".parse()?, "repurchase".parse()?);
    let out = folder.join("shopper.parquet");
    let computed = project.compute_view(&view, None, Knowledge::AsItWas, Some(&out), &job)?;
    say(&format!(
        "view      {} features of {} customers in {:.1} s",
        computed.features, computed.rows, computed.seconds
    ));
    let trained = project.train(&model, &job)?;
    say(&format!(
        "train     {} rows, {} positive, AUC {:.3} (train) {:.3} (later test) in {:.1} s",
        trained.rows,
        trained.positives,
        trained.train.metric("auc").unwrap_or(f64::NAN),
        trained.test.metric("auc").unwrap_or(f64::NAN),
        trained.seconds
    ));
    let local = LocalEndpoint::start(program, &project, "127.0.0.1:0")?;
    let url = local.url().to_owned();
    if local.keys().admin_key.is_some() {
        project.remember_endpoint(&url, local.keys().clone())?;
    }
    say(&format!("serve     {url} (process {})", local.pid()));
    let circle =
        Circle { project: &project, model: &model, client: project.client(&url, None)?, say };
    let closed = circle.close(&job).and_then(|closed| {
        let shop = Project::open(&folder.with_file_name("shop"))?;
        Ok((closed, experiment(&shop, &circle.client, say, &job)?))
    });
    local.stop();
    let (closed, experiment) = closed?;
    let seconds = started.elapsed().as_secs_f64();
    say(&format!("done      the circle is closed in {seconds:.1} s"));
    Ok(DemoReport {
        events: summary.events,
        customers: summary.customers,
        features: computed.features,
        training_rows: trained.rows,
        positives: trained.positives,
        auc_train: trained.train.metric("auc").unwrap_or(f64::NAN),
        auc_test: trained.test.metric("auc").unwrap_or(f64::NAN),
        function: trained.hash,
        name: model.to_string(),
        customer: closed.customer,
        score_before: closed.score_before,
        score_after: closed.score_after,
        verified: closed.verified,
        pulled: closed.pulled,
        experiment,
        seconds,
    })
}

/// Customers, events and seed of the bundled shop.
const SHOP: (usize, usize, u64) = (5_000, 200_000, 7);

/// Reads out the experiment in the shop's data, and gives everybody what won.
fn experiment(
    shop: &Project,
    client: &Client,
    say: &dyn Fn(&str),
    job: &Job,
) -> Result<DemoExperiment> {
    Sample::Shop.fill(shop, job)?;
    let name: Name = "free_shipping".parse()?;
    let readout = shop.readout(&name, None, job)?;
    let effect = readout.metrics.first().and_then(|metric| metric.effects.first());
    let effect =
        effect.ok_or_else(|| Error::NotFound("the experiment has no effect".to_owned()))?;
    let interval = effect.absolute;
    let (customers, events, seed) = SHOP;
    let truth = truth(customers, events, seed);
    say(&format!(
        "experiment {} customers: {:+.3} ({:+.3} to {:+.3}) of them order more; the truth is {:+.3}",
        readout.customers, interval.estimate, interval.low, interval.high, truth.true_effect
    ));
    shop.start_experiment(&name, client)?;
    let advice = &readout.advice;
    match &advice.variant {
        Some(variant) => client.decide_experiment(&name, variant, &advice.why)?,
        None => client.stop_experiment(&name, &advice.why)?,
    };
    let decided = client.decide(name.as_str(), "anybody")?;
    say(&format!("decide    {}", advice.why));
    Ok(DemoExperiment {
        customers: readout.customers,
        true_effect: truth.true_effect,
        estimate: interval.estimate,
        low: interval.low,
        high: interval.high,
        decision: advice.verdict,
        days_to_decision: advice.days_to_decision,
        value: decided.value,
    })
}

/// The part of the circle that goes through the endpoint.
struct Circle<'a> {
    project: &'a Project,
    model: &'a Name,
    client: Client,
    say: &'a dyn Fn(&str),
}

struct Closed {
    customer: String,
    score_before: f64,
    score_after: f64,
    verified: Verified,
    pulled: u64,
}

impl Circle<'_> {
    fn close(&self, job: &Job) -> Result<Closed> {
        let (project, client, name) = (self.project, &self.client, self.model);
        let published = project.publish(client, job)?;
        (self.say)(&format!(
            "publish   {} events of history in {:.1} s",
            published.accepted, published.seconds
        ));
        let deployment = project.deploy(name, client, name, Rollout::Champion)?;
        (self.say)(&format!("deploy    {} version {}", deployment.name, deployment.version));
        let (latest, _) = project.customers(&warehouse::CustomerList::default(), 1, job)?;
        let customer = latest
            .first()
            .map(|latest| latest.customer_id.clone())
            .ok_or_else(|| Error::NotFound("there are no customers".to_owned()))?;
        let before = client.score(name.as_str(), &customer, false)?;
        (self.say)(&format!("score     customer {customer}: {:.4}", before.score));
        let purchase = json!({ "number_of_cds": 3, "dollar_value": 44.97 });
        client.track(&customer, CDNOW_EVENT, &purchase)?;
        let after = client.score(name.as_str(), &customer, false)?;
        (self.say)(&format!("event     one purchase, and the score is {:.4}", after.score));
        let pulled = project.pull(client, job)?;
        (self.say)(&format!("pull      {} live events and scores", pulled.accepted));
        let verified = project.verify(client, name, COMPARED, job)?;
        (self.say)(&format!(
            "verify    {} live scores against offline ones, {} different",
            verified.compared, verified.different
        ));
        Ok(Closed {
            customer,
            score_before: before.score,
            score_after: after.score,
            verified,
            pulled: pulled.accepted,
        })
    }
}
