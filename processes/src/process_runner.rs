//! Sends the commands that processes have decided, and fires their timers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use commands::dispatcher::CommandDispatcher;
use domain::{error_chain::format_error_chain, event_store::AggregateStores};
use futures::{StreamExt as _, stream};
use metrics::{counter, gauge};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    AnyProcess, InstanceStore, InstanceStoreError, ProcessCommand,
    claimed_command_sender::ClaimedCommandSender,
    instance_store::ClaimedCommand,
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
            concurrency: 64,
            max_attempts: 12,
        }
    }
}

/// Longest pause between two attempts to execute a command, or to reach Postgres.
const MAX_PAUSE: Duration = Duration::from_mins(1);
/// Shortest pause between two removals of executed commands while others of the claim are being sent.
const MIN_REMOVAL_PAUSE: Duration = Duration::from_millis(10);
/// How often the gauges of what is pending are set.
const BACKLOG_INTERVAL: Duration = Duration::from_secs(15);
/// Commands that are claimed at once, and tenants that have a share of them.
const CLAIM_LIMIT: u32 = 64;
/// Most claims of a round, if none finds a command that can be sent.
const CLAIMS_PER_ROUND: u32 = 8;
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
                    tracing::warn!(
                        reason = format_error_chain(&error),
                        failures,
                        "processes cannot continue, retrying"
                    );
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
                    Err(error) => tracing::debug!(reason = format_error_chain(&error), "measuring the backlog failed"),
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

    fn process_names(&self) -> Vec<&'static str> {
        self.processes.iter().map(|process| process.name()).collect()
    }

    /// Fires due timers of all processes, also if one of them fails; returns how many.
    async fn fire_timers(&self) -> Result<usize, InstanceStoreError> {
        let mut outcome = Ok(0);
        let due = self.store.find_due_processes(&self.process_names()).await?;
        for process in self.processes.iter().filter(|process| due.iter().any(|name| name == process.name())) {
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
        let names = self.process_names();
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
        let sender = ClaimedCommandSender {
            store: &self.store,
            dispatcher: &self.dispatcher,
            processes: &self.processes,
            config: self.config,
        };
        let mut sent = stream::iter(group_by_target(claimed.commands))
            .map(|group| sender.send_commands(group, claimed_at))
            .buffer_unordered(self.config.concurrency);
        let mut executed = vec![];
        // Usually one statement removes all of a claim. If a stream is slow, the others' commands do not wait for it until
        // another runner claims them.
        let mut remove_at = claimed_at + self.config.claim_lease / 4;
        loop {
            // A group that is being sent goes on after the wait for it has ended.
            match timeout_at(remove_at, sent.next()).await {
                Ok(Some(group)) => {
                    executed.extend(group.executed);
                    outcome = outcome.and(group.outcome);
                }
                Ok(None) => break,
                Err(_) => {
                    outcome = outcome.and(self.store.remove_commands(&std::mem::take(&mut executed)).await);
                    remove_at = Instant::now() + (self.config.claim_lease / 8).max(MIN_REMOVAL_PAUSE);
                }
            }
        }
        self.store.remove_commands(&executed).await.and(outcome).map(|()| count)
    }
}

/// Commands to the same stream in one group, in their order: sent at the same time, they would conflict. The first groups
/// of all tenants come before their second ones, so that those that there is no time to send are not always the same
/// tenants'.
fn group_by_target(claimed: Vec<ClaimedCommand>) -> Vec<Vec<ClaimedCommand>> {
    let mut groups: BTreeMap<(String, String), Vec<ClaimedCommand>> = BTreeMap::new();
    for command in claimed {
        let target = serde_json::from_value::<ProcessCommand>(command.command.clone()).map(|command| command.target());
        // A command that cannot be read is not sent.
        let (aggregate_type, id) = target.unwrap_or(("", command.id.to_string()));
        groups.entry((command.key.tenant_id.clone(), format!("{aggregate_type} {id}"))).or_default().push(command);
    }
    let mut turns = BTreeMap::<String, usize>::new();
    let mut ordered: Vec<_> = groups
        .into_iter()
        .map(|((tenant, _), group)| {
            let turn = turns.entry(tenant).or_default();
            *turn += 1;
            (*turn, group)
        })
        .collect();
    ordered.sort_by_key(|(turn, _)| *turn);
    ordered.into_iter().map(|(_, group)| group).collect()
}

/// The pause after that many failures: doubled each time, from a second.
pub(crate) fn backoff(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(16)).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::InstanceKey;

    /// A command of a tenant to the stream of a task.
    fn command_to(id: i64, tenant: &str, task: u128) -> ClaimedCommand {
        ClaimedCommand {
            id,
            process: "document-analysis".to_owned(),
            key: InstanceKey { tenant_id: tenant.to_owned(), instance_id: id.to_string() },
            idempotency_key: id.to_string(),
            command: serde_json::json!({ "type": "cancel_task", "task_id": Uuid::from_u128(task), "reason": "late" }),
            correlation_id: Uuid::nil(),
            causation_id: Uuid::nil(),
            trace: None,
            attempts: 1,
            unreadable_for: Duration::ZERO,
        }
    }

    #[test]
    fn the_groups_of_tenants_take_turns() {
        let claimed = vec![
            command_to(1, "acme", 1),
            command_to(2, "acme", 2),
            command_to(3, "acme", 1),
            command_to(4, "acme", 3),
            command_to(5, "beta", 1),
            command_to(6, "zeta", 1),
            command_to(7, "zeta", 2),
        ];
        let groups = group_by_target(claimed);
        let ids: Vec<Vec<_>> = groups.iter().map(|group| group.iter().map(|command| command.id).collect()).collect();
        assert_eq!(ids, [vec![1, 3], vec![5], vec![6], vec![2], vec![7], vec![4]]);
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let seconds = [0, 1, 2, 3, 7, 8, 1_000].map(|failures| backoff(failures).as_secs());
        assert_eq!(seconds, [1, 1, 2, 4, 60, 60, 60]);
    }
}
