use serde::{Deserialize, Serialize};

use super::ExperimentError;
use crate::domain::{Name, Span};
use crate::expression::LONGEST_SOURCE;
use crate::features::{AggregationName, FeatureDefinition, LabelDefinition};

/// An experiment as it is written in `experiments/<name>.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentDefinition {
    /// Its name, also that of its file.
    pub name: Name,
    /// What is believed, and would be seen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hypothesis: String,
    /// Who may be in it, by an expression over the features of `view`; without it everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eligible: Option<String>,
    /// The view whose features `eligible` and `context` read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Name>,
    /// The deployment whose versions the variants are, if they are scoring functions: who asks it for a
    /// score is in the experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Name>,
    /// How customers are divided over the variants.
    #[serde(default)]
    pub allocation: Allocation,
    /// The features that a contextual allocation learns from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<Name>,
    /// The share of the eligible customers that is in it.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub traffic: f64,
    /// The share of all customers that is in no experiment that says the same.
    #[serde(default, skip_serializing_if = "is_none")]
    pub holdout: f64,
    /// What the hash begins with; the name if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
    /// One minus the confidence of intervals.
    #[serde(default = "usual_alpha")]
    pub alpha: f64,
    /// The least relative change of the primary metric that would matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_effect: Option<f64>,
    /// Traits by which the readout is divided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<String>,
    /// The part of a layer that is its own: experiments of one layer share no customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<Layer>,
    /// What is tried; the first is the control.
    pub variants: Vec<VariantDefinition>,
    /// What is measured; one of them is primary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricDefinition>,
}

const fn whole() -> f64 {
    1.0
}
const fn usual_alpha() -> f64 {
    0.05
}
#[allow(clippy::trivially_copy_pass_by_ref, clippy::float_cmp, reason = "what serde asks for")]
fn is_whole(share: &f64) -> bool {
    *share == 1.0
}
#[allow(clippy::trivially_copy_pass_by_ref, clippy::float_cmp, reason = "what serde asks for")]
fn is_none(share: &f64) -> bool {
    *share == 0.0
}

/// How customers are divided over the variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allocation {
    /// By the weights, always.
    #[default]
    Fixed,
    /// By the probability that a variant is the best for the primary metric, as far as is known
    /// (Thompson 1933). A conversion has a beta posterior, any other metric a normal one.
    Thompson,
    /// The same for each customer, by a linear model of the features of `context` (Agrawal and Goyal 2013).
    Contextual,
}

/// The part of a layer that is an experiment's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// The name of the layer.
    pub name: Name,
    /// Where its part begins, from 0.
    pub from: f64,
    /// Where it ends, up to 1.
    pub until: f64,
}

/// A variant of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantDefinition {
    /// Its name.
    pub name: Name,
    /// Its share; equal ones if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// The version of the deployment that answers; the champion if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// What an application acts on: any JSON value.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub value: serde_json::Value,
}

/// What is measured of each customer over the time after their exposure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricDefinition {
    /// Its name.
    pub name: Name,
    /// What it is for.
    #[serde(default)]
    pub role: MetricRole,
    /// Which way is good.
    #[serde(default)]
    pub goal: Goal,
    /// How events become one value.
    pub aggregation: AggregationName,
    /// Which events; none means all but system events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Which property's values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// Which events, by an expression over their own properties.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// How long after the exposure; without it up to now. With it only customers count whose time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// Makes it a conversion: whether the value is above zero.
    #[serde(default, skip_serializing_if = "is_false")]
    pub conversion: bool,
    /// How much worse a guardrail may be, as a share of the control's mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// How long before the exposure the same is measured, to take out what was there before (CUPED).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Span>,
    /// Makes it a ratio: the sum of the metric over the sum of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Measure>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The denominator of a ratio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// How events become one value.
    pub aggregation: AggregationName,
    /// Which events; none means all but system events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Which property's values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// Which events, by an expression over their own properties.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// What a metric is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricRole {
    /// It decides.
    Primary,
    /// It must not get worse.
    Guardrail,
    /// It is looked at; intervals and p-values of several are corrected for their number.
    #[default]
    Secondary,
}

/// Which way of a metric is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// More is better.
    #[default]
    Increase,
    /// Less is better.
    Decrease,
}

/// The most variants of an experiment.
const MOST_VARIANTS: usize = 20;
/// The most metrics of an experiment.
const MOST_METRICS: usize = 50;
/// The longest value of a variant, in bytes of JSON.
const LONGEST_VALUE: usize = 16 * 1024;
/// How far the sum of weights may be from 1.
const WEIGHT_TOLERANCE: f64 = 1e-6;

