use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Erased, EventLog, Exposing, Group, Incoming, Join, Rejected, Said};
use crate::{Error, Result};

/// The result of appending an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It is new and durable.
    Accepted {
        /// Its offset in the log.
        offset: u64,
    },
    /// Its source sent an event with that message id before, which counts.
    Duplicate {
        /// The offset of the first.
        offset: u64,
        /// Whether the first says something else.
        is_other: bool,
    },
    /// It asked for a join that it may not make. It is kept among the rejected events.
    Rejected {
        /// The reason.
        reason: String,
    },
}

/// Numbers of receipts of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReceiptCounts {
    pub(crate) accepted: usize,
    pub(crate) duplicate: usize,
    /// Duplicates that say something else than the first.
    pub(crate) other: usize,
    pub(crate) rejected: usize,
}

impl ReceiptCounts {
    pub(crate) fn new(receipts: &[Receipt]) -> Self {
        let mut counts = Self::default();
        for receipt in receipts {
            match receipt {
                Receipt::Accepted { .. } => counts.accepted += 1,
                Receipt::Duplicate { is_other, .. } => {
                    counts.duplicate += 1;
                    counts.other += usize::from(*is_other);
                }
                Receipt::Rejected { .. } => counts.rejected += 1,
            }
        }
        counts
    }
}

