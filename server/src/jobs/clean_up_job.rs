//! The jobs that remove data after its retention.

use std::time::Duration;

use api::app_context::AppContext;
use futures::future::BoxFuture;
use processes::InstanceStore;
use saved_search_matching::{MatchStore, RETENTION_DAYS};
use scheduled_jobs::{JobError, JobRun, JobSchedule, JobScheduleError, ScheduledJob};

/// Removes old data of one kind, in portions.
pub(super) struct CleanUpJob {
    name: &'static str,
    schedule: JobSchedule,
    data: OldData,
}

/// What a job removes.
enum OldData {
    /// Instances of processes that ended this many days ago.
    ProcessInstances(InstanceStore, u32),
    /// Matches of saved searches.
    SearchMatches(MatchStore),
}

impl CleanUpJob {
    pub(super) fn for_process_instances(app: &AppContext, retention_days: u32) -> Result<Self, JobScheduleError> {
        let schedule = JobSchedule::parse("20 3 * * *", "UTC")?;
        let data = OldData::ProcessInstances(app.process_instances.clone(), retention_days);
        Ok(Self { name: "process-clean-up", schedule, data })
    }

    pub(super) fn for_search_matches(app: &AppContext) -> Result<Self, JobScheduleError> {
        let schedule = JobSchedule::parse("50 3 * * *", "UTC")?;
        let data = OldData::SearchMatches(MatchStore::new(app.pool.clone(), app.process_instances.clone()));
        Ok(Self { name: "search-match-clean-up", schedule, data })
    }
}

impl OldData {
    /// Removes a portion, and returns its size; 0 when nothing is left.
    async fn remove_portion(&self) -> Result<u64, JobError> {
        Ok(match self {
            Self::ProcessInstances(instances, days) => instances.remove_finished(*days).await?,
            Self::SearchMatches(matches) => matches.remove_old_matches().await?,
        })
    }

    fn describe_removed(&self, removed: u64) -> String {
        match self {
            Self::ProcessInstances(_, days) => format!("{removed} instances removed that ended {days} days ago"),
            Self::SearchMatches(_) => format!("{removed} matches removed that are older than {RETENTION_DAYS} days"),
        }
    }
}

impl ScheduledJob for CleanUpJob {
    fn name(&self) -> &'static str {
        self.name
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
                let portion = self.data.remove_portion().await?;
                removed += portion;
                if portion == 0 {
                    return Ok(self.data.describe_removed(removed));
                }
            }
            Err("the program stopped".into())
        })
    }
}