impl ExperimentDefinition {
    /// Checks that it makes sense by itself; what it reads of the data is checked where the data is.
    ///
    /// # Errors
    /// The first part that makes no sense, and what would be right.
    pub fn check(&self) -> Result<(), ExperimentError> {
        self.check_variants()?;
        let share = |field: &str, share: f64, least: f64, most: f64| {
            let is_right = share.is_finite() && (least..=most).contains(&share);
            let message = || format!("is a share between {least} and {most}, not {share}");
            if is_right { Ok(()) } else { Err(ExperimentError::new(field, message())) }
        };
        share("traffic", self.traffic, 0.0001, 1.0)?;
        share("holdout", self.holdout, 0.0, 0.99)?;
        share("alpha", self.alpha, 0.0001, 0.5)?;
        if let Some(layer) = &self.layer {
            share("layer.from", layer.from, 0.0, 1.0)?;
            share("layer.until", layer.until, 0.0, 1.0)?;
            if layer.from >= layer.until {
                return Err(ExperimentError::new("layer", "its part ends after it begins"));
            }
        }
        if self.eligible.as_ref().is_some_and(|source| source.len() > LONGEST_SOURCE) {
            return Err(ExperimentError::new("eligible", "is too long"));
        }
        if (self.eligible.is_some() || !self.context.is_empty()) && self.view.is_none() {
            let message = "name the view whose features are read: view = \"shopper\"";
            return Err(ExperimentError::new("view", message));
        }
        self.check_metrics()?;
        match (self.allocation, self.primary(), self.context.is_empty()) {
            (Allocation::Fixed, ..) | (Allocation::Thompson, Some(_), _) => {}
            (Allocation::Contextual, Some(_), false) => {}
            (Allocation::Contextual, Some(_), true) => {
                let message = "name the features that it learns from: context = [\"orders_30d\"]";
                return Err(ExperimentError::new("context", message));
            }
            (_, None, _) => {
                let message = "learns from the primary metric; give one the role primary";
                return Err(ExperimentError::new("allocation", message));
            }
        }
        match self.primary() {
            Some(primary) if self.allocation != Allocation::Fixed && !primary.is_a_reward() => {
                let message = "a reward is a conversion, a count or a sum, and no ratio";
                Err(ExperimentError::new(format!("metrics, {}", primary.name), message))
            }
            _ => Ok(()),
        }
    }

