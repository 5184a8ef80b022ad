//! Health service: its status follows the engines behind the process.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{pb::task_service_server::TaskServiceServer, service::TaskServiceImpl};
use crate::app_context::{AppContext, BackingService};

/// Interval of engine checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Name of the whole server in the health protocol.
const SERVER_NAME: &str = "";

/// Name of the task service in the health protocol.
const TASK_SERVICE_NAME: &str = <TaskServiceServer<TaskServiceImpl> as NamedService>::NAME;

/// Engines that tasks need: Postgres for commands, Redis for queries.
const NEEDED_BY_TASKS: [BackingService; 2] = [BackingService::POSTGRES, BackingService::REDIS];

/// Keeps the health service up to date.
pub struct HealthMonitor {
    app: AppContext,
    engines: &'static [BackingService],
    reporter: HealthReporter,
    /// Status reported last: of the server, and of the task service.
    reported: [Option<bool>; 2],
}

impl HealthMonitor {
    /// A monitor for a process that needs these engines.
    pub(super) fn new(app: AppContext, engines: &'static [BackingService], reporter: HealthReporter) -> Self {
        Self { app, engines, reporter, reported: [None; 2] }
    }

    /// Checks the engines until `stop` is cancelled, then reports that nothing is served.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let reachable = tokio::select! {
                reachable = async { ticks.tick().await; self.reachable_engines().await } => reachable,
                () = stop.cancelled() => break,
            };
            let has_all = |needed: &[BackingService]| needed.iter().all(|engine| reachable.contains(engine));
            self.report_changes([has_all(self.engines), has_all(&NEEDED_BY_TASKS)]).await;
        }
        self.report_changes([false; 2]).await;
        // Watchers keep their connections open while the services exist.
        for service in [SERVER_NAME, TASK_SERVICE_NAME] {
            self.reporter.clear_service_status(service).await;
        }
    }

    /// The engines that answer a ping.
    async fn reachable_engines(&self) -> Vec<BackingService> {
        let pings = self.engines.iter().map(|engine| async { (*engine, self.app.ping(*engine).await) });
        let results = join_all(pings).await.into_iter();
        results.filter_map(|(engine, answer)| answer.is_ok().then_some(engine)).collect()
    }

    /// Reports the statuses that have changed.
    async fn report_changes(&mut self, serving: [bool; 2]) {
        for ((service, serving), previous) in
            [SERVER_NAME, TASK_SERVICE_NAME].into_iter().zip(serving).zip(&mut self.reported)
        {
            if *previous == Some(serving) {
                continue;
            }
            *previous = Some(serving);
            if !serving {
                tracing::warn!(service, "gRPC health status changed to NOT_SERVING");
            }
            let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
            self.reporter.set_service_status(service, status).await;
        }
    }
}
