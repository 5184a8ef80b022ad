//! The scheduled jobs of this program.

mod daily_digest_job;
mod process_clean_up_job;
mod search_match_clean_up_job;

use std::sync::Arc;

use api::app_context::AppContext;
use scheduled_jobs::{JobRunner, JobRunnerConfig, JobScheduleError, JobStore, ScheduledJob};

use self::{
    daily_digest_job::DailyDigestJob, process_clean_up_job::ProcessCleanUpJob,
    search_match_clean_up_job::SearchMatchCleanUpJob,
};
use crate::config::MedhubConfig;

/// Creates the runner of all jobs.
///
/// # Errors
/// [`JobScheduleError`] when a schedule is invalid: a defect of this program.
pub(crate) fn create_job_runner(app: &AppContext, config: &MedhubConfig) -> Result<JobRunner, JobScheduleError> {
    let jobs: Vec<Arc<dyn ScheduledJob>> = vec![
        Arc::new(DailyDigestJob::new(app, &config.mail)?),
        Arc::new(ProcessCleanUpJob::new(app, config.jobs.process_retention_days())?),
        Arc::new(SearchMatchCleanUpJob::new(app)?),
    ];
    let host = eventstore::postgres::host_and_pid();
    Ok(JobRunner::new(JobStore::new(app.pool.clone()), jobs, JobRunnerConfig { host, ..JobRunnerConfig::default() }))
}
