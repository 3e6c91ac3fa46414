use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::{Erased, EventLog, Incoming};
use crate::{Error, Result};

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its place in the log; of a duplicate, that of the first.
    pub offset: u64,
    /// Whether its message id was known.
    pub duplicate: bool,
}

/// The one thread that writes: it drains the queue, writes one group, syncs once, and answers all who
/// waited. After a failed sync nothing is retried: it refuses everything until a restart.
#[derive(Debug)]
pub struct Writer {
    queue: Mutex<Option<SyncSender<Request>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
enum Request {
    Append(Append),
    /// Nothing is written of a customer while they are erased.
    Erase(String, oneshot::Sender<Result<Erased>>),
}

#[derive(Debug)]
struct Append {
    events: Vec<Incoming>,
    /// None where nobody waits for the answer.
    answer: Option<oneshot::Sender<Result<Vec<Receipt>>>>,
}

/// Requests that may wait; more are refused as too busy.
const QUEUE: usize = 2_048;
/// Events of one group.
const GROUP: usize = 5_000;

impl Writer {
    /// Starts the thread over a log.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(log: Arc<dyn EventLog>) -> Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("event-writer".to_owned())
            .spawn(move || write_groups(&*log, &receiver))
            .map_err(Error::store("start its writer"))?;
        Ok(Self { queue: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    fn send(&self, request: Request) -> Result<()> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = &*queue else { return Err(Error::Busy) };
        queue.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => Error::Busy,
            TrySendError::Disconnected(_) => Error::Poisoned("its writer has ended".to_owned()),
        })
    }

    /// Makes events durable; answers when they are.
    ///
    /// # Errors
    /// Too much is waiting, or the store has failed.
    pub async fn append(&self, events: Vec<Incoming>) -> Result<Vec<Receipt>> {
        let (answer, receipts) = oneshot::channel();
        self.send(Request::Append(Append { events, answer: Some(answer) }))?;
        receipts.await.unwrap_or_else(|_| Err(Error::Poisoned("its writer has ended".to_owned())))
    }

    /// Erases a customer; answers when nothing is left of them.
    ///
    /// # Errors
    /// Too much is waiting, or the store has failed.
    pub async fn erase(&self, customer_id: String) -> Result<Erased> {
        let (answer, erased) = oneshot::channel();
        self.send(Request::Erase(customer_id, answer))?;
        erased.await.unwrap_or_else(|_| Err(Error::Poisoned("its writer has ended".to_owned())))
    }

    /// Appends events that nobody waits for; gives whether they were taken.
    pub fn append_later(&self, events: Vec<Incoming>) -> bool {
        self.send(Request::Append(Append { events, answer: None })).is_ok()
    }

    /// Writes what is waiting, then ends the thread. Later requests are refused.
    pub fn stop(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the event writer ended with a panic");
        }
    }
}

fn write_groups(log: &dyn EventLog, queue: &Receiver<Request>) {
    let mut failed: Option<Error> = None;
    let mut waiting = None;
    while let Some(first) = waiting.take().or_else(|| queue.recv().ok()) {
        let first = match first {
            Request::Append(first) => first,
            Request::Erase(customer_id, answer) => {
                let erased = failed.clone().map_or_else(|| log.erase(&customer_id), Err);
                if answer.send(erased).is_err() {
                    tracing::debug!("a client went away before its answer");
                }
                continue;
            }
        };
        let mut n = first.events.len();
        let mut requests = vec![first];
        while n < GROUP {
            match queue.try_recv() {
                Ok(Request::Append(next)) => {
                    n += next.events.len();
                    requests.push(next);
                }
                Ok(other) => {
                    waiting = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let result = match &failed {
            Some(error) => Err(error.clone()),
            None => write_group(log, &requests),
        };
        if let (Err(error), None) = (&result, &failed) {
            tracing::error!(%error, "the store failed; refusing writes until a restart");
            failed = Some(Error::Poisoned(error.to_string()));
        }
        answer(requests, result);
    }
}

fn write_group(log: &dyn EventLog, requests: &[Append]) -> Result<Vec<Receipt>> {
    let events: Vec<Incoming> =
        requests.iter().flat_map(|request| request.events.iter().cloned()).collect();
    log.append(&events)
}

/// Tells each request what became of its own events.
fn answer(requests: Vec<Append>, result: Result<Vec<Receipt>>) {
    let mut start = 0;
    for Append { events, answer } in requests {
        let end = start + events.len();
        let own = match &result {
            Ok(receipts) => Ok(receipts[start..end].to_vec()),
            Err(error) => Err(error.clone()),
        };
        start = end;
        // Who has gone away does not hear the answer; the events are durable all the same.
        if let Some(answer) = answer
            && answer.send(own).is_err()
        {
            tracing::debug!("a client went away before its answer");
        }
    }
}
