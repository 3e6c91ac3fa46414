use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::response::Response;
use futures_util::FutureExt as _;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutStream;
use tower_service::Service as _;

use super::connection::{
    BodyBudget, Connection, ConnectionLimits, Incoming, Phase, Place, ReceivedBody, RequestHead,
    WatchedStream,
};
use super::file_handles;
use super::metrics::Kind;
use super::router::{Peer, as_problem};
use super::{Endpoint, Keys, router};
use crate::online::{Settings, give_way};
use crate::{Error, Result};

/// How an endpoint is started.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its data folder.
    pub data: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How its store works.
    pub store: Settings,
    /// Whether administration is taken from other machines.
    pub allows_remote_administration: bool,
    /// Whether webhooks may lead to addresses that are not public.
    pub allows_private_webhooks: bool,
    /// So long it says that it is not ready, and answers all the same, before it stops.
    pub stop_delay: Duration,
}

impl Config {
    /// An endpoint on a data folder and an address, as it is unless more is said.
    #[must_use]
    pub fn new(data: PathBuf, listen: SocketAddr) -> Self {
        Self {
            data,
            listen,
            store: Settings::default(),
            allows_remote_administration: false,
            allows_private_webhooks: false,
            stop_delay: Duration::ZERO,
        }
    }
}

/// An endpoint that is ready.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Where it answers.
    pub url: String,
    /// Its keys, at the first start.
    pub keys: Option<Keys>,
}

/// Bytes of a connection that hyper reads at once, and the longest head of a request.
const READ_BUFFER: usize = 32 * 1024;
/// A client that reads nothing of its answer for so long is left.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A request has this long in all, its body and its answer included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests have this long to end when the endpoint stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs an endpoint until it is told to stop by SIGINT or SIGTERM; `ready` hears when it answers.
///
/// # Errors
/// The data folder or the address cannot be used.
pub fn run(config: &Config, ready: impl FnOnce(&Ready)) -> Result<()> {
    let running = Running::start(config)?;
    ready(&running.ready);
    running.runtime.block_on(async {
        stop_signal().await;
        tracing::info!("stopping");
        // Load balancers see it, and send their requests elsewhere before the door closes.
        running.endpoint.is_draining.store(true, Ordering::Release);
        tokio::time::sleep(config.stop_delay).await;
    });
    running.stop();
    Ok(())
}

/// An endpoint that runs on threads of its own. Stops when it is dropped.
#[derive(Debug)]
pub struct Running {
    ready: Ready,
    runtime: tokio::runtime::Runtime,
    endpoint: Arc<Endpoint>,
    stopping: watch::Sender<bool>,
    accepting: Option<tokio::task::JoinHandle<()>>,
}

impl Running {
    /// Listens and opens the data folder; who connects before that is done waits for it.
    ///
    /// # Errors
    /// The data folder or the address cannot be used.
    pub fn start(config: &Config) -> Result<Self> {
        let limits = ConnectionLimits::new(file_handles::raise_limit());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("serving")
            .enable_all()
            .build()
            .map_err(Error::store("start its threads"))?;
        let listen = |error: std::io::Error| Error::Listen {
            address: config.listen.to_string(),
            message: error.to_string(),
        };
        let listener = runtime.block_on(TcpListener::bind(config.listen)).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        // Only now: keys are told once, and not in vain where another has the address.
        let (endpoint, keys) = Endpoint::open(config)?;
        let endpoint = Arc::new(endpoint);
        endpoint.tending.start(&endpoint)?;
        let (stopping, stop) = watch::channel(false);
        let accepting = runtime.spawn(accept(listener, endpoint.clone(), limits, stop));
        let ready = Ready { url: format!("http://{address}"), keys };
        Ok(Self { ready, runtime, endpoint, stopping, accepting: Some(accepting) })
    }

    /// Where it answers, and its keys at the first start.
    #[must_use]
    pub const fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Takes no more requests, ends those that run, writes what is waiting.
    pub fn stop(mut self) {
        self.stop_in_place();
    }

    fn stop_in_place(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.stopping.send_replace(true);
        let drained = async { tokio::time::timeout(DRAIN_TIMEOUT, accepting).await };
        if self.runtime.block_on(drained).is_err() {
            tracing::warn!("some requests did not end in time");
        }
        self.endpoint.stop();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop_in_place();
    }
}

