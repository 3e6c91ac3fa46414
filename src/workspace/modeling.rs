use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use kernel::domain::{Job, Name, Value};
use kernel::features::{Catalog, Cell, Label, Spine, SpineRows, Timelines, View, ViewDefinition};
use models::{
    Algorithm, Chart, Evaluation, Fitted, Importance, LABEL, ModelSpec, Parameter, SegmentProfile,
    Task, TrainingSet,
};
use serde::{Deserialize, Serialize};
use warehouse::{Relation, SpineFile};

use crate::views::with_features;
use crate::{Error, Project, Result};

/// A model that was trained.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrainReport {
    /// The model's name.
    pub name: Name,
    /// What it learned.
    pub task: Task,
    /// How.
    pub algorithm: Algorithm,
    /// Rows that it was trained on.
    pub rows: usize,
    /// Positive rows among them.
    pub positives: usize,
    /// Rows whose horizon is not fully observed, or that have no label.
    pub dropped: usize,
    /// How long it took.
    pub seconds: f64,
    /// Metrics by part.
    pub metrics: BTreeMap<String, BTreeMap<String, f64>>,
    /// What was learned, strongest first.
    pub parameters: Vec<Parameter>,
    /// What the loss grows by without each feature, most first.
    pub importance: Vec<Importance>,
    /// How the score changes with the features that matter most.
    pub dependence: Vec<Chart>,
    /// What is different in each segment.
    pub segments: Vec<SegmentProfile>,
    /// What a person should look at before the model is used.
    pub warnings: Vec<String>,
    /// The scoring function's file in the project.
    pub path: String,
    /// Its hash.
    pub hash: String,
    /// All that is known of the training part.
    pub train: Evaluation,
    /// All that is known of the test part.
    pub test: Evaluation,
}

/// Algorithms that were tried, best first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tried {
    /// The model's name.
    pub name: Name,
    /// Each algorithm.
    pub candidates: Vec<TriedAlgorithm>,
    /// The best one, which is the project's function of that name now.
    pub best: Option<Box<TrainReport>>,
    /// How long it took.
    pub seconds: f64,
}

/// An algorithm that was tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TriedAlgorithm {
    /// Which.
    pub algorithm: Algorithm,
    /// What it was judged by, on parts of the training rows.
    pub metric: Option<String>,
    /// How good it was.
    pub value: Option<f64>,
    /// Metrics of the test part, which decided nothing.
    pub test: BTreeMap<String, f64>,
    /// The run that has it.
    pub run: Option<String>,
    /// Why it failed.
    pub problem: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

/// A training set that was computed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrainingSetReport {
    /// Rows.
    pub rows: usize,
    /// Rows of the spine whose horizon is not fully observed.
    pub dropped: usize,
    /// How long it took.
    pub seconds: f64,
    /// The file, or the table of the warehouse, that has it.
    pub out: String,
}

/// Items whose category is looked up.
const MOST_ITEMS: usize = 100_000;
/// The schema of the warehouse that has computed training sets.
const TRAINING_SETS: &str = "training_sets";

/// All that a training set follows from, checked.
pub(crate) struct Plan {
    pub(crate) spec: ModelSpec,
    pub(crate) view: View,
    pub(crate) label: Label,
    pub(crate) reads: Catalog,
    spine: Spine,
    /// The rows of a spine that is a file.
    file: Option<SpineFile>,
}

impl Project {
    /// Computes the training set of a model: `customer_id, as_of`, features, `label`. It goes into a file,
    /// or without one to the table `training_sets.<model>` of the warehouse. A file given as `spine` takes
    /// the place of the model's own spine.
    ///
    /// # Errors
    /// There is no such model, it makes no sense, or the file cannot be written.
    pub fn training_set(
        &self,
        model: &Name,
        spine: Option<&Path>,
        out: Option<&Path>,
        job: &Job,
    ) -> Result<TrainingSetReport> {
        let started = Instant::now();
        let plan = self.plan(self.model(model)?, spine)?;
        let set = self.compute_training_set(&plan, job)?;
        set.check_rows()?;
        let labels = set.label_column(&plan.label);
        let (rows, dropped) = (set.n_rows(), set.dropped);
        let ids = set.customers.iter().map(AsRef::as_ref);
        let relation = Relation::of_rows(ids, set.times.iter().copied());
        let relation = with_features(relation, set.features).with_column(LABEL, labels);
        let out = match out {
            Some(out) => {
                self.warehouse.write(&relation, out)?;
                out.display().to_string()
            }
            None => {
                self.warehouse.keep(&relation, TRAINING_SETS, model, job)?;
                format!("{TRAINING_SETS}.{model}")
            }
        };
        Ok(TrainingSetReport { rows, dropped, seconds: started.elapsed().as_secs_f64(), out })
    }

    /// Checks all that the training set of a model follows from.
    fn plan(&self, spec: ModelSpec, spine: Option<&Path>) -> Result<Plan> {
        self.plan_on(self.catalog()?, spec, None, spine)
    }

