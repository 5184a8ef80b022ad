//! The job that removes matches of saved searches after their retention.

use std::time::Duration;

use api::app_context::AppContext;
use futures::future::BoxFuture;
use saved_search_matching::{MatchStore, RETENTION_DAYS};
use scheduled_jobs::{JobError, JobRun, JobSchedule, JobScheduleError, ScheduledJob};

/// Removes old matches, in portions.
pub(super) struct SearchMatchCleanUpJob {
    schedule: JobSchedule,
    matches: MatchStore,
}

impl SearchMatchCleanUpJob {
    pub(super) fn new(app: &AppContext) -> Result<Self, JobScheduleError> {
        let matches = MatchStore::new(app.pool.clone(), app.process_instances.clone());
        Ok(Self { schedule: JobSchedule::parse("50 3 * * *", "UTC")?, matches })
    }
}

impl ScheduledJob for SearchMatchCleanUpJob {
    fn name(&self) -> &'static str {
        "search-match-clean-up"
    }

    fn schedule(&self) -> &JobSchedule {
        &self.schedule
    }

    fn timeout(&self) -> Duration {
        Duration::from_mins(30)
    }

    fn run<'a>(&'a self, run: &'a JobRun) -> BoxFuture<'a, Result<String, JobError>> {
        Box::pin(async move {
            let mut removed = 0;
            while !run.stop.is_cancelled() {
                let portion = self.matches.remove_old_matches().await?;
                removed += portion;
                if portion == 0 {
                    return Ok(format!("{removed} matches removed that are older than {RETENTION_DAYS} days"));
                }
            }
            Err("the program stopped".into())
        })
    }
}