async fn stop_signal() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    if interrupted.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Accepts connections ourselves: `axum::serve` sets no limit on header time or connections.
async fn accept(
    listener: TcpListener,
    endpoint: Arc<Endpoint>,
    limits: Arc<ConnectionLimits>,
    mut stop: watch::Receiver<bool>,
) {
    let router = router(endpoint.clone());
    let bodies = Arc::new(BodyBudget::default());
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file handles, mostly: wait for connections to end.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            _ = stop.changed() => break,
        };
        let place = tokio::select! {
            place = limits.admit(peer.ip()) => place,
            _ = stop.changed() => break,
        };
        let Some(place) = place else { break };
        let answers = Answers {
            router: router.clone(),
            endpoint: endpoint.clone(),
            peer: Peer(peer.ip()),
            connection: place.connection.clone(),
            limits: limits.clone(),
            bodies: bodies.clone(),
        };
        tokio::spawn(serve(stream, answers, stop.clone(), place));
    }
    drop(listener);
    limits.all_ended().await;
}

/// Serves a connection, which keeps its place until it ends.
async fn serve(stream: TcpStream, answers: Answers, mut stop: watch::Receiver<bool>, place: Place) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set no-delay");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let connection = place.connection.clone();
    let limits = answers.limits.clone();
    let stream = WatchedStream::new(Box::pin(stream), connection.clone());
    let service = hyper::service::service_fn(move |request| {
        // Taken now: the stream may read the next head before this request is answered.
        let head = answers.connection.take_head();
        answers.clone().answer(request, head)
    });
    let served = hyper::server::conn::http1::Builder::new()
        .header_read_timeout(None)
        // Answers are small: one piece is written quicker than two.
        .writev(false)
        .max_buf_size(READ_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    tokio::select! {
        ended = served.as_mut() => log_end(ended),
        () = connection.ended(|| limits.is_crowded()) => {}
        _ = stop.changed() => {
            served.as_mut().graceful_shutdown();
            log_end(served.await);
        }
    }
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// What answers the requests of one connection.
#[derive(Clone)]
struct Answers {
    router: axum::Router,
    endpoint: Arc<Endpoint>,
    peer: Peer,
    connection: Arc<Connection>,
    limits: Arc<ConnectionLimits>,
    bodies: Arc<BodyBudget>,
}

impl Answers {
    /// Answers a request, and ends the connection where a part of the request stays unread.
    async fn answer(
        mut self,
        request: hyper::Request<Incoming>,
        head: Option<RequestHead>,
    ) -> std::result::Result<Response, Infallible> {
        self.connection.enter(Phase::Busy);
        let has_key = self.has_key(&request);
        let has_body = !hyper::body::Body::is_end_stream(request.body());
        let body = has_body.then(|| ReceivedBody::new(&self.bodies, &self.connection, has_key));
        let awaits_continue = request.headers().contains_key(header::EXPECT);
        let request = request.map(|incoming| match &body {
            Some(body) => body.limit(incoming),
            None => axum::body::Body::new(incoming),
        });
        let mut response = match problem_of(&request, head) {
            Some(problem) => {
                self.connection.leave_unread();
                problem
            }
            None => self.route(request).await,
        };
        if let Some(body) = body {
            if let Some(refusal) = body.refusal() {
                response = refusal;
            }
            // Who waits to be told to send the body is told to keep it.
            let is_read = match awaits_continue {
                true => body.is_complete(),
                false => body.discard_rest().await,
            };
            if !is_read {
                self.connection.leave_unread();
            }
        }
        if self.connection.leaves_unread() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        self.connection.enter(Phase::Idle);
        Ok(response)
    }

    /// Whether the headers of a request have a valid key.
    fn has_key(&self, request: &hyper::Request<Incoming>) -> bool {
        if self.connection.is_authenticated() {
            return true;
        }
        let now = self.endpoint.clock.as_of();
        let has_key = self.endpoint.keys.has_valid_key(request.headers(), now);
        if has_key {
            self.limits.authenticate(&self.connection);
        }
        has_key
    }

    /// Answers a request in time, whatever happens in between. A panic is ours, and is said as that: other
    /// requests go on.
    async fn route(&mut self, mut request: axum::extract::Request) -> Response {
        let started = Instant::now();
        let kind = kind_of(request.uri().path());
        let deployment = match kind {
            Kind::Score => deployment_of(request.uri().path(), &self.endpoint),
            Kind::Collect | Kind::Other => None,
        };
        if kind == Kind::Other {
            // Only administration asks where a request comes from.
            request.extensions_mut().insert(self.peer);
        }
        let answer = AssertUnwindSafe(self.router.call(request)).catch_unwind();
        let response = match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
            Ok(Ok(Ok(response))) => as_problem(response).await,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_)) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                let message = "the endpoint made an error; its log says more";
                super::problem::document(status, message)
            }
            Err(_) => {
                let status = StatusCode::REQUEST_TIMEOUT;
                super::problem::document(status, "the request took longer than 30 seconds")
            }
        };
        let (status, took) = (response.status().as_u16(), started.elapsed());
        self.endpoint.metrics.latencies.add(kind, status, took);
        if let Some(name) = deployment {
            self.endpoint.watch.answered(&name, status, took, self.endpoint.clock.as_of());
        }
        if kind == Kind::Collect && status == 200 && !self.connection.is_authenticated() {
            // Its key was in its body.
            self.limits.authenticate(&self.connection);
        }
        // Neither paths nor queries: they name customers.
        tracing::debug!(?kind, status, micros = took.as_micros(), "answered");
        response
    }
}