    /// The same on a catalog that is known, and perhaps with another view than the model's.
    pub(crate) fn plan_on(
        &self,
        mut catalog: Catalog,
        spec: ModelSpec,
        view: Option<&ViewDefinition>,
        spine: Option<&Path>,
    ) -> Result<Plan> {
        let checked = match spine {
            Some(file) => Spine::File(file.display().to_string()),
            None => spec.spine.check()?,
        };
        let file = match (&checked, spine) {
            (Spine::File(_), Some(given)) => Some(self.warehouse.read_spine(given)?),
            (Spine::File(file), None) => Some(self.warehouse.read_spine(&self.own_file(file)?)?),
            _ => None,
        };
        let mut given = None;
        for (name, column) in file.iter().flat_map(|file| &file.occasions.columns) {
            if name == LABEL {
                given = Some(column.type_of());
            } else {
                catalog.context.insert(name.clone(), column.type_of());
            }
        }
        if let Spine::Events(events) = &checked {
            let known = &catalog.events;
            if let Some(unknown) = events.iter().find(|event| !known.contains(*event)) {
                let hint = kernel::domain::did_you_mean(unknown, known.iter().map(String::as_str));
                let message = format!("spine, events: there is no event '{unknown}'{hint}");
                return Err(Error::BadInput(message));
            }
        }
        let view = match view {
            Some(view) => View::check(view, &catalog)?,
            None => View::check(&self.view_definition(&spec.view)?, &catalog)?,
        };
        let (label, mut reads) = models::check_label(&spec, &spec.label, &view, &catalog, given)?;
        // The context of a spine of events is what their own properties say.
        for (name, type_) in view.context() {
            if file.is_none() && catalog.properties.get(name) == Some(type_) {
                reads.properties.insert(name.clone(), *type_);
            }
        }
        Ok(Plan { spec, view, label, reads, spine: checked, file })
    }

    /// A file of the project by its path in it.
    fn own_file(&self, file: &str) -> Result<PathBuf> {
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if Path::new(file).components().all(inside) {
            // It is there, so that no pattern in its name finds others.
            return match self.files().open_file(file)? {
                Some(_) => Ok(self.files().path_of(file)),
                None => Err(Error::NotFound(format!(
                    "spine, file: there is no file '{file}' in this project"
                ))),
            };
        }
        Err(Error::BadInput(format!(
            "spine, file: '{file}' is not a file of this project; give the path from the project's \
             folder, or the file with --spine"
        )))
    }

    pub(crate) fn compute_training_set(&self, plan: &Plan, job: &Job) -> Result<TrainingSet> {
        let mut set: Option<TrainingSet> = None;
        let mut n_ranges = 0;
        let mut is_done = vec![false; plan.n_file_rows()];
        let knowledge = plan.spec.spine.knowledge;
        let mut last = None;
        // Where all customers are there at once, a file keeps its order.
        let at_once = self.warehouse.timelines_fit(&plan.reads)?;
        self.warehouse.each_timelines(&plan.reads, job, |timelines| {
            let spine = plan.rows(&timelines, &mut is_done, at_once)?;
            let range =
                TrainingSet::compute(&plan.view, &plan.label, spine, &timelines, knowledge, job)?;
            n_ranges += 1;
            match &mut set {
                None => set = Some(range),
                Some(set) => set.append(range),
            }
            last = Some(timelines);
            Ok::<(), Error>(())
        })?;
        let mut set = set.ok_or_else(|| Error::BadInput("the project has no events".to_owned()))?;
        if let (Some(timelines), true) = (last, is_done.contains(&false)) {
            let spine = plan.rows(&timelines, &mut is_done, true)?;
            let strangers =
                TrainingSet::compute(&plan.view, &plan.label, spine, &timelines, knowledge, job)?;
            set.append(strangers);
        }
        Ok(if n_ranges > 1 { set.in_order() } else { set })
    }

    /// Trains a model and saves its scoring function, and the run.
    ///
    /// # Errors
    /// There is no such model, the data is not fit for it, or the job was canceled.
    pub fn train(&self, model: &Name, job: &Job) -> Result<TrainReport> {
        let started = Instant::now();
        let plan = self.plan(self.model(model)?, None)?;
        let set = self.training_rows(&plan, job)?;
        let fitted = models::train(&plan.spec, &plan.view, &set, job)?;
        let report = self.keep(&plan.spec, fitted, started.elapsed().as_secs_f64())?;
        self.use_run(&report.name, &report.hash)?;
        job.report("Done", 1.0);
        Ok(report)
    }

