use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::acting::Acting;
use super::alerting;
use super::maturing::Maturing;
use super::state::Endpoint;
use crate::{Error, Result};

/// The thread that looks at what is live: it acts on customers, raises alerts, finds out what became of
/// scores, and stores what was counted. Requests never wait for it.
#[derive(Debug, Default)]
pub(super) struct Tending {
    thread: Mutex<Option<JoinHandle<()>>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_stopped: Mutex<bool>,
    changed: Condvar,
}

/// How often it looks for events to act on.
const EVERY: Duration = Duration::from_millis(200);
/// How often it looks at deployments.
const ALERTS_EVERY: Duration = Duration::from_secs(2);
/// After a failure the store is left alone so long.
const REST: Duration = Duration::from_secs(10);

impl Tending {
    /// Starts the thread, which does not keep the endpoint alive.
    pub(super) fn start(&self, endpoint: &Arc<Endpoint>) -> Result<()> {
        let (weak, shared) = (Arc::downgrade(endpoint), self.shared.clone());
        let thread = std::thread::Builder::new()
            .name("tending".to_owned())
            .spawn(move || tend(&weak, &shared))
            .map_err(Error::store("start its rules"))?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Ends the thread, and stores what was counted.
    pub(super) fn stop(&self, endpoint: &Endpoint) {
        *self.shared.is_stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        if thread.join().is_err() {
            tracing::error!("the thread of the rules ended with a panic");
        }
        if let Err(error) = store(endpoint, true) {
            tracing::warn!(%error, "the last quarter of an hour is not stored");
        }
    }
}

impl Shared {
    /// Waits for the next look; false if there is none.
    fn rests(&self, wait: Duration) -> bool {
        let stopped = self.is_stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(stopped, wait, |stopped| !*stopped);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn tend(endpoint: &Weak<Endpoint>, shared: &Shared) {
    let (mut acting, mut maturing) = (Acting::default(), Maturing::default());
    let mut alerts_at = Instant::now();
    let mut wait = EVERY;
    while shared.rests(wait) {
        let Some(endpoint) = endpoint.upgrade() else { return };
        wait = EVERY;
        let looked = look(&endpoint, &mut acting, &mut maturing, &mut alerts_at);
        if let Err(error) = looked {
            tracing::warn!(%error, "rules are not up to date; trying again");
            wait = REST;
        }
    }
}

fn look(
    endpoint: &Endpoint,
    acting: &mut Acting,
    maturing: &mut Maturing,
    alerts_at: &mut Instant,
) -> Result<()> {
    acting.look(endpoint)?;
    maturing.look(endpoint)?;
    if Instant::now() >= *alerts_at {
        *alerts_at = Instant::now() + ALERTS_EVERY;
        alerting::look(endpoint)?;
        let _nobody_is_erased = endpoint.telling.blocking_lock();
        store(endpoint, false)?;
    }
    Ok(())
}

/// Stores what was counted in quarters of an hour that are over, or in all.
pub(super) fn store(endpoint: &Endpoint, is_last: bool) -> Result<()> {
    let changes = endpoint.watch.take_changes(endpoint.clock.as_of(), is_last)?;
    if changes.is_empty() {
        return Ok(());
    }
    endpoint.config.put(&changes)
}
