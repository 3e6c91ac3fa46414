//! Keys: what each may do, how often, and until when. Only hashes are kept.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use kernel::domain::Time;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::online::{ConfigStore, Joiner, Origin};
use crate::{Error, Result};

/// The kind of a key: what it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sends events. It may be public, in a web page. Folders of earlier versions call it `write`.
    #[serde(alias = "write")]
    Browser,
    /// Sends events from a server, and joins user ids.
    Server,
    /// Asks for scores and customers.
    Score,
    /// Deploys, and does everything else.
    Admin,
}

/// One key of each kind, as they are given out once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The browser key, `write_key` in the output of `serve`.
    pub write: String,
    /// The server key.
    pub server: String,
    /// The score key.
    pub score: String,
    /// The admin key.
    pub admin: String,
}

impl Role {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Browser => "fcw_",
            Self::Server => "fcv_",
            Self::Score => "fcs_",
            Self::Admin => "fca_",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Server => "server",
            Self::Score => "score",
            Self::Admin => "admin",
        }
    }

    /// Whether a key of this kind opens what needs a key of another. An admin key opens everything, a server
    /// key everything that a browser key opens.
    fn may(self, wanted: Self) -> bool {
        self == wanted || self == Self::Admin || (self == Self::Server && wanted == Self::Browser)
    }

    /// Which joins a key of this kind may make.
    const fn joiner(self) -> Joiner {
        match self {
            Self::Browser | Self::Score => Joiner::Browser,
            Self::Server => Joiner::Server,
            Self::Admin => Joiner::Admin,
        }
    }
}

/// What is kept of a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Names it, and is no secret.
    pub(super) id: String,
    pub(super) role: Role,
    /// SHA-256 of the key, in hex.
    hash: String,
    pub(super) made_at: Time,
    /// It is not valid from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) valid_until: Option<Time>,
    /// Requests a second that it may make, and as many at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) requests_per_second: Option<f64>,
    /// The source of the events that it sends: a key and those that replaced it are one source, within
    /// which a message id counts once. None for keys that were made before there were sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<u32>,
}

/// The sources of keys that were made before keys had one.
const EARLIER_BROWSER: u32 = 1;
const EARLIER_OTHER: u32 = 2;

impl Kept {
    fn source(&self) -> u32 {
        self.source.unwrap_or(match self.role {
            Role::Browser => EARLIER_BROWSER,
            Role::Server | Role::Score | Role::Admin => EARLIER_OTHER,
        })
    }
}

/// A key, ready to be checked.
#[derive(Debug)]
struct Known {
    kept: Kept,
    allowance: Mutex<Allowance>,
}

/// Requests that a key may make now; they grow with time.
#[derive(Debug)]
struct Allowance {
    requests: f64,
    at: Instant,
}

type ByHash = HashMap<[u8; 32], Known, foldhash::quality::RandomState>;

/// The keys that are valid. Which is asked about is found by its hash, so that time tells nothing.
#[derive(Debug)]
pub(super) struct KeyRing {
    known: RwLock<Arc<ByHash>>,
    /// Held by the one who changes something.
    changing: Mutex<()>,
}

/// Before the names that keys are kept under.
const KEPT: &str = "key/";

impl KeyRing {
    /// Reads the ring; at the first start makes one key of each kind, which are given here only.
    pub(super) fn open(store: &dyn ConfigStore, now: Time) -> Result<(Self, Option<Keys>)> {
        let ring = Self { known: RwLock::default(), changing: Mutex::new(()) };
        ring.read(store)?;
        if !ring.list().is_empty() {
            return Ok((ring, None));
        }
        let first = EARLIER_OTHER + 1;
        let (write, write_kept) = new_key(Role::Browser, now, None, first)?;
        let (server, server_kept) = new_key(Role::Server, now, None, first + 1)?;
        let (score, score_kept) = new_key(Role::Score, now, None, first + 2)?;
        let (admin, admin_kept) = new_key(Role::Admin, now, None, first + 3)?;
        ring.keep(store, &[write_kept, server_kept, score_kept, admin_kept])?;
        Ok((ring, Some(Keys { write, server, score, admin })))
    }

