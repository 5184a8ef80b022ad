//! Sends claimed commands to one stream together, and stores how that ended.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use commands::{caller::Caller, dispatcher::CommandDispatcher, precondition::IdempotencyKey};
use domain::{
    error_chain::format_error_chain,
    event_store::AggregateStores,
    value::{TenantId, UserId},
};
use metrics::counter;
use telemetry::{SPAN_TARGET, StoredTraceContext};
use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span};

use crate::{
    AnyProcess, InstanceStore, InstanceStoreError, ProcessRunnerConfig,
    instance_store::ClaimedCommand,
    process_command::{PreparedCommand, SendError},
    process_runner::backoff,
};

/// Pause after a conflict: another runner sends commands to the same stream, and is done soon.
const CONFLICT_PAUSE: Duration = Duration::from_millis(300);
/// What operators read of a command that met a conflict.
const CONFLICT_REASON: &str = "other writers keep changing the aggregate";
/// Pause after a batch failed, for the commands of it that were not sent by themselves.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// How long a command that this release does not know waits for a runner of another release, before an operator has to
/// resume it.
const MAX_UNKNOWN: Duration = Duration::from_hours(1);
/// Pause before such a command is claimed again.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(15);

/// Sends the commands of one stream.
pub(crate) struct ClaimedCommandSender<'a, S> {
    pub(crate) store: &'a InstanceStore,
    pub(crate) dispatcher: &'a CommandDispatcher<S>,
    pub(crate) processes: &'a [Arc<dyn AnyProcess>],
    pub(crate) config: ProcessRunnerConfig,
}

/// The commands of a group that were executed, and the first error of storing how the others ended.
pub(crate) struct SentCommands {
    pub(crate) executed: Vec<i64>,
    pub(crate) outcome: Result<(), InstanceStoreError>,
}

/// A command that is ready to be sent, with its row.
type ReadyCommand = (ClaimedCommand, PreparedCommand);

/// Why a claimed command cannot be sent.
enum PrepareError {
    /// This release does not know it.
    Unknown(serde_json::Error),
    /// Its tenant or key is invalid.
    Invalid(Box<dyn std::error::Error + Send + Sync>),
}

