use workspace::JobId;

/// Something that a job brings: the last value stays until the next one is there.
#[derive(Debug)]
pub(crate) struct Loadable<T> {
    value: Option<T>,
    job: Option<JobId>,
    error: Option<String>,
    /// The newest job there was.
    newest: Option<JobId>,
    /// Jobs up to this one are not wanted any more.
    forgotten: Option<JobId>,
    /// Whether the newest job was canceled.
    is_canceled: bool,
}

impl<T> Default for Loadable<T> {
    fn default() -> Self {
        Self {
            value: None,
            job: None,
            error: None,
            newest: None,
            forgotten: None,
            is_canceled: false,
        }
    }
}

impl<T> Loadable<T> {
    /// The latest value.
    pub(crate) const fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Why the latest job failed.
    pub(crate) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The job that brings the next value.
    pub(crate) const fn job(&self) -> Option<JobId> {
        self.job
    }

    /// Whether the newest job was canceled: there is nothing newer than the value, and nothing comes.
    pub(crate) const fn is_canceled(&self) -> bool {
        self.is_canceled
    }

    /// A job begins.
    pub(crate) fn begin(&mut self, job: JobId) {
        self.job = Some(job);
        self.newest = Some(job);
        self.is_canceled = false;
    }

    /// A job has brought a value; an older job's is not wanted any more.
    pub(crate) fn finish(&mut self, job: JobId, value: T) {
        let is_forgotten = self.forgotten.is_some_and(|forgotten| job <= forgotten);
        if !is_forgotten && self.job.is_none_or(|current| current <= job) {
            self.value = Some(value);
            self.error = None;
            self.job = None;
        }
    }

    /// A job has failed; with no message it was canceled.
    pub(crate) fn fail(&mut self, job: JobId, message: Option<String>) {
        if self.job == Some(job) {
            self.job = None;
            self.is_canceled = message.is_none();
            self.error = message;
        }
    }

    /// Forgets the value, and what jobs bring that have begun.
    pub(crate) fn clear(&mut self) {
        let newest = self.newest;
        *self = Self { newest, forgotten: newest, ..Self::default() };
    }
}
