use eframe::egui::{Checkbox, Ui};
use serde::{Deserialize, Serialize};
use workspace::{
    Algorithm, Costs, LifetimeSection, ModelSpec, Name, RankingSection, RecommendationSection,
    SearchSection, Span, Task, UpliftSection,
};

use crate::widgets::{choice, section, text_field};

/// The parts of a spec that only some tasks have, as texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sections {
    frequency: String,
    recency: String,
    age: String,
    value: String,
    unit: String,
    horizon: String,
    items: String,
    category: String,
    repeats: bool,
    treatment: String,
    group: String,
    false_positive: String,
    false_negative: String,
    budget: String,
    min_customers: Option<usize>,
    trials: Option<usize>,
}

const NONE: &str = "none";

impl Sections {
    pub(super) fn of(spec: &ModelSpec) -> Self {
        let mut own = Self { value: NONE.to_owned(), group: NONE.to_owned(), ..Self::default() };
        if let Some(lifetime) = &spec.lifetime {
            own.frequency = lifetime.frequency.to_string();
            own.recency = lifetime.recency.to_string();
            own.age = lifetime.age.to_string();
            own.value = lifetime.value.as_ref().map_or(NONE.to_owned(), ToString::to_string);
            own.unit = lifetime.unit.to_string();
            own.horizon = lifetime.horizon.to_string();
        }
        if let Some(recommendation) = &spec.recommendation {
            own.items = recommendation.items.to_string();
            own.category = recommendation.category.clone().unwrap_or_default();
            own.repeats = recommendation.repeats;
            own.min_customers = recommendation.min_customers;
        }
        if let Some(uplift) = &spec.uplift {
            own.treatment = uplift.treatment.to_string();
        }
        if let Some(group) = spec.ranking.as_ref().and_then(|ranking| ranking.group.as_ref()) {
            own.group = group.to_string();
        }
        if let Some(costs) = spec.costs {
            own.false_positive = costs.false_positive.to_string();
            own.false_negative = costs.false_negative.to_string();
        }
        if let Some(search) = spec.search {
            own.budget = search.budget.to_string();
            own.trials = search.trials;
        }
        own
    }

    pub(super) fn ui(&mut self, ui: &mut Ui, task: Task, algorithm: Algorithm, features: &[&str]) {
        let known = || features.iter().copied();
        let or_none = || [NONE].into_iter().chain(known());
        match task {
            Task::LifetimeValue if algorithm == Algorithm::BgNbd => {
                section(ui, "Purchases");
                choice(ui, "Repeat purchases", &mut self.frequency, known(), 180.0);
                choice(ui, "Days from first to last", &mut self.recency, known(), 180.0);
                choice(ui, "Days since the first", &mut self.age, known(), 180.0);
                choice(ui, "Mean value", &mut self.value, or_none(), 180.0);
                ui.horizontal(|ui| {
                    text_field(ui, "Unit of time", &mut self.unit, "7d", 90.0);
                    text_field(ui, "How far ahead", &mut self.horizon, "90d", 90.0);
                });
            }
            Task::Recommendation => {
                section(ui, "Items");
                choice(ui, "Feature with the items", &mut self.items, known(), 180.0);
                text_field(
                    ui,
                    "Property with their category",
                    &mut self.category,
                    "category",
                    180.0,
                );
                ui.add(Checkbox::new(&mut self.repeats, "Recommend what they had, too"));
            }
            Task::Uplift => {
                section(ui, "Treatment");
                choice(
                    ui,
                    "Feature that says who was treated",
                    &mut self.treatment,
                    known(),
                    180.0,
                );
            }
            Task::Ranking => {
                section(ui, "Lists");
                choice(ui, "Feature that is the same in a list", &mut self.group, or_none(), 180.0);
            }
            Task::Classification => {
                section(ui, "Decisions");
                ui.horizontal(|ui| {
                    text_field(ui, "Cost of a false alarm", &mut self.false_positive, "", 110.0);
                    text_field(ui, "Cost of a miss", &mut self.false_negative, "", 110.0);
                });
            }
            _ => {}
        }
    }

    /// How long parameters are looked for.
    pub(super) fn search_ui(&mut self, ui: &mut Ui) {
        let hint = "10m; empty: not at all";
        text_field(ui, "Look for better parameters for", &mut self.budget, hint, 180.0);
    }

    /// Writes what the fields say.
    pub(super) fn write(&self, spec: &mut ModelSpec) -> Result<(), String> {
        let feature = |what: &str, text: &str| {
            text.parse::<Name>().map_err(|_no_name| format!("choose the feature of {what}"))
        };
        let span = |text: &str| text.trim().parse::<Span>().map_err(|error| error.to_string());
        spec.lifetime = match (spec.task, spec.model.algorithm) {
            (Task::LifetimeValue, Algorithm::BgNbd) => Some(LifetimeSection {
                frequency: feature("repeat purchases", &self.frequency)?,
                recency: feature("days from first to last", &self.recency)?,
                age: feature("days since the first", &self.age)?,
                value: optional(&self.value),
                unit: span(&self.unit)?,
                horizon: span(&self.horizon)?,
            }),
            _ => None,
        };
        spec.recommendation = match spec.task {
            Task::Recommendation => Some(RecommendationSection {
                items: feature("items", &self.items)?,
                category: Some(self.category.trim().to_owned()).filter(|text| !text.is_empty()),
                repeats: self.repeats,
                min_customers: self.min_customers,
            }),
            _ => None,
        };
        spec.uplift = match spec.task {
            Task::Uplift => {
                Some(UpliftSection { treatment: feature("the treatment", &self.treatment)? })
            }
            _ => None,
        };
        let group = optional(&self.group);
        spec.ranking = (spec.task == Task::Ranking).then_some(RankingSection { group });
        let costs = [&self.false_positive, &self.false_negative].map(|text| text.trim());
        spec.costs = match (spec.task, costs) {
            (Task::Classification, [left, right]) if !left.is_empty() || !right.is_empty() => {
                let number = |text: &str| {
                    text.parse().map_err(|_nan| format!("the cost '{text}' is not a number"))
                };
                Some(Costs { false_positive: number(left)?, false_negative: number(right)? })
            }
            _ => None,
        };
        spec.search = match self.budget.trim() {
            "" => None,
            text => Some(SearchSection { budget: span(text)?, trials: self.trials }),
        };
        Ok(())
    }
}

fn optional(text: &str) -> Option<Name> {
    if text == NONE { None } else { text.parse().ok() }
}
