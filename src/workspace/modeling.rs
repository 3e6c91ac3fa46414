use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use kernel::domain::{Job, Name};
use kernel::features::{Catalog, Cell, Label, Spine, SpineRows, Timelines, View, ViewDefinition};
use models::{Evaluation, Fitted, LABEL, ModelSpec, Parameter, TrainingSet};
use serde::Serialize;
use warehouse::{Relation, SpineFile};

use crate::views::with_features;
use crate::{Error, Project, Result};

/// A model that was trained.
#[derive(Clone, Debug, Serialize)]
pub struct TrainReport {
    /// The model's name.
    pub name: Name,
    /// Rows that it was trained on.
    pub rows: usize,
    /// Positive rows among them.
    pub positives: usize,
    /// Rows whose horizon is not fully observed.
    pub dropped: usize,
    /// How long it took.
    pub seconds: f64,
    /// Metrics by part.
    pub metrics: BTreeMap<String, BTreeMap<String, f64>>,
    /// What was learned, strongest first.
    pub parameters: Vec<Parameter>,
    /// The scoring function's file in the project.
    pub path: String,
    /// Its hash.
    pub hash: String,
    /// All that is known of the training part.
    #[serde(skip)]
    pub train: Evaluation,
    /// All that is known of the test part.
    #[serde(skip)]
    pub test: Evaluation,
}

/// A training set that was computed.
#[derive(Clone, Debug, Serialize)]
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
        let (label, mut reads) = models::check_label(&spec.label, &view, &catalog, given)?;
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
            return Ok(self.folder().join(file));
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

    /// Trains a model and saves its scoring function.
    ///
    /// # Errors
    /// There is no such model, the data is not fit for it, or the job was canceled.
    pub fn train(&self, model: &Name, job: &Job) -> Result<TrainReport> {
        let started = Instant::now();
        let plan = self.plan(self.model(model)?, None)?;
        let set = self.compute_training_set(&plan, job)?;
        let fitted = models::train(&plan.spec, &plan.view, &set, job)?;
        let path = self.save_function(&fitted.function)?;
        job.report("Done", 1.0);
        let Fitted { function, rows, positives, dropped, train, test, parameters } = fitted;
        Ok(TrainReport {
            name: plan.spec.name,
            rows,
            positives,
            dropped,
            seconds: started.elapsed().as_secs_f64(),
            metrics: function.file().trained.metrics.clone(),
            parameters,
            path,
            hash: function.hash().to_owned(),
            train,
            test,
        })
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
            return Ok(self.spine.rows(timelines, self.view.context())?);
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
        let ids = here.iter().map(|row| id(*row));
        Ok(SpineRows::of_ids(timelines, ids, &times, occasions, self.view.context())?)
    }

    /// The number of rows of a spine that is a file.
    pub(crate) fn n_file_rows(&self) -> usize {
        self.file.as_ref().map_or(0, |file| file.times.len())
    }
}
