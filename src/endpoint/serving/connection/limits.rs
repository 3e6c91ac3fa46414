use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Connection, Phase};

/// Maximum number of open connections, if the limit of file handles allows it.
const MAX_CONNECTIONS: usize = 2_048;
/// Open connections of one address on which no request had a valid key.
const MAX_UNAUTHENTICATED_PER_ADDRESS: usize = 256;

/// The open connections. A new one never waits behind those that only hold a place: the one that has waited
/// longest for its client is closed instead, first among those without a key.
#[derive(Debug)]
pub(in super::super) struct ConnectionLimits {
    max: usize,
    permits: Arc<Semaphore>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    connections: HashMap<u64, Arc<Connection>, RandomState>,
    /// Connections without a valid key, by address.
    unauthenticated: HashMap<IpAddr, usize, RandomState>,
    next: u64,
}

/// The place of a connection among the open ones; free again when it is dropped.
#[derive(Debug)]
pub(in super::super) struct Place {
    limits: Arc<ConnectionLimits>,
    number: u64,
    pub(in super::super) connection: Arc<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.limits.open();
        open.connections.remove(&self.number);
        if !self.connection.is_authenticated() {
            open.forget_unauthenticated(self.connection.network);
        }
    }
}

impl ConnectionLimits {
    /// Limits for a process with the given maximum of open files.
    pub(in super::super) fn new(file_handles: usize) -> Arc<Self> {
        // Half of them stay for the store.
        let max = (file_handles / 2).clamp(16, MAX_CONNECTIONS);
        let permits = Arc::new(Semaphore::new(max));
        Arc::new(Self { max, permits, open: Mutex::default() })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from an address. Closes another one if there are too many.
    pub(in super::super) async fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                self.open().close_longest_waiting(|_| true);
                self.permits.clone().acquire_owned().await.ok()?
            }
        };
        let connection = Arc::new(Connection::new(address));
        let network = connection.network;
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        open.connections.insert(number, connection.clone());
        let unauthenticated = open.unauthenticated.entry(network).or_default();
        *unauthenticated += 1;
        if *unauthenticated > MAX_UNAUTHENTICATED_PER_ADDRESS {
            open.close_longest_waiting(|other| {
                other.network == network && !other.is_authenticated()
            });
        }
        drop(open);
        Some(Place { limits: self.clone(), number, connection, _permit: permit })
    }

    /// Whether few places are left.
    pub(in super::super) fn is_crowded(&self) -> bool {
        self.permits.available_permits() < self.max / 8
    }

    /// Notes that a request on a connection had a valid key.
    pub(in super::super) fn authenticate(&self, connection: &Connection) {
        let mut open = self.open();
        if !connection.is_authenticated.swap(true, Ordering::Relaxed) {
            open.forget_unauthenticated(connection.network);
        }
    }

    /// Returns when all connections have ended.
    pub(in super::super) async fn all_ended(&self) {
        let all = u32::try_from(self.max).unwrap_or(u32::MAX);
        if self.permits.acquire_many(all).await.is_err() {
            tracing::error!("the connections were closed");
        }
    }
}

impl Open {
    fn forget_unauthenticated(&mut self, network: IpAddr) {
        if let Some(n) = self.unauthenticated.get_mut(&network) {
            *n -= 1;
            if *n == 0 {
                self.unauthenticated.remove(&network);
            }
        }
    }

    /// Closes the connection that has waited longest for its client: one without a key if there is one, and one
    /// between requests last. A request that is being answered is never cut off.
    fn close_longest_waiting(&self, may_close: impl Fn(&Connection) -> bool) {
        let waiting = self
            .connections
            .values()
            .filter(|connection| connection.phase() != Phase::Busy && may_close(connection));
        let longest = waiting.min_by_key(|connection| {
            let is_idle = connection.phase() == Phase::Idle;
            let began = connection.opened + std::time::Duration::from_millis(connection.since());
            (connection.is_authenticated(), is_idle, began)
        });
        if let Some(connection) = longest {
            // It is not chosen again until it is gone.
            connection.enter(Phase::Busy);
            connection.close.notify_one();
        }
    }
}
