//! Sends the commands that processes have decided, and fires their timers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use commands::{caller::Caller, dispatcher::CommandDispatcher, precondition::IdempotencyKey};
use domain::{
    error_chain::format_error_chain,
    event_store::AggregateStores,
    value::{TenantId, UserId},
};
use futures::{StreamExt as _, stream};
use metrics::{counter, gauge};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    AnyProcess, InstanceStore, InstanceStoreError, ProcessCommand,
    instance_store::{ClaimedCommand, CommandRetry},
    process_command::SendError,
};

/// The settings of the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessRunnerConfig {
    /// How often it looks for timers that are due, and for commands that other programs have added.
    pub poll_interval: Duration,
    /// How long a claimed command belongs to this runner. When it ends before the command was sent, another one sends it
    /// under the same idempotency key.
    pub claim_lease: Duration,
    /// How many commands are sent at the same time, each to another stream.
    pub concurrency: usize,
    /// How many attempts to execute a command may fail before an operator has to resume it.
    pub max_attempts: i32,
}

impl Default for ProcessRunnerConfig {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_millis(500),
            claim_lease: Duration::from_secs(10),
            concurrency: 16,
            max_attempts: 12,
        }
    }
}

/// Longest pause between two attempts to execute a command, or to reach Postgres.
const MAX_PAUSE: Duration = Duration::from_mins(1);
/// How often the gauges of what is pending are set.
const BACKLOG_INTERVAL: Duration = Duration::from_secs(15);
/// Pause after a conflict: the others are done soon.
const CONFLICT_PAUSE: Duration = Duration::from_millis(100);
/// Commands that are claimed at once.
const CLAIM_LIMIT: u32 = 64;
/// Instances whose timers fire in one transaction.
const TIMER_LIMIT: u32 = 100;

/// Sends commands and fires timers of all processes. Several may run at the same time, in any number of programs.
pub struct ProcessRunner<S> {
    store: InstanceStore,
    dispatcher: Arc<CommandDispatcher<S>>,
    processes: Vec<Arc<dyn AnyProcess>>,
    config: ProcessRunnerConfig,
}

/// What a runner repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RunnerTask {
    Timers,
    Commands,
}

