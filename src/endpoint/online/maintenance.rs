use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Embedded;
use crate::{Error, Result};

/// How often the store is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After a failure it is left alone so long.
const REST: Duration = Duration::from_secs(10);
/// What was removed is taken off the disk so often at most.
const PURGE_EVERY: Duration = Duration::from_mins(10);
/// How often the manifest of the log records how far the log goes.
const SAVE_END_EVERY: Duration = Duration::from_mins(1);
/// How often the past is forgotten.
const FORGET_EVERY: Duration = Duration::from_hours(24);

/// The thread that brings the index up to date and forgets the past. It ends when this is dropped.
#[derive(Debug)]
pub struct Maintenance {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Maintenance {
    /// Starts the thread.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(store: Arc<Embedded>) -> Result<Self> {
        let (stop, stopped) = sync_channel::<()>(0);
        let thread = std::thread::Builder::new()
            .name("maintenance".to_owned())
            .spawn(move || {
                give_way();
                let mut forget_at = Instant::now();
                let mut save_end_at = Instant::now() + SAVE_END_EVERY;
                let mut wait = LOOK_EVERY;
                let mut purging = Purging::default();
                let is_stopping = || matches!(stopped.try_recv(), Err(TryRecvError::Disconnected));
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(wait) {
                    wait = LOOK_EVERY;
                    let mut look_after = || look_after(&store, &mut forget_at);
                    let looked = look_after().and_then(|()| {
                        let goes_on = &mut || look_after().map(|()| !is_stopping());
                        store.index().learn_messages(goes_on)
                    });
                    let looked = looked.and_then(|()| purging.go_on(&store));
                    if Instant::now() >= save_end_at {
                        save_end_at = Instant::now() + SAVE_END_EVERY;
                        if let Err(error) = store.log().save_end() {
                            tracing::debug!(%error, "the manifest of the log is not up to date");
                        }
                    }
                    if let Err(error) = looked {
                        tracing::warn!(%error, "the index is not up to date; trying again");
                        wait = REST;
                    }
                }
            })
            .map_err(Error::store("start its maintenance"))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

/// Lets the threads that answer and write go before this one, and before those that it starts.
pub(crate) fn give_way() {
    #[cfg(unix)]
    if let Err(error) = rustix::process::setpriority_process(None, 5) {
        tracing::debug!(%error, "the work behind the scenes is as urgent as any");
    }
}

/// Takes what was removed off the disk, beside everything else: it may take minutes.
#[derive(Default)]
struct Purging {
    began: Option<Instant>,
    /// The thread, and what hears when it has let go of the store.
    thread: Option<(JoinHandle<Result<()>>, Receiver<()>)>,
}

/// Who stops waits so long for it; what is not done then is done after the next start.
const LONGEST_END: Duration = Duration::from_secs(3);

impl Drop for Purging {
    fn drop(&mut self) {
        if let Some((_, ended)) = self.thread.take()
            && ended.recv_timeout(LONGEST_END) == Err(RecvTimeoutError::Timeout)
        {
            tracing::info!("what was removed goes off the disk after the next start");
        }
    }
}

impl Purging {
    fn go_on(&mut self, store: &Arc<Embedded>) -> Result<()> {
        if let Some((thread, _)) = self.thread.take_if(|(thread, _)| thread.is_finished()) {
            // What it could not do does not end what brings the index up to date.
            let ended = |_| Error::store("purge its index")("its thread ended with a panic");
            let purged = thread.join().map_err(ended)?;
            return purged.inspect(|()| tracing::info!("what was removed is off the disk"));
        }
        let rests = self.began.is_some_and(|began| began.elapsed() < PURGE_EVERY);
        if self.thread.is_some() || rests || !store.index().has_removed()? {
            return Ok(());
        }
        self.began = Some(Instant::now());
        let store = store.clone();
        let thread = std::thread::Builder::new().name("purging".to_owned());
        let (ends, ended) = sync_channel(0);
        let thread = thread.spawn(move || {
            give_way();
            let purged = store.index().purge();
            drop(store);
            drop::<SyncSender<()>>(ends);
            purged
        });
        self.thread = Some((thread.map_err(Error::store("start a thread"))?, ended));
        Ok(())
    }
}

fn look_after(store: &Embedded, forget_at: &mut Instant) -> Result<()> {
    store.balance_memory();
    if store.is_checkpoint_due() {
        store.checkpoint()?;
    }
    if Instant::now() >= *forget_at {
        *forget_at = Instant::now() + FORGET_EVERY;
        let n = store.forget_the_past()?;
        if n > 0 {
            tracing::info!(n, "forgot what is not to be kept");
        }
    }
    Ok(())
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the maintenance ended with a panic");
        }
    }
}
