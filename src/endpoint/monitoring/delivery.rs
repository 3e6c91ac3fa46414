use kernel::domain::{Name, Time};
use serde::{Deserialize, Serialize};

/// Something that somebody is told, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Identifies it, wherever it is told: who gets it twice knows it by this.
    pub id: String,
    /// The rule that fired.
    pub rule: Name,
    /// What happened.
    pub kind: DeliveryKind,
    /// Whom it is about, if it is about a customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// When it happened.
    pub at: Time,
    /// Where it is sent; none records it only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// What is sent: JSON.
    pub body: String,
    /// How far it is.
    pub state: DeliveryState,
    /// When it is tried next, while it waits.
    pub next_at: Time,
    /// What was tried, latest last.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryKind {
    /// A condition over a deployment became true.
    #[serde(rename = "alert.firing")]
    Firing,
    /// It is not true any more.
    #[serde(rename = "alert.resolved")]
    Resolved,
    /// A condition over a customer became true.
    #[serde(rename = "customer.action")]
    Action,
    /// Somebody wanted to know whether it arrives.
    #[serde(rename = "test")]
    Test,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is sent, now or again later.
    Waiting,
    /// It arrived.
    Delivered,
    /// It was tried as often as it is tried.
    Failed,
    /// There is nobody to tell; it is recorded here.
    Recorded,
}

/// A try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// When.
    pub at: Time,
    /// What was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it did not arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// Seconds from one try to the next, about as the Standard Webhooks specification has them: over a day.
const AGAIN_AFTER: [i64; 9] = [5, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000];
/// Whoever is gone is not asked again.
const GONE: u16 = 410;

impl Delivery {
    /// Takes note of a try.
    pub(super) fn tried(&mut self, attempt: Attempt) {
        let status = attempt.status.unwrap_or(0);
        let at = attempt.at;
        self.attempts.push(attempt);
        let after = self.attempts.len().checked_sub(1).and_then(|place| AGAIN_AFTER.get(place));
        self.state = match (status, after) {
            (200..300, _) => DeliveryState::Delivered,
            (GONE, _) | (_, None) => DeliveryState::Failed,
            (_, Some(seconds)) => {
                self.next_at = Time(at.0 + seconds * 1_000_000);
                DeliveryState::Waiting
            }
        };
    }

    /// Tries it again, now.
    pub(super) fn again(&mut self, now: Time) {
        self.state = DeliveryState::Waiting;
        self.attempts.clear();
        self.next_at = now;
    }
}