    /// Tries the algorithms of a model's task within a time; each is a run, the best one is the project's
    /// function. The spec keeps its own algorithm.
    ///
    /// # Errors
    /// There is no such model, the data is not fit for it, or the job was canceled.
    pub fn try_all(&self, model: &Name, budget: Duration, job: &Job) -> Result<Tried> {
        let started = Instant::now();
        let plan = self.plan(self.model(model)?, None)?;
        let set = self.training_rows(&plan, job)?;
        let mut best = None;
        let mut candidates = Vec::new();
        for candidate in models::try_all(&plan.spec, &plan.view, &set, budget, job)? {
            let (metric, value) = candidate.judged.unzip();
            let report = match candidate.fitted {
                Some(fitted) => Some(self.keep(&plan.spec, *fitted, candidate.seconds)?),
                None => None,
            };
            let test = report.as_ref().and_then(|report| report.metrics.get("test")).cloned();
            candidates.push(TriedAlgorithm {
                algorithm: candidate.algorithm,
                metric,
                value,
                test: test.unwrap_or_default(),
                run: report.as_ref().map(|report| report.hash.clone()),
                problem: candidate.problem,
                seconds: candidate.seconds,
            });
            best = best.or(report.map(Box::new));
        }
        if let Some(best) = &best {
            self.use_run(&best.name, &best.hash)?;
        }
        job.report("Done", 1.0);
        let seconds = started.elapsed().as_secs_f64();
        Ok(Tried { name: plan.spec.name, candidates, best, seconds })
    }

    /// The training set of a plan, with what is known of items.
    fn training_rows(&self, plan: &Plan, job: &Job) -> Result<TrainingSet> {
        let mut set = self.compute_training_set(plan, job)?;
        let Some(section) = &plan.spec.recommendation else { return Ok(set) };
        let Some(category) = &section.category else { return Ok(set) };
        let features = &plan.view.definition().features;
        let items = features.iter().find(|feature| feature.name == section.items);
        if let Some(item) = items.and_then(|feature| feature.property.as_ref()) {
            let [item, category] = [item, category].map(|name| name.replace('"', "\"\""));
            let sql = format!(
                "SELECT \"{item}\"::VARCHAR, mode(\"{category}\"::VARCHAR) FROM events
                 WHERE \"{item}\" IS NOT NULL AND \"{category}\" IS NOT NULL GROUP BY ALL"
            );
            let rows = self.query(&sql, MOST_ITEMS, job)?.rows;
            let pair = |row: &Vec<Value>| Some((row.first()?.to_string(), row.get(1)?.to_string()));
            set.item_categories = rows.iter().filter_map(pair).collect();
        }
        Ok(set)
    }

    /// Saves a run, and says what it is.
    fn keep(&self, spec: &ModelSpec, fitted: Fitted, seconds: f64) -> Result<TrainReport> {
        let Fitted {
            function,
            rows,
            positives,
            dropped,
            train,
            test,
            parameters,
            importance,
            dependence,
            segments,
            warnings,
            ..
        } = fitted;
        let trained = ModelSpec::from_toml(&function.file().trained.spec)?;
        let report = TrainReport {
            name: spec.name.clone(),
            task: spec.task,
            algorithm: trained.model.algorithm,
            rows,
            positives,
            dropped,
            seconds,
            metrics: function.file().trained.metrics.clone(),
            parameters,
            importance,
            dependence,
            segments,
            warnings,
            path: format!("functions/{}.json", spec.name),
            hash: function.hash().to_owned(),
            train,
            test,
        };
        self.save_run(&function, &report)?;
        Ok(report)
    }
}

impl Plan {
    /// The rows of the spine whose customers have a timeline here; of a file also, once `strangers` are
    /// asked for, those that are nowhere. Where all customers are here, a file keeps its order.
    pub(crate) fn rows(
        &self,
        timelines: &Timelines,
        is_done: &mut [bool],
        strangers: bool,
    ) -> Result<SpineRows> {
        let Some(file) = &self.file else {
            return Ok(self.spine.rows(
                timelines,
                self.view.context(),
                self.spec.spine.knowledge,
            )?);
        };
        let id = |row: usize| match file.customers.cell(row) {
            Cell::Text(id) => id,
            _ => "",
        };
        let is_here = |row: &usize| strangers || timelines.position(id(*row)).is_some();
        let here: Vec<usize> =
            (0..is_done.len()).filter(|row| !is_done[*row]).filter(is_here).collect();
        here.iter().for_each(|row| is_done[*row] = true);
        let places: Vec<u32> = here.iter().filter_map(|row| u32::try_from(*row).ok()).collect();
        let columns = file.occasions.columns.iter();
        let occasions = kernel::features::Occasions {
            columns: columns.map(|(name, column)| (name.clone(), column.gather(&places))).collect(),
        };
        let times: Vec<_> = here.iter().map(|row| file.times[*row]).collect();
        let ids = file.customers.gather(&places);
        Ok(SpineRows::of_customers(timelines, &ids, &times, occasions, self.view.context())?)
    }

    /// The number of rows of a spine that is a file.
    pub(crate) fn n_file_rows(&self) -> usize {
        self.file.as_ref().map_or(0, |file| file.times.len())
    }
}
