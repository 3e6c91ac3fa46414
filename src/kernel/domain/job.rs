use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Work that takes long, seen from inside: it reports progress and looks whether it was canceled.
pub struct Job {
    canceled: AtomicBool,
    interrupt: Mutex<Option<Interrupt>>,
    listener: Box<dyn Fn(Progress) + Send + Sync>,
}

/// Stops what a job is in the middle of.
type Interrupt = Box<dyn Fn() + Send + Sync>;

/// How far a job is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What it does now, as a person reads it: `Reading orders.csv`.
    pub stage: String,
    /// How much of the whole is done, between 0 and 1.
    pub fraction: f32,
}

impl Job {
    /// A job whose progress `listener` hears.
    pub fn new(listener: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self {
            canceled: AtomicBool::new(false),
            interrupt: Mutex::new(None),
            listener: Box::new(listener),
        }
    }

    /// A job that nobody watches.
    #[must_use]
    pub fn unwatched() -> Self {
        Self::new(|_| ())
    }

    /// Says how far it is.
    pub fn report(&self, stage: impl Into<String>, fraction: f32) {
        (self.listener)(Progress { stage: stage.into(), fraction });
    }

    /// Cancels the job: it ends soon, as if it had not begun.
    pub fn cancel(&self) {
        self.canceled.store(true, Ordering::Release);
        if let Some(interrupt) = &*self.interrupt.lock().unwrap_or_else(PoisonError::into_inner) {
            interrupt();
        }
    }

    /// Whether it was canceled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.canceled.load(Ordering::Acquire)
    }

    /// The flag itself, for loops that look at it often.
    #[must_use]
    pub const fn canceled(&self) -> &AtomicBool {
        &self.canceled
    }

    /// Runs `work`, which cannot look at the flag; canceling calls `interrupt` meanwhile. Work inside of
    /// such work has its own interrupt until it ends.
    pub fn interruptible<T>(
        &self,
        interrupt: impl Fn() + Send + Sync + 'static,
        work: impl FnOnce() -> T,
    ) -> T {
        let set = |hook| {
            let mut place = self.interrupt.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *place, hook)
        };
        let outer = set(Some(Box::new(interrupt) as Interrupt));
        let result = work();
        set(outer);
        result
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("canceled", &self.is_canceled()).finish_non_exhaustive()
    }
}
