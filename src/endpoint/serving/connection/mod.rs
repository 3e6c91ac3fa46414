//! Connections: how long each may be silent, how many there may be, and how many bytes of requests they hold.
//!
//! In: an accepted socket. Out: a stream for hyper whose request heads were checked, and bodies that arrive
//! at a minimum rate within a budget of memory. Never: what a request means.

mod body;
mod framing;
mod limits;
mod stream;

pub(super) use body::{BodyBudget, Incoming, ReceivedBody};
pub(super) use framing::RequestHead;
pub(super) use limits::{ConnectionLimits, Place};
pub(super) use stream::WatchedStream;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Time to send the head of a request that was begun, or to begin the first one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between requests: longer than proxies keep their idle connections.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// The state of one connection, shared by its stream, its requests and the limits of all connections.
///
/// hyper's own timer has one time for the head of a request and for the pause before it: too long for a client
/// that sends its head a byte at a time, or too short for one that keeps its connection.
#[derive(Debug)]
pub(super) struct Connection {
    opened: Instant,
    /// The phase in the lowest bits; above it the milliseconds from `opened` to its beginning.
    state: AtomicU64,
    /// The address of the client; of IPv6 the first 64 bits, which belong to one customer of a provider.
    network: IpAddr,
    is_authenticated: AtomicBool,
    /// The head that was received last and not answered yet, as [`RequestHead::from_code`] reads it.
    head: AtomicU8,
    /// Whether the client may send more that nobody reads.
    has_unread_bytes: AtomicBool,
    close: Notify,
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits for the rest of a request's head, or for the first request.
    Head = 0,
    /// Waits for its next request.
    Idle = 1,
    /// Waits for the rest of a request's body.
    Body = 2,
    /// A request is being answered.
    Busy = 3,
    /// The last response was sent; bytes that the client still sends are discarded.
    Closing = 4,
}

const PHASE_BITS: u32 = 3;

impl Connection {
    fn new(address: IpAddr) -> Self {
        Self {
            opened: Instant::now(),
            state: AtomicU64::new(Phase::Head as u64),
            network: network(address),
            is_authenticated: AtomicBool::new(false),
            head: AtomicU8::new(0),
            has_unread_bytes: AtomicBool::new(false),
            close: Notify::new(),
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(0);
        self.state.store(since << PHASE_BITS | phase as u64, Ordering::Relaxed);
    }

    fn phase(&self) -> Phase {
        match self.state.load(Ordering::Relaxed) & ((1 << PHASE_BITS) - 1) {
            0 => Phase::Head,
            1 => Phase::Idle,
            2 => Phase::Body,
            3 => Phase::Busy,
            _ => Phase::Closing,
        }
    }

    /// Milliseconds from `opened` to the beginning of the phase.
    fn since(&self) -> u64 {
        self.state.load(Ordering::Relaxed) >> PHASE_BITS
    }

    /// Notes that bytes came. Returns whether they begin a request after a pause.
    fn received(&self) -> bool {
        let begins = self.phase() == Phase::Idle;
        if begins {
            self.enter(Phase::Head);
        }
        begins
    }

    /// Notes that the client took bytes: a long response is not cut off because its reader is slow.
    fn sent(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Idle);
        }
    }

    fn note_head(&self, head: RequestHead) {
        self.head.store(head.code(), Ordering::Relaxed);
    }

    /// The head of the request that hyper hands over now; none if its bytes were not checked.
    pub(super) fn take_head(&self) -> Option<RequestHead> {
        RequestHead::from_code(self.head.swap(0, Ordering::Relaxed))
    }

    /// Notes that the connection ends after the response, although the client may send more.
    pub(super) fn leave_unread(&self) {
        self.has_unread_bytes.store(true, Ordering::Relaxed);
    }

    /// Whether it ends after the response.
    pub(super) fn leaves_unread(&self) -> bool {
        self.has_unread_bytes.load(Ordering::Relaxed)
    }

    /// Whether a request on it had a valid key.
    pub(super) fn is_authenticated(&self) -> bool {
        self.is_authenticated.load(Ordering::Relaxed)
    }

    /// Returns when the connection has to be closed: it was silent for too long, or its place is needed.
    pub(super) async fn ended(&self, is_crowded: impl Fn() -> bool) {
        tokio::select! {
            () = self.timed_out(is_crowded) => {}
            () = self.close.notified() => {}
        }
    }

    async fn timed_out(&self, is_crowded: impl Fn() -> bool) {
        loop {
            tokio::time::sleep(HEAD_TIMEOUT / 2).await;
            let silent = self.opened.elapsed().saturating_sub(Duration::from_millis(self.since()));
            let longest = match self.phase() {
                // Requests have times of their own.
                Phase::Body | Phase::Busy | Phase::Closing => continue,
                Phase::Idle if !is_crowded() => IDLE_TIMEOUT,
                Phase::Idle | Phase::Head => HEAD_TIMEOUT,
            };
            if silent >= longest {
                return;
            }
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        address @ IpAddr::V4(_) => address,
    }
}
