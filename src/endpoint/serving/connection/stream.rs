use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::framing::Framing;
use super::{Connection, Phase};

/// Time that a client has to read the last response while what it still sends is discarded.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that are discarded; a client that sends more gets a reset.
const LINGER_BYTES: usize = 64 * 1024 * 1024;

/// The stream of a connection: notes when bytes come and go, and checks the heads of requests.
///
/// hyper gets bytes up to the end of a head, and what follows only when it asks for more: so each request that it
/// hands over is the one whose head was checked last.
pub(in super::super) struct WatchedStream<S> {
    stream: S,
    connection: Arc<Connection>,
    framing: Framing,
    /// Bytes that were received after the end of a head or a body.
    held: Vec<u8>,
    lingering: Option<Lingering>,
}

struct Lingering {
    timeout: Pin<Box<Sleep>>,
    bytes: usize,
}

impl<S> WatchedStream<S> {
    pub(in super::super) fn new(stream: S, connection: Arc<Connection>) -> Self {
        Self { stream, connection, framing: Framing::new(), held: Vec::new(), lingering: None }
    }

    /// Whether closing now would reset the connection, and so take the last response from the client.
    fn has_unread_bytes(&self) -> bool {
        self.connection.leaves_unread() || self.framing.is_within_head() || !self.held.is_empty()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let start = bytes.filled().len();
        if this.held.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(context, bytes))?;
        } else {
            let n = this.held.len().min(bytes.remaining());
            bytes.put_slice(&this.held[..n]);
            this.held.drain(..n);
        }
        let new = &bytes.filled()[start..];
        if new.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let begins = this.connection.received();
        let (read, head) = this.framing.read(new, begins);
        if let Some(head) = head {
            this.connection.note_head(head);
        }
        if read < new.len() {
            this.held.splice(0..0, new[read..].iter().copied());
            bytes.set_filled(start + read);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WatchedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_ready() {
            self.connection.sent();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Ends the stream. Where the client may still send, its bytes are discarded for a while: a socket that is
    /// closed with unread bytes is reset, and the client loses the response.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            if !this.has_unread_bytes() {
                return Poll::Ready(Ok(()));
            }
            this.connection.enter(Phase::Closing);
            this.held = Vec::new();
        }
        let lingering = this.lingering.get_or_insert_with(|| Lingering {
            timeout: Box::pin(sleep(LINGER_TIMEOUT)),
            bytes: 0,
        });
        let mut discarded = [0; 8 * 1024];
        while lingering.bytes < LINGER_BYTES
            && lingering.timeout.as_mut().poll(context).is_pending()
        {
            let mut discarded = ReadBuf::new(&mut discarded);
            let read = Pin::new(&mut this.stream).poll_read(context, &mut discarded);
            if ready!(read).is_err() || discarded.filled().is_empty() {
                break;
            }
            lingering.bytes += discarded.filled().len();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        if written.is_ready() {
            self.connection.sent();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
