use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::deployments::Deployments;
use super::experimenting::Attached;
use super::keys::{KeyRing, Keys};
use super::last_scores::LastScores;
use super::metrics::Metrics;
use super::projects::Projects;
use super::server::Config;
use super::tending::Tending;
use crate::experiments::Experiments;
use crate::monitoring::{Outbox, Rules, Sending, Watch};
use crate::online::{
    COPY_FILE, Clock, ConfigStore, Embedded, EventLog, Maintenance, TimelineStore, Writer,
};
use crate::{Error, Result};

/// Everything that handlers share.
pub struct Endpoint {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) timelines: Arc<dyn TimelineStore>,
    pub(super) config: Arc<dyn ConfigStore>,
    pub(super) clock: Arc<Clock>,
    pub(super) writer: Writer,
    /// Large requests that are read at once.
    pub(super) reading: tokio::sync::Semaphore,
    /// Groups of history that are read and written at once.
    pub(super) publishing: tokio::sync::Semaphore,
    pub(super) projects: Projects,
    pub(super) last_scores: LastScores,
    _maintenance: Maintenance,
    pub(super) keys: KeyRing,
    pub(super) deployments: Deployments,
    pub(super) experiments: Experiments,
    pub(super) attached: Attached,
    pub(super) metrics: Metrics,
    pub(super) watch: Watch,
    pub(super) rules: Rules,
    pub(super) outbox: Arc<Outbox>,
    sending: Sending,
    pub(super) tending: Tending,
    /// Held while customers are acted on, or one is erased: of whom nothing may be written in between.
    pub(super) telling: tokio::sync::Mutex<()>,
    /// Held by the one who changes the types of properties.
    pub(super) changing_types: std::sync::Mutex<()>,
    pub(super) allows_remote_administration: bool,
    /// It stops: load balancers are told to send nothing more.
    pub(super) is_draining: AtomicBool,
    /// Tells endpoints apart, for those who pull from several.
    pub(super) id: String,
}

/// The id of an endpoint: of one that begins, or is a copy of another, a new one, because its log goes on
/// in its own way.
fn id_of(store: &dyn ConfigStore, config: &Config) -> Result<String> {
    let mark = config.data.join(COPY_FILE);
    let is_copy = mark.exists();
    if let (Some(id), false) = (store.get("id")?, is_copy) {
        return Ok(String::from_utf8_lossy(&id).into_owned());
    }
    let id = Keys::random_id();
    store.put(&[("id".to_owned(), id.clone().into_bytes())])?;
    if is_copy {
        std::fs::remove_file(mark).map_err(Error::store("begin with a copy"))?;
    }
    Ok(id)
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Groups of history that are worked on at once: one is read while another one is written.
const PUBLISHING: usize = 2;

/// Half of what the computer has reads, so that the other half answers and writes.
fn readers() -> usize {
    std::thread::available_parallelism().map_or(1, |n| (n.get() / 2).max(1))
}

impl Endpoint {
    /// Opens the data folder of an endpoint, and makes it if it is not there. Gives the keys at the
    /// first start.
    ///
    /// # Errors
    /// The folder cannot be written, is open in another process, or has a newer format.
    pub fn open(config: &Config) -> Result<(Self, Option<Keys>)> {
        let store = Arc::new(Embedded::open(&config.data, config.store)?);
        let (keys, new_keys) = KeyRing::open(&*store, store.clock().as_of())?;
        let id = id_of(&*store, config)?;
        let outbox = Arc::new(Outbox::open(&*store)?);
        outbox.forget(&*store, store.erased_late())?;
        let watch = Watch::open(&*store, store.clock().as_of())?;
        if !store.erased_late().is_empty() {
            watch.forget_examples();
            store.put(&watch.take_changes(store.clock().as_of(), true)?)?;
            store.drop_replaced()?;
        }
        let endpoint = Self {
            watch,
            rules: Rules::open(&*store)?,
            sending: Sending::start(
                outbox.clone(),
                store.clone(),
                store.clock(),
                config.allows_private_webhooks,
            )?,
            outbox,
            tending: Tending::default(),
            telling: tokio::sync::Mutex::default(),
            changing_types: std::sync::Mutex::default(),
            clock: store.clock(),
            writer: Writer::start(store.clone())?,
            reading: tokio::sync::Semaphore::new(readers()),
            publishing: tokio::sync::Semaphore::new(PUBLISHING),
            projects: Projects::open(&*store)?,
            last_scores: LastScores::default(),
            _maintenance: Maintenance::start(store.clone())?,
            keys,
            attached: Attached::default(),
            experiments: Experiments::open(&*store, store.clone(), store.clone())?,
            deployments: Deployments::open(&*store)?,
            metrics: Metrics::default(),
            allows_remote_administration: config.allows_remote_administration,
            is_draining: AtomicBool::new(false),
            id,
            log: store.clone(),
            timelines: store.clone(),
            config: store,
        };
        endpoint.timelines.set_types(super::history::published_types(&*endpoint.config)?);
        let live = endpoint.deployments.snapshot();
        if live.values().flat_map(|live| live.variants()).any(|variant| variant.reads_scores()) {
            endpoint.timelines.keep_scores();
        }
        endpoint.attached.refresh(&endpoint)?;
        Ok((endpoint, new_keys))
    }

    /// Writes what is waiting, and takes no more.
    pub fn stop(&self) {
        self.tending.stop(self);
        self.sending.stop();
        self.experiments.stop();
        self.writer.stop();
    }
}