impl<S: AggregateStores + 'static> ProcessRunner<S> {
    /// Creates a runner; it starts in [`Self::run`].
    pub fn new(
        store: InstanceStore,
        dispatcher: Arc<CommandDispatcher<S>>,
        processes: Vec<Arc<dyn AnyProcess>>,
        config: ProcessRunnerConfig,
    ) -> Self {
        Self { store, dispatcher, processes, config }
    }

    /// Runs until `stop`, then ends after the commands that it has claimed.
    pub async fn run(self, stop: CancellationToken) {
        // Side by side: an instance that is locked for long delays timers, and a command that is slow delays commands.
        tokio::join!(
            self.repeat_until(&stop, RunnerTask::Timers),
            self.repeat_until(&stop, RunnerTask::Commands),
            self.report_backlog(&stop),
        );
    }

    async fn repeat_until(&self, stop: &CancellationToken, task: RunnerTask) {
        let mut failures = 0_u32;
        while !stop.is_cancelled() {
            let outcome = match task {
                RunnerTask::Timers => self.fire_timers().await,
                RunnerTask::Commands => self.send_commands().await,
            };
            match outcome {
                Ok(0) => {
                    failures = 0;
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = sleep(self.config.poll_interval), if task == RunnerTask::Timers => {}
                        () = self.store.wait_for_work(self.config.poll_interval), if task == RunnerTask::Commands => {}
                    }
                }
                Ok(_) => failures = 0,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(reason = format_error_chain(&error), failures, "processes cannot go on, retrying");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = sleep(backoff(failures)) => {}
                    }
                }
            }
        }
    }

    /// Sets the gauges of what is pending, again and again.
    async fn report_backlog(&self, stop: &CancellationToken) {
        let mut ticks = interval(BACKLOG_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => match self.store.load_backlog().await {
                    Ok(backlog) => {
                        gauge!("medhub_process_commands_pending").set(backlog.pending_commands);
                        gauge!("medhub_process_commands_oldest_seconds").set(backlog.oldest_command_s);
                        gauge!("medhub_process_instances_stalled").set(backlog.stalled_instances);
                    }
                    Err(error) => tracing::debug!(reason = format_error_chain(&error), "backlog not measured"),
                },
            }
        }
    }

    /// Fires due timers and sends due commands once; returns how many.
    ///
    /// # Errors
    /// [`InstanceStoreError`] when Postgres does not answer.
    pub async fn run_once(&self) -> Result<usize, InstanceStoreError> {
        Ok(self.fire_timers().await? + self.send_commands().await?)
    }

    /// Fires due timers of all processes, also if one of them fails; returns how many.
    async fn fire_timers(&self) -> Result<usize, InstanceStoreError> {
        let mut outcome = Ok(0);
        for process in &self.processes {
            match self.store.fire_due_timers(process.as_ref(), TIMER_LIMIT).await {
                Ok(fired) => {
                    counter!("medhub_process_timeouts_total", "process" => process.name()).increment(fired as u64);
                    outcome = outcome.map(|count| count + fired);
                }
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// Sends due commands; returns how many.
    async fn send_commands(&self) -> Result<usize, InstanceStoreError> {
        let names: Vec<_> = self.processes.iter().map(|process| process.name()).collect();
        let claimed = self.store.claim_commands(&names, CLAIM_LIMIT, self.config.claim_lease).await?;
        let count = claimed.len();
        let outcomes: Vec<_> = stream::iter(group_by_target(claimed))
            .map(|group| stream::iter(group).then(|claimed| self.send_command(claimed)).collect::<Vec<_>>())
            .buffer_unordered(self.config.concurrency)
            .collect()
            .await;
        outcomes.into_iter().flatten().collect::<Result<(), _>>().map(|()| count)
    }

    /// Sends one command and stores how that ended.
    async fn send_command(&self, claimed: ClaimedCommand) -> Result<(), InstanceStoreError> {
        let Some(process) = self.processes.iter().find(|process| process.name() == claimed.process) else {
            return Ok(());
        };
        let count = |outcome: &'static str| {
            counter!("medhub_process_commands_total", "process" => process.name(), "outcome" => outcome).increment(1);
        };
        let (command, caller, key) = match prepare_command(process.user_id(), &claimed) {
            Ok(prepared) => prepared,
            Err(error) => {
                count("failed");
                return self.retry_or_stall(&claimed, &format_error_chain(&*error)).await;
            }
        };
        let sent = timeout(self.config.claim_lease, command.clone().send(&self.dispatcher, caller, key)).await;
        match sent {
            Ok(Ok(())) => {
                count("executed");
                self.store.remove_command(&claimed).await
            }
            Ok(Err(SendError::Refused(reason))) => {
                count("refused");
                tracing::info!(
                    process = claimed.process,
                    instance = claimed.key.instance_id,
                    reason,
                    "command refused"
                );
                match self.store.handle_refusal(process.as_ref(), &claimed, &command, &reason).await {
                    Err(error @ InstanceStoreError::UnreadableState { .. }) => {
                        self.retry_or_stall(&claimed, &format_error_chain(&error)).await
                    }
                    outcome => outcome,
                }
            }
            Ok(Err(error @ SendError::Conflict)) => {
                count("conflict");
                self.store
                    .retry_command(&claimed, CommandRetry::AfterConflict(CONFLICT_PAUSE), &error.to_string())
                    .await
            }
            Ok(Err(error @ SendError::Retryable(_))) => {
                count("failed");
                self.retry_or_stall(&claimed, &format_error_chain(&error)).await
            }
            Err(_elapsed) => {
                count("failed");
                self.retry_or_stall(&claimed, "the event store did not answer in time").await
            }
        }
    }

    async fn retry_or_stall(&self, claimed: &ClaimedCommand, reason: &str) -> Result<(), InstanceStoreError> {
        if claimed.attempts >= self.config.max_attempts {
            tracing::error!(
                process = claimed.process,
                tenant = claimed.key.tenant_id,
                instance = claimed.key.instance_id,
                reason,
                "process instance stalled; `medhub processes resume` sends its commands again"
            );
            return self.store.stall_command(claimed, reason).await;
        }
        let pause = backoff(u32::try_from(claimed.attempts).unwrap_or(1));
        self.store.retry_command(claimed, CommandRetry::AfterFailure(pause), reason).await
    }
}

/// Commands to the same stream in one group, in their order: sent at the same time, they would conflict.
fn group_by_target(claimed: Vec<ClaimedCommand>) -> Vec<Vec<ClaimedCommand>> {
    let mut groups: BTreeMap<(String, String), Vec<ClaimedCommand>> = BTreeMap::new();
    for command in claimed {
        let target = serde_json::from_value::<ProcessCommand>(command.command.clone()).map(|command| command.target());
        // A command that cannot be read is not sent.
        let (aggregate_type, id) = target.unwrap_or(("", command.id.to_string()));
        groups.entry((command.key.tenant_id.clone(), format!("{aggregate_type} {id}"))).or_default().push(command);
    }
    groups.into_values().collect()
}

type PreparedCommand = (ProcessCommand, Caller, IdempotencyKey);

fn prepare_command(
    user_id: &'static str,
    claimed: &ClaimedCommand,
) -> Result<PreparedCommand, Box<dyn std::error::Error + Send + Sync>> {
    let command: ProcessCommand = serde_json::from_value(claimed.command.clone())?;
    let caller = Caller {
        user_id: UserId::from_program(user_id),
        tenant_id: TenantId::try_new(&claimed.key.tenant_id)?,
        correlation_id: claimed.correlation_id,
        causation_id: Some(claimed.causation_id),
    };
    let key = IdempotencyKey::try_new(&claimed.idempotency_key, &claimed.command.to_string())?;
    Ok((command, caller, key))
}

/// The pause after that many failures: doubled each time, from a second.
fn backoff(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(16)).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let seconds = [0, 1, 2, 3, 7, 8, 1_000].map(|failures| backoff(failures).as_secs());
        assert_eq!(seconds, [1, 1, 2, 4, 60, 60, 60]);
    }
}
