//! The trait that each job implements.

use std::{error::Error, time::Duration};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::JobSchedule;

/// Work that is done on a schedule, by one program at a time.
pub trait ScheduledJob: Send + Sync {
    /// Its name in the table, in metrics and on the command line. Never reused for another job.
    fn name(&self) -> &'static str;

    /// When it runs.
    fn schedule(&self) -> &JobSchedule;

    /// How long a run may take. A run that takes longer is ended, and recorded as timed out.
    fn timeout(&self) -> Duration;

    /// Does the work, and returns what was done, for operators. It is run again after a crash, so its effects have to be
    /// idempotent, and it is dropped at any await when its time or lease is over.
    fn run<'a>(&'a self, run: &'a JobRun) -> BoxFuture<'a, Result<String, JobError>>;
}

/// One run of a job.
#[derive(Debug, Clone)]
pub struct JobRun {
    /// When it started, by the clock of Postgres.
    pub started_at: DateTime<Utc>,
    /// When it was due. Runs that were missed are caught up by one run.
    pub due_at: DateTime<Utc>,
    /// Cancelled when the program stops. A run that ends then with an error runs again after the next start.
    pub stop: CancellationToken,
}

/// Why a run failed.
pub type JobError = Box<dyn Error + Send + Sync>;
