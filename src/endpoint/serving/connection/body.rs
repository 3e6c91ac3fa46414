use std::future::Future as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::super::problem::document;
use super::{Connection, Phase};

pub(in super::super) type Incoming = hyper::body::Incoming;

/// Bytes of a body that need no room in the budget: small requests are never refused for large ones.
const FREE_BYTES: usize = 16 * 1024;
/// Bytes of bodies that are being received, of requests with a valid key in their headers and of all others.
const KEYED_BYTES: usize = 32 * 1024 * 1024;
const KEYLESS_BYTES: usize = 8 * 1024 * 1024;
/// A body may be silent for so long, and has to arrive at a rate in bytes per second after as long.
const GRACE: Duration = Duration::from_secs(5);
const MIN_RATE: f64 = 8.0 * 1024.0;
/// The same where the budget is half used.
const SHORT_GRACE: Duration = Duration::from_secs(1);
const HIGH_MIN_RATE: f64 = 64.0 * 1024.0;
/// How often the rate is checked.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// What is left of a body that nobody reads is discarded up to these limits, to keep the connection.
const DISCARDED_BYTES: u64 = 64 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// The memory of bodies that are being received.
#[derive(Debug, Default)]
pub(in super::super) struct BodyBudget {
    keyed: AtomicUsize,
    keyless: AtomicUsize,
}

impl BodyBudget {
    const fn pool(&self, is_keyed: bool) -> (&AtomicUsize, usize) {
        match is_keyed {
            true => (&self.keyed, KEYED_BYTES),
            false => (&self.keyless, KEYLESS_BYTES),
        }
    }
}

/// Why the rest of a body is not read.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    TooSlow,
    NoRoom,
}

/// How much of a request's body has come; its memory counts until this is dropped.
#[derive(Debug)]
pub(in super::super) struct ReceivedBody {
    budget: Arc<BodyBudget>,
    connection: Arc<Connection>,
    /// Whether the request has a valid key in its headers.
    is_keyed: bool,
    began: Instant,
    received: AtomicUsize,
    reserved: AtomicUsize,
    is_complete: AtomicBool,
    refusal: OnceLock<Refusal>,
    /// The part of the body that was not read.
    rest: Mutex<Option<Incoming>>,
}

impl Drop for ReceivedBody {
    fn drop(&mut self) {
        let reserved = self.reserved.load(Ordering::Relaxed);
        self.budget.pool(self.is_keyed).0.fetch_sub(reserved, Ordering::Relaxed);
    }
}