    fn read(&self, store: &dyn ConfigStore) -> Result<()> {
        let mut known = ByHash::default();
        for name in store.names(KEPT)? {
            let Some(bytes) = store.get(&name)? else { continue };
            let kept: Kept = serde_json::from_slice(&bytes).map_err(Error::store("read a key"))?;
            let Some(hash) = from_hex(&kept.hash) else { continue };
            let requests = kept.requests_per_second.unwrap_or(0.0).max(1.0);
            let allowance = Mutex::new(Allowance { requests, at: Instant::now() });
            known.insert(hash, Known { kept, allowance });
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        Ok(())
    }

    fn keep(&self, store: &dyn ConfigStore, kept: &[Kept]) -> Result<()> {
        let mut values = Vec::with_capacity(kept.len());
        for kept in kept {
            let json = serde_json::to_vec(kept).map_err(Error::store("write a key"))?;
            values.push((format!("{KEPT}{}", kept.id), json));
        }
        store.put(&values)?;
        self.read(store)
    }

    fn snapshot(&self) -> Arc<ByHash> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All keys that were made, the oldest first.
    pub(super) fn list(&self) -> Vec<Kept> {
        let mut kept: Vec<Kept> =
            self.snapshot().values().map(|known| known.kept.clone()).collect();
        kept.sort_by(|left, right| (left.made_at, &left.id).cmp(&(right.made_at, &right.id)));
        kept
    }

    /// Makes a key, which is given here only.
    pub(super) fn make(
        &self,
        store: &dyn ConfigStore,
        role: Role,
        requests_per_second: Option<f64>,
        now: Time,
    ) -> Result<(String, Kept)> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = self.snapshot();
        let last = sources.values().map(|known| known.kept.source()).max();
        let source = last.unwrap_or(0).max(EARLIER_OTHER) + 1;
        let (key, kept) = new_key(role, now, requests_per_second, source)?;
        self.keep(store, std::slice::from_ref(&kept))?;
        Ok((key, kept))
    }

    /// Makes a key that replaces another, which stays valid until a time.
    pub(super) fn rotate(
        &self,
        store: &dyn ConfigStore,
        id: &str,
        until: Time,
        now: Time,
    ) -> Result<(String, Kept)> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut old = self.find(id)?;
        if old.valid_until.is_some_and(|ended| ended <= now) {
            let message = format!("the key '{id}' has ended; make a new one instead");
            return Err(Error::BadRequest(message));
        }
        let (key, kept) = new_key(old.role, now, old.requests_per_second, old.source())?;
        old.valid_until = Some(old.valid_until.map_or(until, |earlier| earlier.min(until)));
        self.keep(store, &[old, kept.clone()])?;
        Ok((key, kept))
    }

    /// Ends a key. The last admin key stays: nobody could make another.
    pub(super) fn revoke(&self, store: &dyn ConfigStore, id: &str, now: Time) -> Result<Kept> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = self.find(id)?;
        let is_valid = |key: &Kept| key.valid_until.is_none_or(|until| until > now);
        let others = self.list().into_iter().filter(|key| key.id != id);
        let mut admins = others.filter(|key| key.role == Role::Admin && is_valid(key));
        if kept.role == Role::Admin && admins.next().is_none() {
            let message = "this is the last admin key; make another one first".to_owned();
            return Err(Error::BadRequest(message));
        }
        if is_valid(&kept) {
            kept.valid_until = Some(now);
        }
        self.keep(store, std::slice::from_ref(&kept))?;
        Ok(kept)
    }

    fn find(&self, id: &str) -> Result<Kept> {
        let found = self.list().into_iter().find(|key| key.id == id);
        found.ok_or_else(|| Error::NotFound(format!("there is no key '{id}'")))
    }

    /// Whether the headers of a request have a valid key of any kind. The request is not counted.
    pub(super) fn has_valid_key(&self, headers: &HeaderMap, now: Time) -> bool {
        let Some(key) = key_of(headers) else { return false };
        let all = self.snapshot();
        let known = all.get(&hash(&key));
        known.is_some_and(|known| known.kept.valid_until.is_none_or(|until| now < until))
    }

    /// Checks that a request may do something, and counts it. Gives the origin of its events.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        body_key: Option<&str>,
        wanted: Role,
        now: Time,
    ) -> Result<Origin> {
        let name = wanted.name();
        let Some(key) = key_of(headers).or_else(|| body_key.map(Cow::Borrowed)) else {
            return Err(Error::Unauthorized(format!(
                "this needs a {name} key: send it as 'Authorization: Bearer KEY'"
            )));
        };
        let all = self.snapshot();
        let valid = |known: &&Known| known.kept.valid_until.is_none_or(|until| now < until);
        let Some(known) = all.get(&hash(&key)).filter(valid) else {
            return Err(Error::Unauthorized(format!(
                "this key is not known here, or not valid any more; a {name} key begins with {}",
                wanted.prefix()
            )));
        };
        if !known.kept.role.may(wanted) {
            return Err(Error::Forbidden(format!(
                "this is a {} key, but a {name} key is needed here",
                known.kept.role.name()
            )));
        }
        known.count()?;
        Ok(Origin { source: known.kept.source(), joiner: known.kept.role.joiner() })
    }
}

