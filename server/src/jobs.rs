//! The scheduled jobs of this program.

mod clean_up_job;
mod daily_digest_job;

use std::sync::Arc;

use api::app_context::AppContext;
use scheduled_jobs::{JobRunner, JobRunnerConfig, JobScheduleError, JobStore, ScheduledJob};

use self::{clean_up_job::CleanUpJob, daily_digest_job::DailyDigestJob};
use crate::config::MedhubConfig;

/// Creates the runner of all jobs.
///
/// # Errors
/// [`JobScheduleError`] when a schedule is invalid: a defect of this program.
pub(crate) fn create_job_runner(app: &AppContext, config: &MedhubConfig) -> Result<JobRunner, JobScheduleError> {
    let jobs: Vec<Arc<dyn ScheduledJob>> = vec![
        Arc::new(DailyDigestJob::new(app, &config.mail)?),
        Arc::new(CleanUpJob::for_process_instances(app, config.jobs.process_retention_days())?),
        Arc::new(CleanUpJob::for_search_matches(app)?),
    ];
    let host = eventstore::postgres::host_and_pid();
    Ok(JobRunner::new(JobStore::new(app.pool.clone()), jobs, JobRunnerConfig { host, ..JobRunnerConfig::default() }))
}