impl ReceivedBody {
    pub(in super::super) fn new(
        budget: &Arc<BodyBudget>,
        connection: &Arc<Connection>,
        is_keyed: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            budget: budget.clone(),
            connection: connection.clone(),
            is_keyed,
            began: Instant::now(),
            received: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            is_complete: AtomicBool::new(false),
            refusal: OnceLock::new(),
            rest: Mutex::default(),
        })
    }

    /// The body for a handler, within the limits.
    pub(in super::super) fn limit(self: &Arc<Self>, incoming: Incoming) -> axum::body::Body {
        let received = self.clone();
        axum::body::Body::new(LimitedBody { incoming: Some(incoming), received, check: None })
    }

    /// The response to a request whose body was refused.
    pub(in super::super) fn refusal(&self) -> Option<Response> {
        let (status, detail) = match self.refusal.get()? {
            Refusal::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "the body arrived too slowly: send it within seconds, at 8 KiB/s at least",
            ),
            Refusal::NoRoom if self.is_keyed => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many bodies are being received; try again in a second",
            ),
            Refusal::NoRoom => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many large bodies without a key in their headers are being received; send the key as \
                 'Authorization: Bearer KEY', or try again in a second",
            ),
        };
        let mut response = document(status, detail);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        Some(response)
    }

    /// Whether all of it was read.
    pub(in super::super) fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
    }

    /// Discards a short rest of the body. Returns whether nothing is left, so that the connection can go on.
    pub(in super::super) async fn discard_rest(&self) -> bool {
        if self.is_complete() {
            return true;
        }
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut rest) = rest.filter(|_| self.refusal.get().is_none()) else { return false };
        if rest.size_hint().upper().is_some_and(|left| left > DISCARDED_BYTES) {
            return false;
        }
        let discard = async {
            let mut left = DISCARDED_BYTES;
            loop {
                let next = std::future::poll_fn(|cx| Pin::new(&mut rest).poll_frame(cx)).await;
                let Some(Ok(frame)) = next else { return next.is_none() };
                let n = frame.data_ref().map_or(0, Bytes::len) as u64;
                let Some(less) = left.checked_sub(n) else { return false };
                left = less;
            }
        };
        tokio::time::timeout(DISCARD_TIMEOUT, discard).await.unwrap_or(false)
    }

    fn receive(&self, n: usize) -> Result<(), Refusal> {
        let received = self.received.fetch_add(n, Ordering::Relaxed) + n;
        let needed = received.saturating_sub(FREE_BYTES);
        let more = needed.saturating_sub(self.reserved.load(Ordering::Relaxed));
        if more == 0 {
            return Ok(());
        }
        let (pool, max) = self.budget.pool(self.is_keyed);
        self.reserved.fetch_add(more, Ordering::Relaxed);
        if pool.fetch_add(more, Ordering::Relaxed) + more > max {
            return Err(Refusal::NoRoom);
        }
        Ok(())
    }

    fn is_too_slow(&self, silent: Duration) -> bool {
        let (pool, max) = self.budget.pool(self.is_keyed);
        let is_scarce = pool.load(Ordering::Relaxed) > max / 2;
        let (grace, rate) =
            if is_scarce { (SHORT_GRACE, HIGH_MIN_RATE) } else { (GRACE, MIN_RATE) };
        #[allow(clippy::cast_precision_loss, reason = "bytes of a body")]
        let received = self.received.load(Ordering::Relaxed) as f64;
        let due = self.began.elapsed().saturating_sub(grace).as_secs_f64() * rate;
        silent >= grace || received < due
    }
}

/// A body that has to arrive at a minimum rate, within the budget.
#[derive(Debug)]
struct LimitedBody {
    incoming: Option<Incoming>,
    received: Arc<ReceivedBody>,
    /// The next check of the rate, and since when nothing came.
    check: Option<(Pin<Box<Sleep>>, Instant)>,
}

impl Drop for LimitedBody {
    fn drop(&mut self) {
        let rest = self.incoming.take();
        *self.received.rest.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }
}

impl LimitedBody {
    fn refuse(&self, refusal: Refusal) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // The first refusal stays.
        let refusal = self.received.refusal.get_or_init(|| refusal);
        Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other(format!("{refusal:?}"))))))
    }

    fn complete(&mut self) {
        self.received.is_complete.store(true, Ordering::Release);
        if self.check.take().is_some() {
            self.received.connection.enter(Phase::Busy);
        }
    }
}

impl Body for LimitedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(incoming) = self.incoming.as_mut() else { return Poll::Ready(None) };
        match Pin::new(incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some((_, since)) = &mut self.check {
                    *since = Instant::now();
                }
                let n = frame.data_ref().map_or(0, Bytes::len);
                if let Err(refusal) = self.received.receive(n) {
                    return self.refuse(refusal);
                }
                if self.is_end_stream() {
                    self.complete();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(axum::Error::new(error)))),
            Poll::Ready(None) => {
                self.complete();
                Poll::Ready(None)
            }
            Poll::Pending => {
                if self.check.is_none() {
                    self.received.connection.enter(Phase::Body);
                    self.check = Some((Box::pin(sleep(CHECK_EVERY)), Instant::now()));
                }
                let this = &mut *self;
                while let Some((timer, since)) = &mut this.check
                    && timer.as_mut().poll(context).is_ready()
                {
                    if this.received.is_too_slow(since.elapsed()) {
                        return this.refuse(Refusal::TooSlow);
                    }
                    timer.as_mut().reset(tokio::time::Instant::now() + CHECK_EVERY);
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
