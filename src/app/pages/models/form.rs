use std::collections::BTreeMap;

use eframe::egui::{Checkbox, Ui};
use serde::{Deserialize, Serialize};
use workspace::{
    AggregationName, Algorithm, CalibrationKind, LabelDefinition, ModelDefinition, ModelSpec, Name,
    Objective, Overview, SpineDefinition, SplitBy, SplitDefinition, Task, Time,
};

use super::parameters;
use super::sections::Sections;
use crate::widgets::{choice, section, text_field};

/// A model spec as texts, while it is being written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Form {
    pub(super) name: String,
    view: String,
    task: String,
    algorithm: String,
    aggregation: String,
    event: String,
    property: String,
    horizon: String,
    positive: String,
    every: String,
    from: String,
    until: String,
    split: String,
    test: String,
    seed: String,
    parameters: BTreeMap<String, String>,
    objective: String,
    monotone: String,
    balance: bool,
    calibration: String,
    sections: Sections,
    /// The spec that it came from: what the form does not show stays.
    pub(super) spec: Option<ModelSpec>,
}

const USUAL: &str = "usual";
const NONE: &str = "none";
const SPLITS: [(&str, SplitBy); 3] =
    [("time", SplitBy::Time), ("customer", SplitBy::Customer), ("random", SplitBy::Random)];
const OBJECTIVES: [(&str, Option<Objective>); 6] = [
    (USUAL, None),
    ("squared", Some(Objective::Squared)),
    ("poisson", Some(Objective::Poisson)),
    ("gamma", Some(Objective::Gamma)),
    ("tweedie", Some(Objective::Tweedie)),
    ("quantile", Some(Objective::Quantile)),
];
const CALIBRATIONS: [(&str, Option<CalibrationKind>); 3] = [
    (NONE, None),
    ("isotonic", Some(CalibrationKind::Isotonic)),
    ("beta", Some(CalibrationKind::Beta)),
];
const AGGREGATIONS: [AggregationName; 10] = [
    AggregationName::Count,
    AggregationName::Sum,
    AggregationName::Mean,
    AggregationName::Max,
    AggregationName::Min,
    AggregationName::Distinct,
    AggregationName::First,
    AggregationName::Last,
    AggregationName::Mode,
    AggregationName::ActiveDays,
];