/// The response to a request that could be read in two ways.
fn problem_of<B>(request: &hyper::Request<B>, head: Option<RequestHead>) -> Option<Response> {
    let message = match head {
        Some(RequestHead::Plain) if has_one_host(request) => return None,
        Some(RequestHead::Plain) => "a request names one host that it is for",
        Some(RequestHead::Ambiguous) => {
            "a request has a Content-Length or a Transfer-Encoding, not both; send it with one of them"
        }
        None => {
            "a request that follows one with Transfer-Encoding must wait for its answer; send one after the \
             other, or with Content-Length"
        }
    };
    Some(super::problem::document(StatusCode::BAD_REQUEST, message))
}

/// What a request of HTTP/1.1 must have (RFC 9112, 3.2).
fn has_one_host<B>(request: &hyper::Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let n = usize::from(hosts.next().is_some()) + hosts.count();
    n == 1 || (n == 0 && request.version() < Version::HTTP_11)
}

fn kind_of(path: &str) -> Kind {
    const SCORES: [&str; 7] = [
        "/v1/score/",
        "/v1/rank/",
        "/v1/recommend/",
        "/v1/decide/",
        "/ofrep/",
        "/v2/models/",
        "/invocations",
    ];
    if SCORES.iter().any(|start| path.starts_with(start)) {
        return Kind::Score;
    }
    let rest = path.strip_prefix("/v1/").map(|rest| rest.trim_end_matches('/'));
    match rest {
        Some(
            "batch" | "b" | "import" | "track" | "t" | "identify" | "i" | "page" | "p" | "screen"
            | "s" | "group" | "g" | "alias" | "a",
        ) => Kind::Collect,
        _ => Kind::Other,
    }
}

/// The deployment that a request is to, if it is one that is here.
fn deployment_of(path: &str, endpoint: &Endpoint) -> Option<String> {
    let rest = ["/v1/score/", "/v1/rank/", "/v1/recommend/", "/v2/models/"]
        .iter()
        .find_map(|start| path.strip_prefix(start))?;
    let name = rest.split('/').next()?;
    endpoint.deployments.has(name).then(|| name.to_owned())
}

/// Runs what waits for a disk, or takes long, away from the runtime's threads and behind them.
pub(super) async fn blocking<T: Send + 'static>(
    endpoint: &Arc<Endpoint>,
    work: impl FnOnce(&Endpoint) -> Result<T> + Send + 'static,
) -> Result<T> {
    let endpoint = endpoint.clone();
    let work = move || {
        // A refusal or a score does not wait for a batch.
        give_way();
        work(&endpoint)
    };
    tokio::task::spawn_blocking(work).await.map_err(Error::store("run"))?
}
