//! Load: connections that are kept alive, each with one request at a time.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What came of a load.
#[derive(Default)]
pub(crate) struct Result {
    pub(crate) seconds: f64,
    /// Micros of answers with 200, in order after [`run`].
    pub(crate) taken: Vec<u32>,
    /// Micros of refusals with 429 or 503.
    pub(crate) refused: Vec<u32>,
    /// Any other answer.
    pub(crate) failed: usize,
}

impl Result {
    pub(crate) fn rate(&self) -> f64 {
        self.taken.len() as f64 / self.seconds
    }
}

/// A quantile of numbers in order, in milliseconds.
pub(crate) fn quantile(micros: &[u32], share: f64) -> f64 {
    let place = (micros.len().saturating_sub(1) as f64 * share) as usize;
    micros.get(place).map_or(f64::NAN, |micros| f64::from(*micros) / 1e3)
}

/// Sends requests over so many connections for a time: `request` writes the n-th of a connection. With a
/// rate they are sent when they are due, whatever became of those before (as far as a connection is free).
pub(crate) fn run(
    address: &str,
    connections: usize,
    seconds: f64,
    rate: Option<f64>,
    request: impl Fn(usize, usize, &mut Vec<u8>) + 'static,
) -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let request = Rc::new(request);
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let started = Instant::now();
        let until = started + Duration::from_secs_f64(seconds);
        let tasks: Vec<_> = (0..connections)
            .map(|connection| {
                let (address, request) = (address.to_owned(), request.clone());
                let every = rate.map(|rate| Duration::from_secs_f64(connections as f64 / rate));
                tokio::task::spawn_local(async move {
                    one(&address, connection, until, every, &*request).await
                })
            })
            .collect();
        let mut all = Result::default();
        for task in tasks {
            let own = task.await.unwrap();
            all.taken.extend(own.taken);
            all.refused.extend(own.refused);
            all.failed += own.failed;
        }
        all.seconds = started.elapsed().as_secs_f64();
        all.taken.sort_unstable();
        all.refused.sort_unstable();
        all
    })
}

async fn one(
    address: &str,
    connection: usize,
    until: Instant,
    every: Option<Duration>,
    request: &dyn Fn(usize, usize, &mut Vec<u8>),
) -> Result {
    let mut result = Result::default();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut bytes, mut answer) = (Vec::new(), Vec::with_capacity(4_096));
    // Connections begin at different moments of an interval.
    let mut due =
        Instant::now() + every.unwrap_or_default().mul_f64(connection as f64 % 97.0 / 97.0);
    for n in 0.. {
        if let Some(every) = every {
            tokio::time::sleep_until(due.into()).await;
            due += every;
        }
        let started = Instant::now();
        if started >= until {
            break;
        }
        bytes.clear();
        request(connection, n, &mut bytes);
        stream.write_all(&bytes).await.unwrap();
        let Some(status) = read(&mut stream, &mut answer).await else {
            result.failed += 1;
            stream = TcpStream::connect(address).await.unwrap();
            continue;
        };
        let micros = started.elapsed().as_micros() as u32;
        match status {
            200 => result.taken.push(micros),
            429 | 503 => {
                result.refused.push(micros);
                // A client that has nothing else to do comes again a little later.
                if every.is_none() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            _ => result.failed += 1,
        }
    }
    result
}

/// Reads one answer, and gives its status; none if the connection ended.
async fn read(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Option<u16> {
    answer.clear();
    loop {
        if stream.read_buf(answer).await.ok()? == 0 {
            return None;
        }
        let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&answer[..end]).ok()?.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1)?.split("\r\n").next()?;
        let length: usize = length.trim().parse().ok()?;
        while answer.len() < end + 4 + length {
            if stream.read_buf(answer).await.ok()? == 0 {
                return None;
            }
        }
        return head.get(9..12)?.parse().ok();
    }
}