impl Known {
    /// Counts a request, if there is a limit.
    fn count(&self) -> Result<()> {
        let Some(rate) = self.kept.requests_per_second else { return Ok(()) };
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let since = now.duration_since(allowance.at).as_secs_f64();
        allowance.requests = (allowance.requests + since * rate).min(rate.max(1.0));
        allowance.at = now;
        if allowance.requests < 1.0 {
            return Err(Error::TooMany { rate, wait: (1.0 - allowance.requests) / rate });
        }
        allowance.requests -= 1.0;
        Ok(())
    }
}

fn new_key(
    role: Role,
    now: Time,
    requests_per_second: Option<f64>,
    source: u32,
) -> Result<(String, Kept)> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(Error::store("make a key"))?;
    let key = format!("{}{}", role.prefix(), URL_SAFE_NO_PAD.encode(bytes));
    let hash = hash(&key);
    let hex = hex(&hash);
    let kept = Kept {
        id: format!("{}-{}", role.name(), &hex[..12]),
        role,
        hash: hex,
        made_at: now,
        valid_until: None,
        requests_per_second,
        source: Some(source),
    };
    Ok((key, kept))
}

/// The keys have full entropy, so one round of SHA-256 is enough.
fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        if write!(text, "{byte:02x}").is_err() {
            text.push('0');
        }
        text
    })
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Whether a request has a key in its headers, valid or not.
pub(super) fn has_key(headers: &HeaderMap) -> bool {
    key_of(headers).is_some()
}

/// The key of a request: bearer, `X-API-Key`, or the user of basic authentication, as SDKs send it.
fn key_of(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    if let Some(key) = headers.get("x-api-key").and_then(|value| value.to_str().ok()) {
        return Some(Cow::Borrowed(key));
    }
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Cow::Borrowed(rest.trim()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let user = decoded.split(':').next().unwrap_or_default();
    (!user.is_empty()).then(|| Cow::Owned(user.to_owned()))
}

impl Keys {
    /// A random hex text, for ids that nobody may guess or repeat.
    pub(super) fn random_id() -> String {
        let mut bytes = [0; 16];
        // Without randomness ids still differ by time; the caller adds that.
        if getrandom::fill(&mut bytes).is_err() {
            return "0".to_owned();
        }
        hex(&bytes)
    }
}
