use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{Cell, Name, Span, Type};
use crate::expression::{Expression, LONGEST_SOURCE};

/// A rule as it is written in `rules/<name>.toml`: when something becomes true of a deployment, or of one
/// of its customers, somebody is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleDefinition {
    /// Its name, also that of its file.
    pub name: Name,
    /// The deployment that it watches.
    pub deployment: Name,
    /// What it watches of it.
    pub on: Subject,
    /// The condition: an expression over the readings of a deployment, or over `score` and the features of
    /// a customer. The rule fires when it becomes true. Readings that are shares, quantiles, means or drift are
    /// unknown, and so make nothing true, below 20 scores, requests or outcomes.
    pub when: String,
    /// Of a deployment: the time that its readings are over.
    #[serde(default = "a_day")]
    pub over: Span,
    /// Of a customer: looked at with every event of theirs, and all customers so often besides, for scores
    /// that change as time goes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// Not again for so long: of the same customer, or of the deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<Span>,
    /// Where it is sent by HTTP; without it, it is recorded only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// What is sent along: any JSON value.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub send: serde_json::Value,
}

/// What a rule watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Readings of the deployment as a whole: an alert.
    Deployment,
    /// The score and the features of each customer: an action.
    Customer,
}

const fn a_day() -> Span {
    Span::days(1)
}

/// What makes no sense in a rule, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule, {field}: {message}")]
pub struct RuleError {
    field: &'static str,
    message: String,
}

/// The longest value that is sent along, in bytes of JSON.
const LONGEST_VALUE: usize = 16 * 1024;
/// The longest address, in bytes.
const LONGEST_ADDRESS: usize = 2 * 1024;
/// The periods that readings can be over, in microseconds: they are kept by quarters of an hour, for a week.
pub const OVER: std::ops::RangeInclusive<i64> = 15 * 60 * 1_000_000..=7 * 24 * 3_600 * 1_000_000;
/// All customers are looked at no more often.
const LEAST_EVERY: i64 = 10 * 1_000_000;

impl RuleDefinition {
    /// Reads a rule.
    ///
    /// # Errors
    /// The text is no rule, with the place in it, or it makes no sense.
    pub fn from_toml(text: &str) -> Result<Self, RuleError> {
        let rule: Self =
            toml::from_str(text).map_err(|error| RuleError::new("file", error.to_string()))?;
        rule.check()?;
        Ok(rule)
    }

    /// Checks that it makes sense by itself; what it reads is checked where that is known.
    ///
    /// # Errors
    /// The first part that makes no sense, and what would be right.
    pub fn check(&self) -> Result<(), RuleError> {
        let refuse = |field, message: &str| Err(RuleError::new(field, message));
        if self.when.trim().is_empty() || self.when.len() > LONGEST_SOURCE {
            return refuse("when", "write a condition, like score >= 0.8");
        }
        if !OVER.contains(&self.over.micros()) {
            return refuse("over", "readings are over 15m to 7d");
        }
        match (self.on, self.every) {
            (Subject::Deployment, Some(_)) => {
                return refuse("every", "readings are looked at all the time; leave it out");
            }
            (Subject::Customer, Some(every)) if every.micros() < LEAST_EVERY => {
                return refuse("every", "all customers are looked at every 10s at most");
            }
            _ => {}
        }
        if self.send.to_string().len() > LONGEST_VALUE {
            return refuse("send", "is longer than 16 KiB");
        }
        self.webhook.as_deref().map_or(Ok(()), check_address)
    }
}

/// Customers' data leaves this machine over TLS only.
fn check_address(address: &str) -> Result<(), RuleError> {
    let refuse = |message: &str| Err(RuleError::new("webhook", message));
    if address.len() > LONGEST_ADDRESS || address.chars().any(|it| it.is_control() || it == ' ') {
        return refuse("is no address; write https://host/path");
    }
    let (is_secret, rest) =
        match (address.strip_prefix("https://"), address.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => {
                return refuse("begins with https://, or with http:// for this machine");
            }
        };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains('@') {
        return refuse("is no address; write https://host/path, and no password in it");
    }
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_here = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match is_secret || is_here {
        true => Ok(()),
        false => refuse("http:// is for this machine only; write https:// for another"),
    }
}

impl RuleError {
    fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// The condition of a rule, compiled.
#[derive(Clone, Debug)]
pub struct Condition {
    expression: Expression,
}

impl Condition {
    /// Compiles the condition of a rule over the columns that there are.
    ///
    /// # Errors
    /// It is no condition, or reads what is not there.
    pub fn new(source: &str, columns: &BTreeMap<String, Type>) -> Result<Self, RuleError> {
        let expression = Expression::compile(source, columns)
            .map_err(|error| RuleError::new("when", error.to_string()))?;
        match expression.result() {
            None | Some(Type::Boolean) => Ok(Self { expression }),
            Some(other) => {
                let message = format!("'{source}' gives a {other}; it must be true or false");
                Err(RuleError::new("when", message))
            }
        }
    }

    /// The names that it reads.
    pub fn reads(&self) -> impl Iterator<Item = &str> {
        self.expression.columns().iter().map(|(name, _)| name.as_str())
    }

    /// Whether it holds; what is not known makes nothing true.
    #[must_use]
    pub fn holds<'a>(&'a self, value: &dyn Fn(&str) -> Cell<'a>) -> bool {
        let columns = self.expression.columns();
        self.expression.is_true(&|place| match columns.get(place) {
            Some((name, _)) => value(name),
            None => Cell::Null,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(more: &str) -> Result<RuleDefinition, RuleError> {
        let text = "name = 'a'\ndeployment = 'b'\non = 'customer'\nwhen = 'score > 0.8'\n";
        RuleDefinition::from_toml(&format!("{text}{more}"))
    }

    #[test]
    fn a_webhook_is_secret_or_here() {
        for right in [
            "https://example.com/in",
            "http://127.0.0.1:9000/x",
            "http://[::1]/",
            "http://localhost",
        ] {
            assert!(rule(&format!("webhook = '{right}'")).is_ok(), "{right}");
        }
        for wrong in [
            "http://example.com/in",
            "http://127.0.0.1.example.com/",
            "http://127.0.0.1@example.com/",
            "https://user:password@example.com/",
            "ftp://example.com",
            "https://",
            "https://a b",
        ] {
            assert!(rule(&format!("webhook = '{wrong}'")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        for (wrong, place) in [
            ("over = '5m'", "over"),
            ("over = '30d'", "over"),
            ("every = '5s'", "every"),
            ("what = 1", "file"),
        ] {
            let error = rule(wrong).expect_err(wrong).to_string();
            assert!(error.starts_with(&format!("rule, {place}:")), "{error}");
        }
    }

    #[test]
    fn a_condition_holds_only_where_it_is_known_to() {
        let columns = BTreeMap::from([
            ("score".to_owned(), Type::Number),
            ("psi.orders".to_owned(), Type::Number),
        ]);
        let condition = Condition::new("score > 0.8 and psi.orders > 0.2", &columns).unwrap();
        let holds = |score, psi| {
            condition.holds(&|name| match name {
                "score" => score,
                _ => psi,
            })
        };
        assert!(holds(Cell::Number(0.9), Cell::Number(0.3)));
        assert!(!holds(Cell::Number(0.9), Cell::Null));
        assert!(!holds(Cell::Number(0.7), Cell::Number(0.3)));
        assert!(Condition::new("score + 1", &columns).is_err());
        let error = Condition::new("scor > 1", &columns).expect_err("a typing error").to_string();
        assert!(error.contains("did you mean"), "{error}");
    }
}
