//! The job that requests daily digests at the local hours of their users.

use std::{sync::Arc, time::Duration};

use api::app_context::AppContext;
use eventstore::store::PgEventStore;
use futures::future::BoxFuture;
use mail::{DigestRequester, MailConfig, MailTransportKind, SearchMatchSource};
use scheduled_jobs::{JobError, JobRun, JobSchedule, JobScheduleError, ScheduledJob};

/// Requests the digests that are due. Runs every quarter of an hour, since some zones differ by that.
pub(super) struct DailyDigestJob {
    schedule: JobSchedule,
    requester: DigestRequester<PgEventStore<()>>,
    is_mail_sent: bool,
}

impl DailyDigestJob {
    pub(super) fn new(app: &AppContext, config: &MailConfig) -> Result<Self, JobScheduleError> {
        let source = Arc::new(SearchMatchSource::new(app.pool.clone()));
        Ok(Self {
            schedule: JobSchedule::parse("*/15 * * * *", "UTC")?,
            requester: DigestRequester::new(app.mail_queue.clone(), Arc::clone(&app.dispatcher), source),
            is_mail_sent: config.transport != MailTransportKind::None,
        })
    }
}

impl ScheduledJob for DailyDigestJob {
    fn name(&self) -> &'static str {
        "daily-digest"
    }

    fn schedule(&self) -> &JobSchedule {
        &self.schedule
    }

    fn timeout(&self) -> Duration {
        Duration::from_mins(10)
    }

    fn run<'a>(&'a self, run: &'a JobRun) -> BoxFuture<'a, Result<String, JobError>> {
        Box::pin(async move {
            if !self.is_mail_sent {
                return Ok("mail.transport is none: no digests".to_owned());
            }
            let summary = self.requester.request_due(run.started_at, &run.stop).await?;
            if run.stop.is_cancelled() {
                return Err("the program stopped".into());
            }
            Ok(summary.to_string())
        })
    }
}
