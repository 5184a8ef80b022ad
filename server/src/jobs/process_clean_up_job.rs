//! The job that removes finished instances of processes after their retention.

use std::time::Duration;

use api::app_context::AppContext;
use futures::future::BoxFuture;
use processes::InstanceStore;
use scheduled_jobs::{JobError, JobRun, JobSchedule, JobScheduleError, ScheduledJob};

/// Removes finished instances, in portions.
pub(super) struct ProcessCleanUpJob {
    schedule: JobSchedule,
    instances: InstanceStore,
    retention_days: u32,
}

impl ProcessCleanUpJob {
    pub(super) fn new(app: &AppContext, retention_days: u32) -> Result<Self, JobScheduleError> {
        let schedule = JobSchedule::parse("20 3 * * *", "UTC")?;
        Ok(Self { schedule, instances: app.process_instances.clone(), retention_days })
    }
}

impl ScheduledJob for ProcessCleanUpJob {
    fn name(&self) -> &'static str {
        "process-clean-up"
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
                let portion = self.instances.remove_finished(self.retention_days).await?;
                removed += portion;
                if portion == 0 {
                    return Ok(format!("{removed} instances removed that ended {} days ago", self.retention_days));
                }
            }
            Err("the program stopped".into())
        })
    }
}
