use workspace::JobId;

/// Something that a job brings: the last value stays until the next one is there.
#[derive(Debug)]
pub(crate) struct Loadable<T> {
    value: Option<T>,
    job: Option<JobId>,
    error: Option<String>,
}

impl<T> Default for Loadable<T> {
    fn default() -> Self {
        Self { value: None, job: None, error: None }
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

    /// A job begins.
    pub(crate) fn begin(&mut self, job: JobId) {
        self.job = Some(job);
    }

    /// A job has brought a value; an older job's is not wanted any more.
    pub(crate) fn finish(&mut self, job: JobId, value: T) {
        if self.job.is_none_or(|current| current <= job) {
            self.value = Some(value);
            self.error = None;
            self.job = None;
        }
    }

    /// A job has failed; with no message it was canceled.
    pub(crate) fn fail(&mut self, job: JobId, message: Option<String>) {
        if self.job == Some(job) {
            self.job = None;
            self.error = message;
        }
    }

    /// Forgets the value.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
