//! Sends the commands that processes have decided, and fires their timers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use commands::{
    caller::Caller, dispatcher::CommandDispatcher, precondition::IdempotencyKey, stream_dispatcher::StreamDispatcher,
};
use domain::{
    error_chain::format_error_chain,
    event_store::AggregateStores,
    value::{TenantId, UserId},
};
use futures::{StreamExt as _, stream};
use metrics::{counter, gauge};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    AnyProcess, InstanceStore, InstanceStoreError, ProcessCommand,
    instance_store::ClaimedCommand,
    process_command::SendError,
    runner_status::{RunnerStatus, RunnerTask},
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
/// Pause after a conflict: another runner sends commands to the same stream, and is done soon.
const CONFLICT_PAUSE: Duration = Duration::from_millis(300);
/// What operators read of a command that met a conflict.
const CONFLICT_REASON: &str = "others keep changing the aggregate";
/// Commands that are claimed at once.
const CLAIM_LIMIT: u32 = 64;
/// Most claims of a round, if none finds a command that can be sent.
const CLAIMS_PER_ROUND: u32 = 8;
/// How long a command that this release does not know waits for a runner of another release, before an operator has to
/// resume it.
const MAX_UNKNOWN: Duration = Duration::from_hours(1);
/// Pause before such a command is claimed again.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(15);
/// Instances whose timers fire in one transaction.
const TIMER_LIMIT: u32 = 100;

/// Sends commands and fires timers of all processes. Several may run at the same time, in any number of programs.
pub struct ProcessRunner<S> {
    store: InstanceStore,
    dispatcher: Arc<CommandDispatcher<S>>,
    processes: Vec<Arc<dyn AnyProcess>>,
    config: ProcessRunnerConfig,
    status: watch::Sender<RunnerStatus>,
    /// The last tenant whose commands were claimed; empty before the first.
    last_tenant: Mutex<String>,
}

/// How sending a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SendOutcome {
    /// It was executed; its row can be removed.
    Executed,
    /// It was refused or failed, which is recorded.
    Recorded,
    /// Others keep changing the stream.
    Conflict,
}