/// The one thread that writes: it drains the queue, writes one group, syncs once, and answers all who
/// waited. After a failed sync nothing is retried: it refuses everything until a restart. What was said
/// to somebody waits beside the queue for a moment, and goes with the next group.
#[derive(Debug)]
pub struct Writer {
    queue: Mutex<Option<SyncSender<Request>>>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What is beside the queue.
#[derive(Debug, Default)]
struct Shared {
    /// What was said and is not written yet.
    said: Mutex<Spoken>,
    /// Bytes of the requests that were admitted and are not answered yet, roughly.
    waiting: AtomicUsize,
    /// Bytes that may be: about what is answered in [`LONGEST_WAIT`].
    allowed: AtomicUsize,
    /// Scores and exposures that were not recorded.
    unrecorded: AtomicUsize,
}

/// What was said to somebody: nobody waits for it to be written.
#[derive(Debug, Default)]
struct Spoken {
    scores: Vec<Said>,
    exposures: Vec<Exposing>,
}

impl Spoken {
    fn len(&self) -> usize {
        self.scores.len() + self.exposures.len()
    }
}

#[derive(Debug)]
enum Request {
    Append(Append),
    /// Nothing is written of a customer while they are erased.
    Erase(String, oneshot::Sender<Result<Erased>>),
    /// The join of an id is undone.
    UndoJoin(String, oneshot::Sender<Result<Join>>),
    /// Something was said.
    Said,
}

#[derive(Debug)]
struct Append {
    events: Vec<Incoming>,
    rejected: Vec<Rejected>,
    admission: Admission,
    answer: oneshot::Sender<Result<Vec<Receipt>>>,
}

impl Append {
    fn len(&self) -> usize {
        self.events.len() + self.rejected.len()
    }
}

/// The place of a request among those that are worked on, from before it is understood until it is
/// answered; free again when this is dropped. Who has one is not refused for being one too many, so that no
/// work is done in vain.
#[derive(Debug)]
pub struct Admission {
    shared: Arc<Shared>,
    bytes: usize,
    since: Instant,
}

impl Admission {
    /// Counts the memory that the request really takes, in bytes, now that it is known.
    pub fn resize(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            self.shared.waiting.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.shared.waiting.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.shared.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Requests that may wait; more are refused as too busy.
const QUEUE: usize = 4_096;
/// Bytes of memory of requests that may be admitted at once, at least and at most; a single one may be larger.
const LEAST_ALLOWED: usize = 512 * 1024;
const MOST_ALLOWED: usize = 32 * 1024 * 1024;
/// What is admitted is to be answered so soon.
const LONGEST_WAIT: Duration = Duration::from_millis(16);
/// Events and bytes of memory of one group; the last request of a group may go beyond.
const GROUP: usize = 5_000;
const GROUP_BYTES: usize = 16 * 1024 * 1024;
/// Scores and exposures that may wait; more are not recorded.
const MOST_SAID: usize = 200_000;
/// They wait so long for others.
const SAID_WAIT: Duration = Duration::from_millis(25);

impl Writer {
    /// Starts the thread over a log.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(log: Arc<dyn EventLog>) -> Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let shared =
            Arc::new(Shared { allowed: AtomicUsize::new(MOST_ALLOWED / 16), ..Shared::default() });
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("event-writer".to_owned())
            .spawn(move || write_groups(&*log, &receiver, &of_thread))
            .map_err(Error::store("start its writer"))?;
        let (queue, thread) = (Mutex::new(Some(sender)), Mutex::new(Some(thread)));
        Ok(Self { queue, shared, thread })
    }

    fn send(&self, request: Request) -> Result<()> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = &*queue else { return Err(Error::Busy) };
        queue.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => Error::Busy,
            TrySendError::Disconnected(_) => Error::Poisoned("its writer has ended".to_owned()),
        })
    }

    /// Whether so much is admitted that more is refused: asked before a request is read, so that refusing
    /// costs little.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let allowed = self.shared.allowed.load(Ordering::Relaxed);
        self.shared.waiting.load(Ordering::Relaxed) > allowed
    }

    /// Admits a request of so many bytes: asked when it was read, before it is understood. The caller then states
    /// the memory that it takes, by [`Admission::resize`].
    ///
    /// # Errors
    /// Too much is admitted already.
    pub fn admit(&self, bytes: usize) -> Result<Admission> {
        if self.is_busy() { Err(Error::Busy) } else { Ok(self.enter(bytes)) }
    }

    /// Admits a request of so many bytes, however much is admitted: for requests that are bounded by other means.
    #[must_use]
    pub fn enter(&self, bytes: usize) -> Admission {
        self.shared.waiting.fetch_add(bytes, Ordering::Relaxed);
        Admission { shared: self.shared.clone(), bytes, since: Instant::now() }
    }

    /// Makes events durable, and keeps those that were not taken with their reasons; answers when they are.
    ///
    /// # Errors
    /// Too many requests are waiting, or the store cannot write.
    pub async fn append(
        &self,
        events: Vec<Incoming>,
        rejected: Vec<Rejected>,
        admission: Admission,
    ) -> Result<Vec<Receipt>> {
        let (answer, receipts) = oneshot::channel();
        self.send(Request::Append(Append { events, rejected, admission, answer }))?;
        receipts.await.unwrap_or_else(|_| Err(Error::Poisoned("its writer has ended".to_owned())))
    }

    /// The same for a thread of its own, which waits, and is let in however much is admitted.
    ///
    /// # Errors
    /// Too many requests are waiting, or the store cannot write.
    pub fn append_and_wait(&self, events: Vec<Incoming>) -> Result<Vec<Receipt>> {
        let (answer, receipts) = oneshot::channel();
        let (rejected, admission) = (Vec::new(), self.enter(0));
        self.send(Request::Append(Append { events, rejected, admission, answer }))?;
        let ended = || Err(Error::Poisoned("its writer has ended".to_owned()));
        receipts.blocking_recv().unwrap_or_else(|_| ended())
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

    /// Undoes the join of an id; answers when that is durable.
    ///
    /// # Errors
    /// The id is not joined, too much is waiting, or the store has failed.
    pub async fn undo_join(&self, id: String) -> Result<Join> {
        let (answer, undone) = oneshot::channel();
        self.send(Request::UndoJoin(id, answer))?;
        undone.await.unwrap_or_else(|_| Err(Error::Poisoned("its writer has ended".to_owned())))
    }

    /// Records scores that were given, soon. What cannot be recorded is counted.
    pub fn record(&self, said: impl IntoIterator<IntoIter: ExactSizeIterator<Item = Said>>) {
        let said = said.into_iter();
        self.note(said.len(), |spoken| spoken.scores.extend(said));
    }

    /// Records that somebody got a variant, soon. What cannot be recorded is counted.
    pub fn expose(&self, exposure: Exposing) {
        self.note(1, |spoken| spoken.exposures.push(exposure));
    }

    fn note(&self, n: usize, add: impl FnOnce(&mut Spoken)) {
        let was_empty = {
            let mut said = self.shared.said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.len() >= MOST_SAID {
                self.shared.unrecorded.fetch_add(n, Ordering::Relaxed);
                return;
            }
            let was_empty = said.len() == 0;
            add(&mut said);
            was_empty && said.len() > 0
        };
        // If the queue is full, the thread is not asleep, and finds them.
        if was_empty && matches!(self.send(Request::Said), Err(Error::Poisoned(_))) {
            self.shared.unrecorded.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Scores and exposures that were not recorded since the start.
    #[must_use]
    pub fn unrecorded(&self) -> usize {
        self.shared.unrecorded.load(Ordering::Relaxed)
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

/// The thread's own: the log, and why it cannot be written any more.
struct Groups<'a> {
    log: &'a dyn EventLog,
    shared: &'a Shared,
    failed: Option<Error>,
}

fn write_groups(log: &dyn EventLog, queue: &Receiver<Request>, shared: &Shared) {
    let mut groups = Groups { log, shared, failed: None };
    // When what was said is written at the latest.
    let mut due: Option<Instant> = None;
    let mut next = None;
    loop {
        let request = match (next.take(), due) {
            (Some(request), _) => Some(request),
            (None, None) => match queue.recv() {
                Ok(request) => Some(request),
                Err(_) => break,
            },
            (None, Some(due)) => match queue.recv_timeout(due - Instant::now().min(due)) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            },
        };
        match request {
            Some(Request::Said) => due = due.or_else(|| Some(Instant::now() + SAID_WAIT)),
            Some(Request::Erase(customer_id, answer)) => {
                groups.write(Vec::new());
                due = None;
                let erased = groups.failed.clone().map_or_else(|| log.erase(&customer_id), Err);
                if answer.send(erased).is_err() {
                    tracing::debug!("a client went away before its answer");
                }
            }
            Some(Request::UndoJoin(id, answer)) => {
                groups.write(Vec::new());
                due = None;
                let undone = groups.failed.clone().map_or_else(|| log.undo_join(&id), Err);
                if answer.send(undone).is_err() {
                    tracing::debug!("a client went away before its answer");
                }
            }
            Some(Request::Append(first)) => {
                let (mut events, mut bytes) = (first.len(), first.admission.bytes);
                let mut requests = vec![first];
                while events < GROUP && bytes < GROUP_BYTES {
                    match queue.try_recv() {
                        Ok(Request::Append(more)) => {
                            events += more.len();
                            bytes += more.admission.bytes;
                            requests.push(more);
                        }
                        Ok(Request::Said) => {}
                        Ok(other) => {
                            next = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                groups.write(requests);
                due = None;
            }
            None => {
                groups.write(Vec::new());
                due = None;
            }
        }
    }
    groups.write(Vec::new());
}

impl Groups<'_> {
    /// Writes requests and what was said meanwhile as one group, and answers.
    fn write(&mut self, mut requests: Vec<Append>) {
        let said = {
            let mut said = self.shared.said.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *said)
        };
        if requests.is_empty() && said.len() == 0 {
            return;
        }
        let spoken = said.len();
        let Spoken { exposures, scores } = said;
        let mut group = Group { exposures, scores, ..Group::default() };
        let mut n = Vec::with_capacity(requests.len());
        for request in &mut requests {
            n.push(request.events.len());
            group.events.append(&mut request.events);
            group.rejected.append(&mut request.rejected);
        }
        let result = match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.log.append(group),
        };
        match &result {
            Ok(_) | Err(Error::Full(_) | Error::TooLarge(_)) => {}
            Err(error) if self.failed.is_none() => {
                tracing::error!(%error, "the store failed; refusing writes until a restart");
                self.failed = Some(Error::Poisoned(error.to_string()));
            }
            Err(_) => {}
        }
        if result.is_err() {
            self.shared.unrecorded.fetch_add(spoken, Ordering::Relaxed);
        }
        if let Some(first) = requests.iter().map(|request| request.admission.since).min() {
            self.pace(first.elapsed());
        }
        answer(requests, &n, result);
    }

    /// Learns from a group how much may be admitted: less where its first request waited too long, more
    /// where all were answered soon although much was admitted.
    fn pace(&self, waited: Duration) {
        let allowed = self.shared.allowed.load(Ordering::Relaxed);
        let is_much = self.shared.waiting.load(Ordering::Relaxed) > allowed / 2;
        let next = if waited > LONGEST_WAIT {
            let fits = allowed as u128 * LONGEST_WAIT.as_micros() / waited.as_micros();
            usize::try_from(fits).unwrap_or(allowed).max(allowed - allowed / 8)
        } else if waited < LONGEST_WAIT / 2 && is_much {
            allowed + allowed / 16
        } else {
            allowed
        };
        self.shared.allowed.store(next.clamp(LEAST_ALLOWED, MOST_ALLOWED), Ordering::Relaxed);
    }
}

/// Tells each request what became of its own events.
fn answer(requests: Vec<Append>, n: &[usize], result: Result<Vec<Receipt>>) {
    let mut start = 0;
    for (request, n) in requests.into_iter().zip(n) {
        let own = match &result {
            Ok(receipts) => Ok(receipts[start..start + n].to_vec()),
            Err(error) => Err(error.clone()),
        };
        start += n;
        // Its place is free before it hears that: what it sends next is not one too many.
        drop(request.admission);
        // Who has gone away does not hear the answer; the events are durable all the same.
        if request.answer.send(own).is_err() {
            tracing::debug!("a client went away before its answer");
        }
    }
}
