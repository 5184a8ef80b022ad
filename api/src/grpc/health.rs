//! The health service: what it says changes with the engines behind it.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{pb::task_service_server::TaskServiceServer, service::TaskServiceImpl};
use crate::app_context::{AppContext, BackingService};

/// Time between two looks at the engines.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// The whole server, by the name that the protocol gives it.
const SERVER_NAME: &str = "";

/// The service of tasks.
const TASK_SERVICE_NAME: &str = <TaskServiceServer<TaskServiceImpl> as NamedService>::NAME;

/// What tasks need: the log for what is changed, and the read model for what is asked.
const NEEDED_BY_TASKS: [BackingService; 2] = [BackingService::Postgres, BackingService::Redis];

/// Keeps what the health service says up to date.
pub(crate) struct HealthMonitor {
    stores: AppContext,
    engines: &'static [BackingService],
    reporter: HealthReporter,
    /// What was said last, of the server and of tasks.
    reported: [Option<bool>; 2],
}

impl HealthMonitor {
    /// Of a process that needs these engines.
    pub(super) fn new(stores: AppContext, engines: &'static [BackingService], reporter: HealthReporter) -> Self {
        Self { stores, engines, reporter, reported: [None; 2] }
    }

    /// Looks at the engines until told to stop, and says then that nothing is served any more.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut looks = interval(CHECK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let answering = tokio::select! {
                answering = async { looks.tick().await; self.reachable_engines().await } => answering,
                () = stop.cancelled() => break,
            };
            let has_all = |needed: &[BackingService]| needed.iter().all(|engine| answering.contains(engine));
            self.report_changes([has_all(self.engines), has_all(&NEEDED_BY_TASKS)]).await;
        }
        self.report_changes([false; 2]).await;
        // Who watches holds its connection open until there is nothing left to watch.
        for service in [SERVER_NAME, TASK_SERVICE_NAME] {
            self.reporter.clear_service_status(service).await;
        }
    }

    /// Those engines that answer within the time that a look may take.
    async fn reachable_engines(&self) -> Vec<BackingService> {
        let asked = self.engines.iter().map(|engine| async { (*engine, self.stores.ping(*engine).await) });
        let answers = join_all(asked).await.into_iter();
        answers.filter_map(|(engine, answer)| answer.is_ok().then_some(engine)).collect()
    }

    /// Tells watchers what has changed, and nothing else.
    async fn report_changes(&mut self, serving: [bool; 2]) {
        for ((service, serving), said) in
            [SERVER_NAME, TASK_SERVICE_NAME].into_iter().zip(serving).zip(&mut self.reported)
        {
            if *said == Some(serving) {
                continue;
            }
            *said = Some(serving);
            if !serving {
                tracing::warn!(service, "the gRPC health service says that it is not serving");
            }
            let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
            self.reporter.set_service_status(service, status).await;
        }
    }
}