impl<S: AggregateStores + 'static> ProcessRunner<S> {
    /// Creates a runner; it starts in [`Self::run`].
    pub fn new(
        store: InstanceStore,
        dispatcher: Arc<CommandDispatcher<S>>,
        processes: Vec<Arc<dyn AnyProcess>>,
        config: ProcessRunnerConfig,
    ) -> Self {
        let (status, _) = watch::channel(RunnerStatus::default());
        Self { store, dispatcher, processes, config, status, last_tenant: Mutex::default() }
    }

    /// How the runner is doing, from now on.
    pub fn status(&self) -> watch::Receiver<RunnerStatus> {
        self.status.subscribe()
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
            self.status.send_modify(|status| status.begin_round(task, std::time::Instant::now()));
            let outcome = match task {
                RunnerTask::Timers => self.fire_timers().await,
                RunnerTask::Commands => self.send_commands().await,
            };
            self.status.send_modify(|status| {
                let error = outcome.as_ref().err().map(|error| format_error_chain(error));
                status.end_round(task, error);
            });
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

    /// Sets the gauges of what is pending, periodically.
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
        let mut after = self.last_tenant.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut claims = 0;
        // The commands of all tenants of a claim may wait behind others of their instances.
        let claimed = loop {
            let claimed = self.store.claim_commands(&names, CLAIM_LIMIT, self.config.claim_lease, &after).await?;
            claims += 1;
            let is_first = after.is_empty();
            after = claimed.last_tenant.clone().unwrap_or_default();
            let is_empty = claimed.commands.is_empty() && claimed.unreadable.is_empty();
            if !is_empty || is_first && after.is_empty() || claims >= CLAIMS_PER_ROUND {
                break claimed;
            }
        };
        *self.last_tenant.lock().unwrap_or_else(PoisonError::into_inner) = after;
        let count = claimed.commands.len() + claimed.unreadable.len();
        let claimed_at = Instant::now();
        let mut outcome = Ok(());
        for (command, error) in &claimed.unreadable {
            let reason = format!("the command cannot be read: {error}");
            tracing::error!(process = command.process, instance = command.key.instance_id, reason, "instance stalled");
            outcome = outcome.and(self.store.stall_command(command, &reason).await);
        }
        let sent: Vec<_> = stream::iter(group_by_target(claimed.commands))
            .map(|group| self.send_group(group, claimed_at))
            .buffer_unordered(self.config.concurrency)
            .collect()
            .await;
        sent.into_iter().fold(outcome, Result::and).map(|()| count)
    }

    /// Sends commands to the same stream one after another, and removes those that were executed. Those that met a
    /// conflict, or whose claim would end meanwhile, are given back.
    async fn send_group(&self, group: Vec<ClaimedCommand>, claimed_at: Instant) -> Result<(), InstanceStoreError> {
        let mut stream = self.dispatcher.stream_dispatcher();
        let mut executed = vec![];
        let mut outcome = Ok(());
        let mut waiting = group.into_iter();
        let mut released = vec![];
        let (mut pause, mut reason) = (Duration::ZERO, "");
        for claimed in waiting.by_ref() {
            if claimed_at.elapsed() > self.config.claim_lease / 2 {
                released.push(claimed);
                break;
            }
            match self.send_command(&mut stream, &claimed).await {
                Ok(SendOutcome::Executed) => executed.push(claimed.id),
                Ok(SendOutcome::Recorded) => {}
                Ok(SendOutcome::Conflict) => {
                    // The other runner sends its commands faster if this one does not interfere.
                    (pause, reason) = (CONFLICT_PAUSE, CONFLICT_REASON);
                    released.push(claimed);
                    break;
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        released.extend(waiting);
        let released = self.store.release_commands(&released, pause, reason).await;
        self.store.remove_commands(&executed).await.and(released).and(outcome)
    }

    /// Sends one command; unless it was executed or met a conflict, stores how that ended.
    async fn send_command(
        &self,
        stream: &mut StreamDispatcher<'_, S>,
        claimed: &ClaimedCommand,
    ) -> Result<SendOutcome, InstanceStoreError> {
        let Some(process) = self.processes.iter().find(|process| process.name() == claimed.process) else {
            return Ok(SendOutcome::Recorded);
        };
        let count = |outcome: &'static str| {
            counter!("medhub_process_commands_total", "process" => process.name(), "outcome" => outcome).increment(1);
        };
        let (command, caller, key) = match prepare_command(process.user_id(), claimed) {
            Ok(prepared) => prepared,
            Err(PrepareError::Unknown(error)) => {
                count("failed");
                return self.postpone_or_stall_unknown(claimed, &error).await;
            }
            Err(PrepareError::Invalid(error)) => {
                count("failed");
                return self.retry_or_stall(claimed, &format_error_chain(&*error)).await;
            }
        };
        let sent = timeout(self.config.claim_lease, command.clone().send(stream, caller, key)).await;
        match sent {
            Ok(Ok(())) => {
                count("executed");
                Ok(SendOutcome::Executed)
            }
            Ok(Err(SendError::Refused(reason))) => {
                count("refused");
                tracing::info!(
                    process = claimed.process,
                    instance = claimed.key.instance_id,
                    reason,
                    "command refused"
                );
                match self.store.handle_refusal(process.as_ref(), claimed, &command, &reason).await {
                    Err(error @ InstanceStoreError::UnreadableState { .. }) => {
                        self.retry_or_stall(claimed, &format_error_chain(&error)).await
                    }
                    outcome => outcome.map(|()| SendOutcome::Recorded),
                }
            }
            Ok(Err(SendError::Conflict)) => {
                count("conflict");
                Ok(SendOutcome::Conflict)
            }
            Ok(Err(error @ SendError::Retryable(_))) => {
                count("failed");
                self.retry_or_stall(claimed, &format_error_chain(&error)).await
            }
            Err(_elapsed) => {
                count("failed");
                self.retry_or_stall(claimed, "the event store did not answer in time").await
            }
        }
    }

    async fn retry_or_stall(&self, claimed: &ClaimedCommand, reason: &str) -> Result<SendOutcome, InstanceStoreError> {
        if claimed.attempts >= self.config.max_attempts {
            return self.stall(claimed, reason).await;
        }
        let pause = backoff(u32::try_from(claimed.attempts).unwrap_or(1));
        self.store.retry_command(claimed, pause, reason).await.map(|()| SendOutcome::Recorded)
    }

    /// Leaves a command that this release does not know to the runners of another one, which run at the same time during
    /// a roll-out.
    async fn postpone_or_stall_unknown(
        &self,
        claimed: &ClaimedCommand,
        error: &serde_json::Error,
    ) -> Result<SendOutcome, InstanceStoreError> {
        let reason = format!("the command is none of this release: {error}");
        if claimed.unreadable_for > MAX_UNKNOWN {
            return self.stall(claimed, &reason).await;
        }
        tracing::warn!(process = claimed.process, instance = claimed.key.instance_id, reason, "command postponed");
        let pause = UNKNOWN_PAUSE;
        self.store.postpone_unknown_command(claimed, pause, &reason).await.map(|()| SendOutcome::Recorded)
    }

    async fn stall(&self, claimed: &ClaimedCommand, reason: &str) -> Result<SendOutcome, InstanceStoreError> {
        tracing::error!(
            process = claimed.process,
            tenant = claimed.key.tenant_id,
            instance = claimed.key.instance_id,
            reason,
            "process instance stalled; `medhub processes resume` sends its commands again"
        );
        self.store.stall_command(claimed, reason).await.map(|()| SendOutcome::Recorded)
    }
}

/// Why a claimed command cannot be sent.
enum PrepareError {
    /// It is none of this release.
    Unknown(serde_json::Error),
    /// Its tenant or key is invalid.
    Invalid(Box<dyn std::error::Error + Send + Sync>),
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

fn prepare_command(user_id: &'static str, claimed: &ClaimedCommand) -> Result<PreparedCommand, PrepareError> {
    let command: ProcessCommand = serde_json::from_value(claimed.command.clone()).map_err(PrepareError::Unknown)?;
    let caller = Caller {
        user_id: UserId::from_program(user_id),
        tenant_id: TenantId::try_new(&claimed.key.tenant_id).map_err(|error| PrepareError::Invalid(error.into()))?,
        correlation_id: claimed.correlation_id,
        causation_id: Some(claimed.causation_id),
    };
    let key = IdempotencyKey::try_new(&claimed.idempotency_key, &claimed.command.to_string())
        .map_err(|error| PrepareError::Invalid(error.into()))?;
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