impl<S: AggregateStores> ClaimedCommandSender<'_, S> {
    /// Sends the commands of a group as one batch, in smaller ones after one that did not end in time, or one by one if
    /// the event store does not accept them together. Commands that met a conflict, or whose claim would end meanwhile,
    /// are released. Returns the ids of the executed commands, for the caller to remove.
    pub(crate) async fn send_commands(&self, group: Vec<ClaimedCommand>, claimed_at: Instant) -> SentCommands {
        let mut outcome = Ok(());
        let mut ready = vec![];
        for claimed in group {
            match self.prepare_or_postpone(&claimed).await {
                Ok(Some(prepared)) => ready.push((claimed, prepared)),
                Ok(None) => {}
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        let mut executed = vec![];
        let mut limit = batch_limit(&ready);
        let mut may_grow = true;
        let mut waiting = VecDeque::from(ready);
        let (mut pause, mut reason) = (Duration::ZERO, String::new());
        while claimed_at.elapsed() <= self.config.claim_lease / 2 && !waiting.is_empty() {
            let batch: Vec<ReadyCommand> = waiting.drain(..limit.min(same_trace_length(&waiting))).collect();
            match self.send_batch(&batch).await {
                Ok(sent) => {
                    for ((claimed, prepared), sent) in batch.iter().zip(sent) {
                        match sent {
                            Ok(()) => executed.push(claimed.id),
                            Err(error) => outcome = outcome.and(self.record_failure(claimed, prepared, error).await),
                        }
                    }
                    if may_grow {
                        limit = limit.saturating_mul(2);
                    }
                }
                Err(SendError::Conflict) => {
                    for (claimed, _) in &batch {
                        self.count_command(claimed, "conflict");
                    }
                    // The other runner sends its commands faster if this one does not interfere.
                    (pause, reason) = (CONFLICT_PAUSE, CONFLICT_REASON.to_owned());
                    restore_to_front(&mut waiting, batch);
                    break;
                }
                Err(error) => match <[ReadyCommand; 1]>::try_from(batch) {
                    Ok([(claimed, prepared)]) => {
                        outcome = outcome.and(self.record_failure(&claimed, &prepared, error).await);
                    }
                    // Without a recorded attempt, a batch that never ends in time would be sent again without end. The
                    // next one is smaller.
                    Err(batch) if claimed_at.elapsed() > self.config.claim_lease / 2 => {
                        let failure = format_error_chain(&error);
                        for (claimed, _) in &batch {
                            self.count_command(claimed, "failed");
                            outcome = outcome.and(self.retry_or_stall(claimed, &failure).await);
                        }
                    }
                    // The event store may reject one of them. Commands that there is no time to send are released.
                    Err(batch) => {
                        (pause, reason) = (FAILURE_PAUSE, format_error_chain(&error));
                        (limit, may_grow) = (1, false);
                        restore_to_front(&mut waiting, batch);
                    }
                },
            }
        }
        let released: Vec<_> = waiting.into_iter().map(|(claimed, _)| claimed).collect();
        let release_outcome = self.store.release_commands(&released, pause, &reason).await;
        SentCommands { executed, outcome: outcome.and(release_outcome) }
    }

    /// Sends a batch; returns the outcome of each command.
    async fn send_batch(&self, batch: &[ReadyCommand]) -> Result<Vec<Result<(), SendError>>, SendError> {
        let prepared: Vec<_> = batch.iter().map(|(_, prepared)| prepared).collect();
        let sending = PreparedCommand::send_all(&prepared, self.dispatcher).instrument(batch_span(batch));
        let sent = timeout(self.config.claim_lease, sending).await;
        let sent =
            sent.unwrap_or_else(|_| Err(SendError::Retryable("the event store did not answer in time".into())))?;
        for ((claimed, _), sent) in batch.iter().zip(&sent) {
            if sent.is_ok() {
                self.count_command(claimed, "executed");
            }
        }
        Ok(sent)
    }

    /// A command that can be sent; `None` if it cannot, which is recorded.
    async fn prepare_or_postpone(
        &self,
        claimed: &ClaimedCommand,
    ) -> Result<Option<PreparedCommand>, InstanceStoreError> {
        let Some(process) = self.find_process(claimed) else { return Ok(None) };
        let error = match prepare_command(process.user_id(), claimed) {
            Ok(prepared) => return Ok(Some(prepared)),
            Err(error) => error,
        };
        self.count_command(claimed, "failed");
        match error {
            PrepareError::Unknown(error) => self.postpone_or_stall_unknown(claimed, &error).await?,
            PrepareError::Invalid(error) => self.retry_or_stall(claimed, &format_error_chain(&*error)).await?,
        }
        Ok(None)
    }

    /// Stores that a command was refused or failed.
    async fn record_failure(
        &self,
        claimed: &ClaimedCommand,
        prepared: &PreparedCommand,
        error: SendError,
    ) -> Result<(), InstanceStoreError> {
        let reason = match error {
            SendError::Refused(reason) => reason,
            SendError::Conflict | SendError::Retryable(_) => {
                self.count_command(claimed, "failed");
                return self.retry_or_stall(claimed, &format_error_chain(&error)).await;
            }
        };
        self.count_command(claimed, "refused");
        tracing::info!(process = claimed.process, instance = claimed.key.instance_id, reason, "command refused");
        let Some(process) = self.find_process(claimed) else { return Ok(()) };
        match self.store.handle_refusal(process, claimed, &prepared.command, &reason).await {
            Err(error @ InstanceStoreError::UnreadableState { .. }) => {
                self.retry_or_stall(claimed, &format_error_chain(&error)).await
            }
            handled => handled,
        }
    }

    fn find_process(&self, claimed: &ClaimedCommand) -> Option<&dyn AnyProcess> {
        self.processes.iter().find(|process| process.name() == claimed.process).map(AsRef::as_ref)
    }

    fn count_command(&self, claimed: &ClaimedCommand, outcome: &'static str) {
        // The names of other releases' processes are no labels.
        if let Some(process) = self.find_process(claimed) {
            counter!("medhub_process_commands_total", "process" => process.name(), "outcome" => outcome).increment(1);
        }
    }

    async fn retry_or_stall(&self, claimed: &ClaimedCommand, reason: &str) -> Result<(), InstanceStoreError> {
        if claimed.attempts >= self.config.max_attempts {
            return self.stall_instance(claimed, reason).await;
        }
        let pause = backoff(u32::try_from(claimed.attempts).unwrap_or(1));
        self.store.retry_command(claimed, pause, reason).await
    }

    /// Leaves a command that this release does not know to the runners of another one, which run at the same time during
    /// a roll-out.
    async fn postpone_or_stall_unknown(
        &self,
        claimed: &ClaimedCommand,
        error: &serde_json::Error,
    ) -> Result<(), InstanceStoreError> {
        let reason = format!("this release does not know the command: {error}");
        if claimed.unreadable_for > MAX_UNKNOWN {
            return self.stall_instance(claimed, &reason).await;
        }
        tracing::warn!(process = claimed.process, instance = claimed.key.instance_id, reason, "command postponed");
        self.store.postpone_unknown_command(claimed, UNKNOWN_PAUSE, &reason).await
    }

    async fn stall_instance(&self, claimed: &ClaimedCommand, reason: &str) -> Result<(), InstanceStoreError> {
        tracing::error!(
            process = claimed.process,
            tenant = claimed.key.tenant_id,
            instance = claimed.key.instance_id,
            reason,
            "process instance stalled; `medhub processes resume` sends its commands again"
        );
        self.store.stall_command(claimed, reason).await
    }
}

/// How many commands of a group are sent together: all of them at first, and half as many after each failed attempt at one
/// of them, since a batch that does not end in time is too large for its stream. The attempts are in Postgres, so this holds
/// for all runners, and a single command is sent long before its instance stalls.
fn batch_limit(group: &[ReadyCommand]) -> usize {
    let failures = group.iter().map(|(claimed, _)| claimed.attempts.saturating_sub(1)).max().unwrap_or_default();
    let halvings = u32::try_from(failures).unwrap_or_default();
    group.len().checked_shr(halvings).unwrap_or_default().max(1)
}

/// How many of the first commands belong to the same trace, or to none: a span has one parent.
fn same_trace_length(waiting: &VecDeque<ReadyCommand>) -> usize {
    let trace_id = |(claimed, _): &ReadyCommand| claimed.trace.map(StoredTraceContext::trace_id);
    let first = waiting.front().and_then(trace_id);
    waiting.iter().take_while(|command| trace_id(command) == first).count()
}

/// The span of commands that are sent together, below the span that caused the first; none outside of a trace.
fn batch_span(batch: &[ReadyCommand]) -> Span {
    let Some((claimed, trace)) = batch.first().and_then(|(claimed, _)| Some((claimed, claimed.trace?))) else {
        return Span::none();
    };
    let span = tracing::info_span!(
        target: SPAN_TARGET,
        "commands of a process",
        otel.name = format_args!("send commands {}", claimed.process),
        medhub.correlation_id = %claimed.correlation_id,
        medhub.tenant_id = claimed.key.tenant_id,
    );
    trace.continue_in(&span);
    span
}

fn restore_to_front(waiting: &mut VecDeque<ReadyCommand>, batch: Vec<ReadyCommand>) {
    for command in batch.into_iter().rev() {
        waiting.push_front(command);
    }
}

fn prepare_command(user_id: &'static str, claimed: &ClaimedCommand) -> Result<PreparedCommand, PrepareError> {
    let command = serde_json::from_value(claimed.command.clone()).map_err(PrepareError::Unknown)?;
    let caller = Caller {
        user_id: UserId::from_program(user_id),
        tenant_id: TenantId::try_new(&claimed.key.tenant_id).map_err(|error| PrepareError::Invalid(error.into()))?,
        correlation_id: claimed.correlation_id,
        causation_id: Some(claimed.causation_id),
    };
    let key = IdempotencyKey::try_new(&claimed.idempotency_key, &claimed.command.to_string())
        .map_err(|error| PrepareError::Invalid(error.into()))?;
    Ok(PreparedCommand { command, caller, key })
}
