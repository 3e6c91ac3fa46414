use kernel::experiments::{Allocation, Assignment, Exclusion};
use kernel::features::AsOf;
use serde::Serialize;

use super::live::State;
use super::running::Running;
use crate::Result;
use crate::online::{Exposed, Exposing, Timeline, TimelineStore};

/// What a customer gets of an experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The place of the variant; that of the control for who is not in it.
    pub variant: usize,
    /// Why.
    pub why: Why,
    /// The probability that the variant had; none for who was not assigned now.
    pub probability: Option<f64>,
}

/// Why a customer gets what they get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// They were assigned now.
    Assigned,
    /// They got it before, and keep it.
    Kept,
    /// They are held out of all experiments.
    Holdout,
    /// They belong to another experiment of the layer.
    Layer,
    /// The experiment takes only a share of the customers.
    Traffic,
    /// They do not meet its condition.
    Ineligible,
    /// The experiment was stopped: all get the control.
    Stopped,
    /// The experiment was decided: all get the winner.
    Decided,
}

impl Why {
    /// Whether the customer is in the experiment.
    #[must_use]
    pub const fn is_in(self) -> bool {
        matches!(self, Self::Assigned | Self::Kept)
    }
}

impl From<Exclusion> for Why {
    fn from(exclusion: Exclusion) -> Self {
        match exclusion {
            Exclusion::Holdout => Self::Holdout,
            Exclusion::Layer => Self::Layer,
            Exclusion::Traffic => Self::Traffic,
        }
    }
}

/// The control is the first variant.
const CONTROL: usize = 0;

impl Running {
    /// What a customer gets as of a time; says nothing to anybody yet.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn decide(
        &self,
        timelines: &dyn TimelineStore,
        timeline: &Timeline,
        as_of: AsOf,
    ) -> Result<Decision> {
        let definition = self.experiment.definition();
        let given = |variant, why| Ok(Decision { variant, why, probability: None });
        match &self.record.state {
            State::Stopped => return given(CONTROL, Why::Stopped),
            State::Decided(winner) => {
                let winner = definition.variant(winner.as_str()).unwrap_or(CONTROL);
                return given(winner, Why::Decided);
            }
            State::Running => {}
        }
        timelines.load_exposures(timeline)?;
        if let Some(variant) = self.kept(timeline) {
            return given(variant, Why::Kept);
        }
        let customer_id = timeline.customer_id();
        // Who is left out by the hash alone is not read.
        let by_weights = self.experiment.assigner().assign(customer_id);
        if let Assignment::Excluded(exclusion @ (Exclusion::Holdout | Exclusion::Layer)) =
            by_weights
        {
            return given(CONTROL, exclusion.into());
        }
        let features = match self.experiment.function() {
            Some(function) => timelines.score(timeline, function, as_of, &[])?.features,
            None => Vec::new(),
        };
        if !self.experiment.is_eligible(&features) {
            return given(CONTROL, Why::Ineligible);
        }
        let assignment = match definition.allocation {
            Allocation::Fixed => by_weights,
            Allocation::Thompson | Allocation::Contextual => {
                let weights = self.learned().weights(&self.experiment, &features);
                self.experiment.assigner().assign_by(&weights, customer_id)
            }
        };
        Ok(match assignment {
            Assignment::Variant(variant, probability) => {
                Decision { variant, why: Why::Assigned, probability: Some(probability) }
            }
            Assignment::Excluded(exclusion) => {
                Decision { variant: CONTROL, why: exclusion.into(), probability: None }
            }
        })
    }

    /// The variant that a customer got before, if their exposures are in memory.
    #[must_use]
    pub fn kept(&self, timeline: &Timeline) -> Option<usize> {
        let kept = timeline.exposure(self.record.name.as_str(), self.record.version)?;
        self.experiment.definition().variant(&kept)
    }

    /// The event that a customer got what was decided, for those who are assigned now. Only the first one
    /// who asks for it gets it.
    #[must_use]
    pub fn expose(
        &self,
        timeline: &Timeline,
        as_of: AsOf,
        decision: &Decision,
    ) -> Option<Exposing> {
        let probability = decision.probability?;
        let (name, version) = (&self.record.name, self.record.version);
        let variant = &self.experiment.definition().variants[decision.variant].name;
        let exposed =
            Exposed { experiment: name.as_str().into(), version, variant: variant.as_str().into() };
        if !timeline.expose(exposed) {
            return None;
        }
        Some(Exposing {
            customer_id: timeline.customer_id().to_owned(),
            experiment: name.clone(),
            version,
            variant: variant.clone(),
            probability,
            at: as_of.time,
        })
    }
}
