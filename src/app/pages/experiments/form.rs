use eframe::egui::Ui;
use serde::{Deserialize, Serialize};
use workspace::{
    AggregationName, Allocation, ExperimentDefinition, Goal, MetricDefinition, MetricRole, Name,
    Overview, Span, VariantDefinition,
};

use crate::widgets::{choice, section, text_field};

/// The fields of a simple experiment: two variants, and one event that would be better. Whatever else a
/// definition says stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Form {
    /// What was saved, or would be without the fields.
    pub(super) base: Option<ExperimentDefinition>,
    pub(super) name: String,
    hypothesis: String,
    variants: [(String, String); 2],
    event: String,
    within: String,
    view: String,
    eligible: String,
    traffic: String,
    allocation: String,
}

const NO_VIEW: &str = "everybody";
const ALLOCATIONS: [(&str, Allocation); 3] = [
    ("equal shares", Allocation::Fixed),
    ("to the better one (Thompson)", Allocation::Thompson),
    ("by who they are (contextual)", Allocation::Contextual),
];

impl Form {
    /// The form of a definition, or a first guess.
    pub(super) fn of(definition: Option<&ExperimentDefinition>, overview: &Overview) -> Self {
        let variant =
            |place: usize, usual: &str| match definition.and_then(|it| it.variants.get(place)) {
                Some(variant) => (variant.name.to_string(), variant.value.to_string()),
                None => (usual.to_owned(), (place == 1).to_string()),
            };
        let primary = definition.and_then(ExperimentDefinition::primary);
        let event = primary.and_then(|metric| metric.events.first().cloned());
        let usual = || overview.order_event().unwrap_or_default().to_owned();
        let allocation = definition.map_or(Allocation::Fixed, |it| it.allocation);
        let allocation = ALLOCATIONS.iter().find(|(_, known)| *known == allocation);
        let view = definition.and_then(|it| it.view.as_ref());
        Self {
            base: definition.cloned(),
            name: definition.map_or_else(|| "new_experiment".to_owned(), |it| it.name.to_string()),
            hypothesis: definition.map(|it| it.hypothesis.clone()).unwrap_or_default(),
            variants: [variant(0, "control"), variant(1, "treatment")],
            event: event.unwrap_or_else(usual),
            within: match primary {
                Some(metric) => metric.within.map(|it| it.to_string()).unwrap_or_default(),
                None => "14d".to_owned(),
            },
            view: view.map_or_else(|| NO_VIEW.to_owned(), Name::to_string),
            eligible: definition.and_then(|it| it.eligible.clone()).unwrap_or_default(),
            traffic: definition.map_or(100.0, |it| 100.0 * it.traffic).to_string(),
            allocation: allocation.map_or("", |(text, _)| text).to_owned(),
        }
    }

    /// The name of what it began with.
    pub(super) fn saved_name(&self) -> Option<&str> {
        self.base.as_ref().map(|base| base.name.as_str())
    }

    pub(super) fn name(&self) -> Option<Name> {
        self.name.parse().ok()
    }

    pub(super) fn ui(&mut self, ui: &mut Ui, overview: &Overview) {
        let width = 220.0;
        text_field(ui, "Name", &mut self.name, "free_shipping", width);
        text_field(ui, "Hypothesis", &mut self.hypothesis, "what would be seen", width);
        section(ui, "Variants");
        for (place, (name, value)) in self.variants.iter_mut().enumerate() {
            let (what, of) =
                if place == 0 { ("Control", "its value") } else { ("Treatment", "its value ") };
            ui.horizontal(|ui| {
                text_field(ui, what, name, "name", 90.0);
                text_field(ui, of, value, "JSON", 110.0);
            });
        }
        choice(ui, "Shares", &mut self.allocation, ALLOCATIONS.map(|(text, _)| text), width);
        section(ui, "Who");
        let views = overview.views.iter().map(|view| view.name.as_str());
        choice(ui, "View", &mut self.view, [NO_VIEW].into_iter().chain(views), width);
        if self.view != NO_VIEW {
            text_field(ui, "Condition", &mut self.eligible, "orders_30d > 2", width);
        }
        text_field(ui, "Percent of them", &mut self.traffic, "100", 60.0);
        section(ui, "What would be better");
        let events = overview.summary.by_event.iter().map(|(event, _)| event.as_str());
        choice(ui, "More customers with", &mut self.event, events, width);
        text_field(ui, "Within", &mut self.within, "14d; empty: up to now", width);
    }

    /// The definition that it says, or what is wrong.
    pub(super) fn definition(&self) -> Result<ExperimentDefinition, String> {
        let name: Name = self.name.parse().map_err(|error| format!("Name: {error}"))?;
        let variants = self.variants()?;
        let traffic: f64 =
            self.traffic.trim().parse().map_err(|_bad| "Percent of them: a number".to_owned())?;
        let base = self.base.clone().unwrap_or_else(|| ExperimentDefinition::new(name.clone()));
        let allocation = ALLOCATIONS.iter().find(|(text, _)| *text == self.allocation);
        let eligible = self.eligible.trim();
        let has_view = self.view != NO_VIEW;
        let view = has_view.then(|| self.view.parse().map_err(|error| format!("View: {error}")));
        let definition = ExperimentDefinition {
            metrics: self.metrics(&base)?,
            hypothesis: self.hypothesis.trim().to_owned(),
            allocation: allocation.map_or(Allocation::Fixed, |(_, allocation)| *allocation),
            traffic: traffic / 100.0,
            eligible: (has_view && !eligible.is_empty()).then(|| eligible.to_owned()),
            view: view.transpose()?,
            variants,
            name,
            ..base
        };
        definition.check().map_err(|error| error.to_string())?;
        Ok(definition)
    }

    fn variants(&self) -> Result<Vec<VariantDefinition>, String> {
        let base = self.base.as_ref();
        let mut variants = base.map(|base| base.variants.clone()).unwrap_or_default();
        for (place, (name, value)) in self.variants.iter().enumerate() {
            let name: Name = name.parse().map_err(|error| format!("Variant: {error}"))?;
            if place == variants.len() {
                variants.push(VariantDefinition::named(name.clone()));
            }
            variants[place].name = name;
            variants[place].set_value(value).map_err(|error| error.to_string())?;
        }
        Ok(variants)
    }

    fn metrics(&self, base: &ExperimentDefinition) -> Result<Vec<MetricDefinition>, String> {
        let within = match self.within.trim() {
            "" => None,
            text => Some(text.parse::<Span>().map_err(|error| format!("Within: {error}"))?),
        };
        let mut metrics = base.metrics.clone();
        let primary = metrics.iter_mut().find(|metric| metric.role == MetricRole::Primary);
        match primary {
            Some(metric) => {
                metric.within = within;
                if metric.events.first() != Some(&self.event) {
                    metric.events = vec![self.event.clone()];
                }
            }
            None => metrics.insert(
                0,
                MetricDefinition {
                    name: "converted".parse().map_err(|error| format!("{error}"))?,
                    role: MetricRole::Primary,
                    goal: Goal::Increase,
                    aggregation: AggregationName::Count,
                    events: vec![self.event.clone()],
                    property: None,
                    condition: None,
                    within,
                    conversion: true,
                    margin: None,
                    before: None,
                    per: None,
                },
            ),
        }
        Ok(metrics)
    }
}
