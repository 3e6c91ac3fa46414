use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use kernel::domain::Time;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::online::ConfigStore;
use crate::{Error, Result};

/// What webhooks are signed with. Unlike keys it must be kept as it is: both sides make the same
/// signature of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// The secret, as receivers configure it.
    pub current: String,
    /// The one before, while it still signs.
    pub previous: Option<String>,
    /// Until when.
    pub previous_until: Option<Time>,
}

/// Where it is stored.
const KEY: &str = "webhook-secret";
/// What it begins with, by the Standard Webhooks specification.
const PREFIX: &str = "whsec_";
/// Bytes of a secret.
const LENGTH: usize = 32;
/// A secret that was replaced signs on so long.
const OVERLAP_MICROS: i64 = 24 * 3_600 * 1_000_000;

impl Secrets {
    /// The secrets of this endpoint, made at the first time.
    ///
    /// # Errors
    /// The store cannot be used.
    pub fn open(config: &dyn ConfigStore) -> Result<Self> {
        match config.get(KEY)? {
            Some(json) => {
                serde_json::from_slice(&json).map_err(Error::store("read its webhook secret"))
            }
            None => {
                let fresh = Self { current: fresh()?, previous: None, previous_until: None };
                fresh.store(config)?;
                Ok(fresh)
            }
        }
    }

    /// Replaces the secret. For a day both sign, so that receivers can follow.
    ///
    /// # Errors
    /// The store cannot be used.
    pub fn rotate(config: &dyn ConfigStore, now: Time) -> Result<Self> {
        let before = Self::open(config)?.current;
        let until = Time(now.0 + OVERLAP_MICROS);
        let rotated =
            Self { current: fresh()?, previous: Some(before), previous_until: Some(until) };
        rotated.store(config)?;
        Ok(rotated)
    }

    fn store(&self, config: &dyn ConfigStore) -> Result<()> {
        let json = serde_json::to_vec(self).map_err(Error::store("write its webhook secret"))?;
        config.put(&[(KEY.to_owned(), json)])
    }

    /// The value of the header `webhook-signature` of a message: a signature of each secret.
    #[must_use]
    pub fn sign(&self, id: &str, at: Time, body: &str) -> String {
        let previous = self.previous.iter().filter(|_| self.previous_until > Some(at));
        let all: Vec<String> = std::iter::once(&self.current)
            .chain(previous)
            .filter_map(|secret| signature(secret, id, seconds(at), body))
            .collect();
        all.join(" ")
    }
}

/// Seconds since the epoch, as the header `webhook-timestamp` has them.
pub(super) const fn seconds(at: Time) -> i64 {
    at.0.div_euclid(1_000_000)
}

fn fresh() -> Result<String> {
    let mut bytes = [0_u8; LENGTH];
    getrandom::fill(&mut bytes).map_err(Error::store("make a webhook secret"))?;
    Ok(format!("{PREFIX}{}", STANDARD.encode(bytes)))
}

/// A signature by the Standard Webhooks specification (version 1): HMAC-SHA256 of `id.timestamp.body`.
/// None if the secret is none.
#[must_use]
pub fn signature(secret: &str, id: &str, timestamp: i64, body: &str) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's hmac and base64.
    #[test]
    fn a_signature_is_what_others_make_of_it() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let body = "{\"test\": 2432232314}";
        assert_eq!(
            signature(secret, id, 1_614_265_330, body).as_deref(),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
        assert_eq!(signature("no secret", id, 0, body), None);
    }
}
