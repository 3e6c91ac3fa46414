use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A client has this long to send the headers of a request that it has begun, or to begin its first one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection may wait so long for its next request: longer than proxies keep theirs.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a connection may be silent. hyper's own timer has one time for both: too long for a client that
/// sends its headers a byte at a time, or too short for one that keeps its connection.
#[derive(Debug)]
pub(super) struct Patience {
    began: Instant,
    /// What it waits for, in the lowest bits, since so many milliseconds after it began.
    state: AtomicU64,
}

const HEADERS: u64 = 0;
const IDLE: u64 = 1;
const BUSY: u64 = 2;
const BITS: u32 = 2;

impl Patience {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), state: AtomicU64::new(HEADERS) }
    }

    fn turn(&self, to: u64) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX >> BITS);
        self.state.store(since << BITS | to, Ordering::Relaxed);
    }

    /// A request is answered now, which has a time of its own.
    pub(super) fn is_busy(&self) {
        self.turn(BUSY);
    }

    /// It was answered.
    pub(super) fn is_idle(&self) {
        self.turn(IDLE);
    }

    /// Bytes have come.
    fn hears(&self) {
        if self.is(IDLE) {
            self.turn(HEADERS);
        }
    }

    /// Bytes of an answer were taken: a long one is not cut off because its reader is slow.
    fn tells(&self) {
        if self.is(IDLE) {
            self.turn(IDLE);
        }
    }

    fn is(&self, state: u64) -> bool {
        self.state.load(Ordering::Relaxed) & ((1 << BITS) - 1) == state
    }

    /// Returns when the connection was silent for too long; where `is_crowded`, others wait for its place.
    pub(super) async fn ends(&self, is_crowded: impl Fn() -> bool) {
        loop {
            tokio::time::sleep(HEADER_TIMEOUT / 2).await;
            let state = self.state.load(Ordering::Relaxed);
            let silent = self.began.elapsed().saturating_sub(Duration::from_millis(state >> BITS));
            let most = match state & ((1 << BITS) - 1) {
                BUSY => continue,
                IDLE if !is_crowded() => IDLE_TIMEOUT,
                _ => HEADER_TIMEOUT,
            };
            if silent >= most {
                return;
            }
        }
    }
}

/// A stream that tells when bytes come and go.
pub(super) struct Heard<S> {
    pub(super) stream: S,
    pub(super) patience: Arc<Patience>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = bytes.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, bytes);
        if bytes.filled().len() > before {
            self.patience.hears();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_ready() {
            self.patience.tells();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        if written.is_ready() {
            self.patience.tells();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
