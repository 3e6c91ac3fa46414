use std::fmt::Write as _;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::online::ConfigStore;
use crate::{Error, Result};

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To send events; it may be public, in a browser.
    Write,
    /// To ask for scores and customers.
    Score,
    /// To deploy, and everything else.
    Admin,
}

/// One key of each kind, as they are given out once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// To send events.
    pub write: String,
    /// To ask for scores and customers.
    pub score: String,
    /// To deploy, and everything else.
    pub admin: String,
}

const ROLES: [Role; 3] = [Role::Write, Role::Score, Role::Admin];

impl Role {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Write => "fcw_",
            Self::Score => "fcs_",
            Self::Admin => "fca_",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Score => "score",
            Self::Admin => "admin",
        }
    }

    /// An admin key may do everything; the others only their own.
    fn may(self, wanted: Self) -> bool {
        self == wanted || self == Self::Admin
    }
}

/// The hashes of the keys that are valid.
#[derive(Clone, Debug)]
pub(super) struct KeyRing {
    hashes: Vec<(Role, [u8; 32])>,
}

impl KeyRing {
    /// Reads the ring; at the first start makes one key of each kind, which are given here only.
    pub(super) fn open(store: &dyn ConfigStore) -> Result<(Self, Option<Keys>)> {
        let mut hashes = Vec::new();
        for role in ROLES {
            let stored = store.get(&format!("key/{}", role.name()))?;
            if let Some(hash) = stored.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
                hashes.push((role, hash));
            }
        }
        if hashes.len() == ROLES.len() {
            return Ok((Self { hashes }, None));
        }
        let keys = Keys {
            write: new_key(Role::Write)?,
            score: new_key(Role::Score)?,
            admin: new_key(Role::Admin)?,
        };
        let pairs = [&keys.write, &keys.score, &keys.admin];
        let hashes: Vec<_> =
            ROLES.into_iter().zip(pairs).map(|(role, key)| (role, hash(key))).collect();
        let values: Vec<_> = hashes
            .iter()
            .map(|(role, hash)| (format!("key/{}", role.name()), hash.to_vec()))
            .collect();
        store.put(&values)?;
        Ok((Self { hashes }, Some(keys)))
    }

    /// Whether a request has any key that is known here: asked before its body is read.
    pub(super) fn knows(&self, headers: &HeaderMap) -> bool {
        key_of(headers).is_some_and(|key| {
            let hashed = hash(&key);
            self.hashes.iter().any(|(_, hash)| *hash == hashed)
        })
    }

    /// Whether a request may do something.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        body_key: Option<&str>,
        wanted: Role,
    ) -> Result<()> {
        let name = wanted.name();
        let Some(key) = key_of(headers).or_else(|| body_key.map(str::to_owned)) else {
            return Err(Error::Unauthorized(format!(
                "this needs a {name} key: send it as 'Authorization: Bearer KEY'"
            )));
        };
        let hashed = hash(&key);
        let mut role = None;
        for (known, hash) in &self.hashes {
            // All hashes are compared, and each in full, so that time tells nothing.
            let same = hash.iter().zip(hashed).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0;
            if same {
                role = Some(*known);
            }
        }
        match role {
            None => Err(Error::Unauthorized(format!(
                "this key is not known here; a {name} key begins with {}",
                wanted.prefix()
            ))),
            Some(role) if role.may(wanted) => Ok(()),
            Some(role) => Err(Error::Forbidden(format!(
                "this is a {} key, but a {name} key is needed here",
                role.name()
            ))),
        }
    }
}

fn new_key(role: Role) -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(Error::store("make a key"))?;
    Ok(format!("{}{}", role.prefix(), URL_SAFE_NO_PAD.encode(bytes)))
}

/// The keys have full entropy, so one round of SHA-256 is enough.
fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// The key of a request: bearer, `X-API-Key`, or the user of basic authentication, as SDKs send it.
fn key_of(headers: &HeaderMap) -> Option<String> {
    if let Some(key) = headers.get("x-api-key").and_then(|value| value.to_str().ok()) {
        return Some(key.to_owned());
    }
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    Some(decoded.split(':').next().unwrap_or_default().to_owned()).filter(|key| !key.is_empty())
}

impl Keys {
    /// A random hex text, for ids that nobody may guess or repeat.
    pub(super) fn random_id() -> String {
        let mut bytes = [0; 16];
        // Without randomness ids still differ by time; the caller adds that.
        if getrandom::fill(&mut bytes).is_err() {
            return "0".to_owned();
        }
        bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
            if write!(text, "{byte:02x}").is_err() {
                text.push('0');
            }
            text
        })
    }
}