/// The name that a value has in a list.
fn named<T: PartialEq>(list: &[(&'static str, T)], value: &T) -> String {
    list.iter().find(|(_, known)| known == value).map_or(NONE, |(name, _)| name).to_owned()
}

/// The value that a name has in a list.
fn valued<T: Copy>(list: &[(&'static str, T)], name: &str) -> Option<T> {
    list.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

impl Form {
    /// A form of a spec, or of the usual one for what is there.
    pub(super) fn of(spec: Option<&ModelSpec>, overview: &Overview) -> Self {
        let usual = usual(overview);
        let of = spec.unwrap_or(&usual);
        let day = |time: Option<Time>| time.map(Time::date).unwrap_or_default();
        let text = |span: Option<workspace::Span>| span.map(|s| s.to_string()).unwrap_or_default();
        let model = &of.model;
        let aggregation = of.label.aggregation.map(|name| name.to_string());
        let monotone: Vec<String> = model
            .monotone
            .iter()
            .map(|(feature, direction)| format!("{feature} {direction:+}"))
            .collect();
        let mut form = Self {
            name: of.name.to_string(),
            view: of.view.to_string(),
            task: of.task.name().to_owned(),
            algorithm: model.algorithm.name().to_owned(),
            aggregation: aggregation.unwrap_or_else(|| NONE.to_owned()),
            event: of.label.events.first().cloned().unwrap_or_default(),
            property: of.label.property.clone().unwrap_or_else(|| NONE.to_owned()),
            horizon: text(of.label.horizon),
            positive: of.label.positive.clone().unwrap_or_default(),
            every: text(of.spine.every),
            from: day(of.spine.from),
            until: day(of.spine.until),
            split: named(&SPLITS, &of.split.by),
            test: of.split.test.to_string(),
            seed: model.seed.to_string(),
            parameters: BTreeMap::new(),
            objective: named(&OBJECTIVES, &model.objective),
            monotone: monotone.join(", "),
            balance: model.balance,
            calibration: named(&CALIBRATIONS, &model.calibration),
            sections: Sections::of(of),
            spec: spec.cloned(),
        };
        form.read_parameters(model);
        form
    }

    fn read_parameters(&mut self, model: &ModelDefinition) {
        let all = parameters::of(model.algorithm);
        self.parameters = all.iter().map(|one| (one.title.to_owned(), one.text(model))).collect();
    }

    /// The name of the model, if it is one.
    pub(super) fn name(&self) -> Option<Name> {
        self.name.trim().parse().ok()
    }

    fn task(&self) -> Task {
        Task::ALL.into_iter().find(|task| task.name() == self.task).unwrap_or(Task::Classification)
    }

    fn algorithm(&self) -> Algorithm {
        let known = self.task().algorithms();
        let found = known.iter().find(|algorithm| algorithm.name() == self.algorithm);
        found.copied().unwrap_or(known[0])
    }

    pub(super) fn ui(&mut self, ui: &mut Ui, overview: &Overview) {
        text_field(ui, "Name", &mut self.name, "repurchase", f32::INFINITY);
        let views = overview.views.iter().map(|view| view.name.as_str());
        choice(ui, "View", &mut self.view, views, 160.0);
        if choice(ui, "Task", &mut self.task, Task::ALL.iter().map(|task| task.name()), 160.0) {
            self.algorithm = self.task().algorithms()[0].name().to_owned();
            self.read_parameters(&ModelDefinition::new(self.algorithm(), 0));
        }
        let known = self.task().algorithms().iter().map(|algorithm| algorithm.name());
        if choice(ui, "Algorithm", &mut self.algorithm, known, 160.0) {
            self.read_parameters(&ModelDefinition::new(self.algorithm(), 0));
        }
        if !matches!(self.task(), Task::Clustering | Task::Anomaly) {
            self.label_ui(ui, overview);
        }
        let view = overview.views.iter().find(|view| view.name.as_str() == self.view);
        let features: Vec<&str> = view
            .map(|view| view.features.iter().map(|feature| feature.name.as_str()).collect())
            .unwrap_or_default();
        self.sections.ui(ui, self.task(), self.algorithm(), &features);
        section(ui, "Rows");
        text_field(ui, "Every customer, every", &mut self.every, "30d", 100.0);
        ui.horizontal(|ui| {
            text_field(ui, "From", &mut self.from, "2024-04-01", 100.0);
            text_field(ui, "Until", &mut self.until, "2025-06-30", 100.0);
        });
        ui.horizontal(|ui| {
            choice(ui, "Split by", &mut self.split, SPLITS.map(|(name, _)| name), 90.0);
            text_field(ui, "Share that tests", &mut self.test, "0.25", 80.0);
        });
        self.learning_ui(ui);
    }

    fn label_ui(&mut self, ui: &mut Ui, overview: &Overview) {
        section(ui, "Label: what will they do?");
        let events = overview.catalog.events.iter().map(String::as_str);
        choice(ui, "Event", &mut self.event, events, 160.0);
        ui.horizontal(|ui| {
            let known: Vec<String> = AGGREGATIONS.iter().map(ToString::to_string).collect();
            let known = known.iter().map(String::as_str).chain([NONE]);
            choice(ui, "Aggregation", &mut self.aggregation, known, 90.0);
            let properties = overview.catalog.properties.keys().map(String::as_str);
            choice(ui, "Property", &mut self.property, [NONE].into_iter().chain(properties), 90.0);
        });
        ui.horizontal(|ui| {
            text_field(ui, "Within", &mut self.horizon, "30d", 90.0);
            if self.task() == Task::Classification {
                text_field(ui, "Positive if", &mut self.positive, "label > 0", 110.0);
            }
        });
    }

    fn learning_ui(&mut self, ui: &mut Ui) {
        section(ui, "Learning");
        for pair in parameters::of(self.algorithm()).chunks(2) {
            ui.horizontal(|ui| {
                for one in pair {
                    let text = self.parameters.entry(one.title.to_owned()).or_default();
                    text_field(ui, one.title, text, one.usual, 100.0);
                }
            });
        }
        text_field(ui, "Seed", &mut self.seed, "7", 100.0);
        self.sections.search_ui(ui);
        if self.algorithm() == Algorithm::GradientBoosting {
            if self.task() != Task::Classification && self.task() != Task::Ranking {
                choice(
                    ui,
                    "Objective",
                    &mut self.objective,
                    OBJECTIVES.map(|(name, _)| name),
                    100.0,
                );
            }
            let hint = "orders_30d +1, days_since_last -1";
            text_field(
                ui,
                "Only rises (+1) or falls (-1) with",
                &mut self.monotone,
                hint,
                f32::INFINITY,
            );
        }
        if self.task() == Task::Classification {
            ui.add(Checkbox::new(&mut self.balance, "Both classes weigh the same"));
            let known = CALIBRATIONS.map(|(name, _)| name);
            choice(ui, "Calibration", &mut self.calibration, known, 100.0);
        }
    }

    /// The spec that the form says, or what is wrong with it.
    pub(super) fn spec(&self, overview: &Overview) -> Result<ModelSpec, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let time = |written: &str| match written.trim() {
            "" => Ok(None),
            written => written.parse::<Time>().map(Some).map_err(|e| text(&e)),
        };
        let span = |written: &str| match written.trim() {
            "" => Ok(None),
            written => written.parse().map(Some).map_err(|e| text(&e)),
        };
        let old = self.spec.clone().unwrap_or_else(|| usual(overview));
        let every = span(&self.every)?;
        let spine = SpineDefinition {
            every,
            from: time(&self.from)?,
            until: time(&self.until)?,
            // Without a step, the spine is what the file said.
            ..if every.is_some() { SpineDefinition::default() } else { old.spine.clone() }
        };
        let mut spec = ModelSpec {
            name: self.name.trim().parse().map_err(|e| text(&e))?,
            view: self.view.parse().map_err(|_no_name| "choose a view".to_owned())?,
            task: self.task(),
            spine,
            label: self.label(&old, overview, span(&self.horizon)?)?,
            split: SplitDefinition {
                by: valued(&SPLITS, &self.split).unwrap_or(SplitBy::Time),
                test: self
                    .test
                    .trim()
                    .parse()
                    .map_err(|_nan| format!("'{}' is not a number", self.test))?,
            },
            model: self.model()?,
            ..old
        };
        self.sections.write(&mut spec)?;
        spec.check().map_err(|e| text(&e))?;
        Ok(spec)
    }

    fn label(
        &self,
        old: &ModelSpec,
        overview: &Overview,
        horizon: Option<workspace::Span>,
    ) -> Result<LabelDefinition, String> {
        let aggregation =
            AGGREGATIONS.into_iter().find(|name| name.to_string() == self.aggregation);
        let is_needed = !matches!(self.task(), Task::Clustering | Task::Anomaly);
        let kept = || old.label.aggregation.filter(|name| name.to_string() == self.aggregation);
        let Some(aggregation) = aggregation.or_else(kept).filter(|_| is_needed) else {
            return Ok(LabelDefinition::default());
        };
        if !overview.catalog.events.contains(&self.event) {
            return Err("choose the event that is to be predicted".to_owned());
        }
        let positive = self.positive.trim();
        let has_positive = self.task() == Task::Classification && !positive.is_empty();
        // What only the file says of an aggregation stays while that does.
        let same = Some(aggregation) == old.label.aggregation;
        let rest = if same { old.label.clone() } else { LabelDefinition::default() };
        Ok(LabelDefinition {
            aggregation: Some(aggregation),
            events: vec![self.event.clone()],
            property: (self.property != NONE).then(|| self.property.clone()),
            condition: old.label.condition.clone(),
            horizon,
            positive: has_positive.then(|| positive.to_owned()),
            ..rest
        })
    }

    fn model(&self) -> Result<ModelDefinition, String> {
        let algorithm = self.algorithm();
        let seed = self.seed.trim();
        let seed = seed.parse().map_err(|_nan| format!("the seed '{seed}' is no whole number"))?;
        let mut model = ModelDefinition::new(algorithm, seed);
        for one in parameters::of(algorithm) {
            one.take(&mut model, self.parameters.get(one.title).map_or("", String::as_str))?;
        }
        if algorithm == Algorithm::GradientBoosting {
            model.objective = valued(&OBJECTIVES, &self.objective).flatten();
            for part in self.monotone.split(',').map(str::trim).filter(|part| !part.is_empty()) {
                let wrong = || format!("'{part}': write a feature and +1 or -1");
                let (feature, direction) = part.rsplit_once(' ').ok_or_else(wrong)?;
                let direction = direction.parse().map_err(|_nan| wrong())?;
                model.monotone.insert(feature.trim().to_owned(), direction);
            }
        }
        if self.task() == Task::Classification {
            model.balance = self.balance;
            model.calibration = valued(&CALIBRATIONS, &self.calibration).flatten();
        }
        Ok(model)
    }
}

/// The usual spec for what is there: will they buy within a month?
fn usual(overview: &Overview) -> ModelSpec {
    let event = overview.order_event().map(str::to_owned);
    let event = event.or_else(|| overview.catalog.events.first().cloned());
    let (first, last) = overview.summary.span.unzip();
    let view = overview.views.first().map(|view| view.name.clone());
    let placeholder = || "shopper".parse::<Name>().ok();
    let name = |text: &str| text.parse::<Name>().ok();
    ModelSpec {
        name: name("repurchase").or_else(placeholder).unwrap_or_else(|| unreachable!()),
        view: view.or_else(placeholder).unwrap_or_else(|| unreachable!()),
        task: Task::Classification,
        spine: SpineDefinition {
            every: "30d".parse().ok(),
            from: first,
            until: last,
            ..SpineDefinition::default()
        },
        label: LabelDefinition {
            aggregation: Some(AggregationName::Count),
            events: event.into_iter().collect(),
            horizon: "30d".parse().ok(),
            positive: Some("label > 0".to_owned()),
            ..LabelDefinition::default()
        },
        split: SplitDefinition::default(),
        model: ModelDefinition::new(Algorithm::LogisticRegression, 7),
        lifetime: None,
        recommendation: None,
        uplift: None,
        ranking: None,
        search: None,
        costs: None,
    }
}
