use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use kernel::domain::{Time, did_you_mean};
use kernel::monitoring::RuleDefinition;
use serde::{Deserialize, Serialize};

use crate::online::ConfigStore;
use crate::{Error, Result};

/// A rule as it is stored, and how far it has read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// What was written.
    pub definition: RuleDefinition,
    /// Since when it is here.
    pub started_at: Time,
    /// Whether its condition holds, of a deployment.
    pub state: RuleState,
    /// Since when it is in this state.
    pub since: Time,
    /// How often it fired.
    #[serde(default)]
    pub fired: u64,
    /// When it fired last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fired: Option<Time>,
    /// Why it cannot be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Events of smaller offsets were looked at, of customers.
    pub from: u64,
    /// All customers were looked at as of then.
    pub swept_at: Time,
}

/// Whether the condition of a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleState {
    /// It does not.
    Watching,
    /// It does.
    Firing,
}

/// All rules. Readers get a snapshot.
#[derive(Debug)]
pub struct Rules {
    all: RwLock<Arc<BTreeMap<String, Arc<Rule>>>>,
    /// Held by the one who changes something.
    changing: Mutex<()>,
}

/// The most rules of an endpoint.
const MOST_RULES: usize = 200;
/// Where they are stored.
const PREFIX: &str = "rule/";

impl Rules {
    /// Reads the rules.
    ///
    /// # Errors
    /// The configuration cannot be read.
    pub fn open(config: &dyn ConfigStore) -> Result<Self> {
        let mut all = BTreeMap::new();
        for key in config.names(PREFIX)? {
            // Nothing is left of one that was removed.
            let Some(bytes) = config.get(&key)?.filter(|bytes| !bytes.is_empty()) else { continue };
            let rule: Rule = serde_json::from_slice(&bytes).map_err(Error::store("read a rule"))?;
            all.insert(rule.definition.name.to_string(), Arc::new(rule));
        }
        Ok(Self { all: RwLock::new(Arc::new(all)), changing: Mutex::new(()) })
    }

    /// All of them, by name.
    #[must_use]
    pub fn snapshot(&self) -> Arc<BTreeMap<String, Arc<Rule>>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One of them.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn get(&self, name: &str) -> Result<Arc<Rule>> {
        let all = self.snapshot();
        all.get(name).cloned().ok_or_else(|| {
            let suggestion = did_you_mean(name, all.keys().map(String::as_str));
            Error::NotFound(format!("there is no rule '{name}'{suggestion}"))
        })
    }

    /// Takes a rule. One that is here already with the same definition goes on; any other begins now: of
    /// what was before, it says nothing.
    ///
    /// # Errors
    /// There are too many, or the store cannot be written.
    pub fn put(
        &self,
        config: &dyn ConfigStore,
        definition: RuleDefinition,
        at: Time,
        offset: u64,
    ) -> Result<Arc<Rule>> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.snapshot();
        let known = all.get(definition.name.as_str());
        if let Some(known) = known.filter(|known| known.definition == definition) {
            return Ok(known.clone());
        }
        if known.is_none() && all.len() >= MOST_RULES {
            return Err(Error::BadRequest(format!("an endpoint has at most {MOST_RULES} rules")));
        }
        let rule = Rule {
            definition,
            started_at: at,
            state: RuleState::Watching,
            since: at,
            fired: 0,
            last_fired: None,
            problem: None,
            from: offset,
            swept_at: at,
        };
        config.put(&[rule.stored()?])?;
        Ok(self.show(rule))
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// There is none of this name, or the store cannot be written.
    pub fn remove(&self, config: &dyn ConfigStore, name: &str) -> Result<Arc<Rule>> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = self.get(name)?;
        config.put(&[(format!("{PREFIX}{name}"), Vec::new())])?;
        let mut all = BTreeMap::clone(&self.snapshot());
        all.remove(name);
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(all);
        Ok(removed)
    }

    /// Shows how far a rule is, unless it was replaced meanwhile.
    pub fn advance(&self, rule: Rule) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.snapshot();
        let known = all.get(rule.definition.name.as_str());
        if known.is_some_and(|known| known.started_at == rule.started_at) {
            self.show(rule);
        }
    }

    fn show(&self, rule: Rule) -> Arc<Rule> {
        let rule = Arc::new(rule);
        let mut all = BTreeMap::clone(&self.snapshot());
        all.insert(rule.definition.name.to_string(), rule.clone());
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(all);
        rule
    }
}

impl Rule {
    /// As it is stored.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn stored(&self) -> Result<(String, Vec<u8>)> {
        let json = serde_json::to_vec(self).map_err(Error::store("write a rule"))?;
        Ok((format!("{PREFIX}{}", self.definition.name), json))
    }

    /// Whether it fired so lately that it does not fire again.
    #[must_use]
    pub fn is_cooling(&self, now: Time, usual_micros: i64) -> bool {
        let cooldown = self.definition.cooldown.map_or(usual_micros, kernel::domain::Span::micros);
        self.last_fired.is_some_and(|last| now.0 - last.0 < cooldown)
    }
}