    fn check_variants(&self) -> Result<(), ExperimentError> {
        let variants = |message: String| Err(ExperimentError::new("variants", message));
        if !(2..=MOST_VARIANTS).contains(&self.variants.len()) {
            return variants(format!("an experiment has 2 to {MOST_VARIANTS} variants"));
        }
        for (place, variant) in self.variants.iter().enumerate() {
            if self.variants[..place].iter().any(|earlier| earlier.name == variant.name) {
                return variants(format!("two are called '{}'", variant.name));
            }
            if variant.value.to_string().len() > LONGEST_VALUE {
                return variants(format!("the value of '{}' is too long", variant.name));
            }
            if variant.version.is_some() && self.deployment.is_none() {
                let message = "name the deployment whose versions the variants are";
                return Err(ExperimentError::new("deployment", message));
            }
        }
        let given = self.variants.iter().filter(|variant| variant.weight.is_some()).count();
        if given != 0 && given != self.variants.len() {
            return variants("give a weight to all variants, or to none".to_owned());
        }
        let weights = self.weights();
        if weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0) {
            return variants("a weight is a number from 0 to 1".to_owned());
        }
        let sum: f64 = weights.iter().sum();
        if (sum - 1.0).abs() > WEIGHT_TOLERANCE {
            return variants(format!("the weights add up to {sum}; make it 1"));
        }
        Ok(())
    }

    fn check_metrics(&self) -> Result<(), ExperimentError> {
        let metrics = |message: String| Err(ExperimentError::new("metrics", message));
        if self.metrics.len() > MOST_METRICS {
            return metrics(format!("an experiment has at most {MOST_METRICS} metrics"));
        }
        for (place, metric) in self.metrics.iter().enumerate() {
            if self.metrics[..place].iter().any(|earlier| earlier.name == metric.name) {
                return metrics(format!("two are called '{}'", metric.name));
            }
            let of = |field: &str| format!("metrics, {}, {field}", metric.name);
            if metric.conversion && metric.per.is_some() {
                return Err(ExperimentError::new(of("per"), "a conversion is no ratio"));
            }
            if metric.margin.is_some_and(|margin| !(0.0..1.0).contains(&margin)) {
                return Err(ExperimentError::new(of("margin"), "is a share from 0 up to 1"));
            }
        }
        let of_role = |role| {
            self.metrics.iter().filter(move |metric: &&MetricDefinition| metric.role == role)
        };
        match of_role(MetricRole::Primary).count() {
            0 if self.metrics.is_empty() => Ok(()),
            1 => Ok(()),
            0 => metrics("give one the role primary: it decides".to_owned()),
            n => metrics(format!("{n} are primary; one decides")),
        }
    }

    /// An experiment that says nothing yet.
    #[must_use]
    pub const fn new(name: Name) -> Self {
        Self {
            name,
            hypothesis: String::new(),
            eligible: None,
            view: None,
            deployment: None,
            allocation: Allocation::Fixed,
            context: Vec::new(),
            traffic: 1.0,
            holdout: 0.0,
            seed: None,
            alpha: usual_alpha(),
            minimum_effect: None,
            segments: Vec::new(),
            layer: None,
            variants: Vec::new(),
            metrics: Vec::new(),
        }
    }

    /// Reads and checks a definition.
    ///
    /// # Errors
    /// The text is none, or makes no sense.
    pub fn from_toml(text: &str) -> Result<Self, ExperimentError> {
        let definition: Self = toml::from_str(text)
            .map_err(|error| ExperimentError::new("definition", error.to_string()))?;
        definition.check()?;
        Ok(definition)
    }

    /// The definition as text.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // What was checked can be written: names, numbers, and JSON without null.
        toml::to_string(self).unwrap_or_default()
    }

    /// The weights of the variants, equal ones if none is given.
    #[must_use]
    pub fn weights(&self) -> Vec<f64> {
        #[allow(clippy::cast_precision_loss, reason = "a number of variants")]
        let equal = 1.0 / self.variants.len().max(1) as f64;
        self.variants.iter().map(|variant| variant.weight.unwrap_or(equal)).collect()
    }

    /// What the hash begins with.
    #[must_use]
    pub fn seed(&self) -> &str {
        self.seed.as_deref().unwrap_or(self.name.as_str())
    }

    /// The metric that decides.
    #[must_use]
    pub fn primary(&self) -> Option<&MetricDefinition> {
        self.metrics.iter().find(|metric| metric.role == MetricRole::Primary)
    }

    /// The place of a variant by its name.
    #[must_use]
    pub fn variant(&self, name: &str) -> Option<usize> {
        self.variants.iter().position(|variant| variant.name.as_str() == name)
    }
}

impl Measure {
    /// The measure as a label over a time after another.
    #[must_use]
    pub fn label(&self, horizon: Span) -> LabelDefinition {
        LabelDefinition {
            aggregation: Some(self.aggregation),
            events: self.events.clone(),
            property: self.property.clone(),
            condition: self.condition.clone(),
            horizon: Some(horizon),
            ..LabelDefinition::default()
        }
    }
}

impl VariantDefinition {
    /// A variant with nothing but a name.
    #[must_use]
    pub const fn named(name: Name) -> Self {
        Self { name, weight: None, version: None, value: serde_json::Value::Null }
    }

    /// Gives it a value that is written as JSON.
    ///
    /// # Errors
    /// The text is no JSON.
    pub fn set_value(&mut self, json: &str) -> Result<(), ExperimentError> {
        self.value = serde_json::from_str(json).map_err(|error| {
            let field = format!("variants, {}, value", self.name);
            ExperimentError::new(field, format!("this is no JSON: {error}"))
        })?;
        Ok(())
    }
}

impl MetricDefinition {
    /// What counts of a value that was measured: whether there is any, for a conversion.
    #[must_use]
    pub fn counted(&self, value: f64) -> f64 {
        if self.conversion { f64::from(u8::from(value > 0.0)) } else { value }
    }

    /// What it measures.
    #[must_use]
    pub fn measure(&self) -> Measure {
        Measure {
            aggregation: self.aggregation,
            events: self.events.clone(),
            property: self.property.clone(),
            condition: self.condition.clone(),
        }
    }

    /// The measure as a feature of a window before a time; without one over all of it.
    #[must_use]
    pub fn feature(&self, name: Name, window: Option<Span>) -> FeatureDefinition {
        FeatureDefinition {
            aggregation: Some(self.aggregation),
            events: self.events.clone(),
            property: self.property.clone(),
            condition: self.condition.clone(),
            window,
            ..FeatureDefinition::named(name)
        }
    }

    /// Whether it can be added up event by event, as a bandit learns.
    fn is_a_reward(&self) -> bool {
        let adds = [AggregationName::Count, AggregationName::Sum].contains(&self.aggregation);
        self.per.is_none() && adds
    }
}
