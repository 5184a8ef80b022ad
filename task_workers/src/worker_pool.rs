//! Runs the handlers of this program: claims tasks, renews the claims, records how each attempt ended.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    error::CommandError,
    precondition::CommandPreconditions,
};
use domain::{
    error_chain::format_error_chain,
    event_store::AggregateStores,
    task::{RetryDecision, Task, TaskCommand, TaskKind, TaskNote, WorkerName},
    value::{InvalidValue, UserId},
};
use metrics::{counter, gauge, histogram};
use telemetry::SPAN_TARGET;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::{
    ClaimedTask, PooledHandler, TaskQueue,
    task_queue::{ClaimRequest, ClaimState},
};

/// The user id that the pool's commands are recorded under.
const USER_ID: &str = "system:task-worker";
/// Renewals per lease.
const RENEWALS_PER_LEASE: u32 = 3;
/// Shortest pause between two renewals.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// Pause after a failure to reach Postgres.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Attempts to record how a task ended. After them the lease ends, and the task is worked on again.
const RECORD_ATTEMPTS: u32 = 5;
/// The settings of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerPoolConfig {
    /// How long a claim holds unless it is renewed: how long the tasks of a worker that died wait.
    pub lease: Duration,
    /// How often an idle pool looks for tasks that other programs have added.
    pub poll_interval: Duration,
}

impl Default for WorkerPoolConfig {
    fn default() -> Self {
        Self { lease: Duration::from_secs(30), poll_interval: Duration::from_millis(500) }
    }
}

/// Runs handlers of tasks, as many of each kind at the same time as the handler says.
pub struct WorkerPool<S> {
    context: Arc<WorkerContext<S>>,
    handlers: Vec<PooledHandler>,
}

struct WorkerContext<S> {
    queue: TaskQueue,
    dispatcher: Arc<CommandDispatcher<S>>,
    name: WorkerName,
    /// Number of claims so far.
    claims: AtomicU64,
    config: WorkerPoolConfig,
}

/// The outcome of recording a step of a task.
enum StepOutcome {
    Recorded,
    /// A rule forbids it: the task has ended, or another worker has it.
    Refused(String),
}

impl<S: AggregateStores + 'static> WorkerPool<S> {
    /// Creates a pool whose claims are made in the name of `worker` and a number. The name must be unique among all
    /// pools, including the pools of earlier runs of this program.
    pub fn new(
        queue: TaskQueue,
        dispatcher: Arc<CommandDispatcher<S>>,
        worker: WorkerName,
        handlers: Vec<PooledHandler>,
        config: WorkerPoolConfig,
    ) -> Self {
        let claims = AtomicU64::new(1);
        Self { context: Arc::new(WorkerContext { queue, dispatcher, name: worker, claims, config }), handlers }
    }

    /// Runs until `stop` or the end of [`TaskQueue::run`], then claims no more tasks and waits for those that it works
    /// on. If the pool is dropped earlier, other workers take over its tasks when their leases end.
    pub async fn run(self, stop: CancellationToken) {
        let mut loops = JoinSet::new();
        let kinds: Vec<_> = self.handlers.iter().map(PooledHandler::kind).collect();
        loops.spawn({
            let (context, stop) = (Arc::clone(&self.context), stop.clone());
            async move { context.queue.wake_claims(&kinds, context.config.poll_interval, &stop).await }
        });
        for handler in self.handlers {
            loops.spawn(run_handler(Arc::clone(&self.context), handler, stop.clone()));
        }
        while loops.join_next().await.is_some() {}
    }
}

/// Claims and runs tasks of one handler until `stop` or until the queue stops, then waits for those that run.
async fn run_handler<S: AggregateStores + 'static>(
    context: Arc<WorkerContext<S>>,
    handler: PooledHandler,
    stop: CancellationToken,
) {
    let mut running = JoinSet::new();
    let kind = handler.kind().name();
    gauge!("medhub_task_workers_limit", "kind" => kind).set(to_f64(handler.concurrency()));
    gauge!("medhub_task_workers_busy", "kind" => kind).set(0.0);
    // A queue that has stopped answers at once.
    while !stop.is_cancelled() && !context.queue.is_stopping() {
        if running.len() >= handler.concurrency() {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = running.join_next() => continue,
            }
        }
        let claim = match context.claim_request(handler.kind()) {
            Ok(claim) => claim,
            Err(reason) => {
                tracing::error!(%reason, "the worker's name is invalid, no tasks are claimed");
                break;
            }
        };
        match context.queue.claim_when_woken(&claim, &stop).await {
            Ok(Some(task)) => {
                context.claims.fetch_add(1, Ordering::Relaxed);
                running.spawn(run_task(Arc::clone(&context), handler.clone(), task, claim.worker));
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(reason = format_error_chain(&error), "tasks cannot be claimed, retrying");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(RETRY_PAUSE) => {}
                }
            }
        }
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
}

async fn run_task<S: AggregateStores>(
    context: Arc<WorkerContext<S>>,
    handler: PooledHandler,
    task: ClaimedTask,
    worker: WorkerName,
) {
    let (kind, begun) = (handler.kind().name(), Instant::now());
    let _busy = BusyWorker::begin(kind);
    let attempt = TaskAttempt { context: &context, task: &task, worker };
    let cancelled = CancellationToken::new();
    let work = attempt.work(&handler, cancelled.clone()).instrument(attempt_span(kind, &task));
    // Dropped at the end, so that the handler learns why it is interrupted.
    tokio::pin!(work);
    let ended = tokio::select! {
        ended = &mut work => ended,
        () = attempt.renew_until_lost() => {
            cancelled.cancel();
            tracing::info!(task.id = task.task_id, task.kind = kind, "task cancelled, or taken over by another worker");
            "lost"
        }
    };
    counter!("medhub_task_attempts_total", "kind" => kind, "outcome" => ended).increment(1);
    histogram!("medhub_task_attempt_duration_seconds", "kind" => kind, "outcome" => ended).record(begun.elapsed());
}

/// The span of an attempt at a task, in the trace of its request; none outside of a trace.
fn attempt_span(kind: &'static str, task: &ClaimedTask) -> Span {
    let Some(trace) = task.trace else { return Span::none() };
    let span = tracing::info_span!(
        target: SPAN_TARGET,
        "task",
        otel.name = format_args!("task {kind}"),
        medhub.correlation_id = %task.correlation_id,
        medhub.tenant_id = task.tenant_id.as_str(),
    );
    trace.continue_in(&span);
    span
}

/// A task that is worked on until this is dropped.
struct BusyWorker(&'static str);

impl BusyWorker {
    fn begin(kind: &'static str) -> Self {
        gauge!("medhub_task_workers_busy", "kind" => kind).increment(1.0);
        Self(kind)
    }
}

impl Drop for BusyWorker {
    fn drop(&mut self) {
        gauge!("medhub_task_workers_busy", "kind" => self.0).decrement(1.0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating point; a pool has few workers")]
fn to_f64(workers: usize) -> f64 {
    workers as f64
}

/// A step of a task that the pool records.
#[derive(Debug, Clone)]
enum TaskStep {
    Start,
    Complete(domain::task::TaskResult),
    Fail(TaskNote, RetryDecision),
    /// The attempt of a worker whose lease has ended.
    Abandon(WorkerName),
}

type StepError = Box<dyn std::error::Error + Send + Sync>;

impl<S> WorkerContext<S> {
    /// A claim under its own name, which distinguishes the attempts of one pool.
    fn claim_request(&self, kind: TaskKind) -> Result<ClaimRequest, InvalidValue> {
        let number = self.claims.load(Ordering::Relaxed);
        let worker = WorkerName::try_new(&format!("{}/{number}", self.name))?;
        Ok(ClaimRequest { tenant_id: None, kinds: vec![kind], worker, lease: self.config.lease })
    }
}

/// One attempt at a task, under one claim.
struct TaskAttempt<'a, S> {
    context: &'a WorkerContext<S>,
    task: &'a ClaimedTask,
    worker: WorkerName,
}

impl<S: AggregateStores> TaskAttempt<'_, S> {
    /// Starts the task, does its work and records how it ended; returns the outcome for metrics.
    async fn work(&self, handler: &PooledHandler, cancelled: CancellationToken) -> &'static str {
        match self.begin().await {
            Ok(StepOutcome::Recorded) => {}
            Ok(StepOutcome::Refused(reason)) => {
                tracing::debug!(task.id = self.task.task_id, reason, "claimed task not started");
                return "not_started";
            }
            Err(error) => {
                let reason = format_error_chain(&*error);
                tracing::warn!(task.id = self.task.task_id, reason, "claimed task not started");
                return "not_started";
            }
        }
        let (step, outcome) = match handler.run(self.task, cancelled).await {
            Ok(result) => (TaskStep::Complete(result), "completed"),
            Err(failure) => {
                tracing::info!(task.id = self.task.task_id, reason = %failure, "attempt of a task failed");
                (TaskStep::Fail(failure.reason, failure.retry), "failed")
            }
        };
        self.record_end(&step).await;
        outcome
    }

    /// Records that the task is started. Records first that the attempt of a worker that died has failed.
    async fn begin(&self) -> Result<StepOutcome, StepError> {
        if let Some(previous) = &self.task.previous_worker {
            let abandoned = self.record_step(&TaskStep::Abandon(previous.clone())).await?;
            if let StepOutcome::Refused(_) = abandoned {
                return Ok(abandoned);
            }
        }
        self.record_step(&TaskStep::Start).await
    }

    /// Renews the lease; returns when it is lost, or could not be renewed before its end.
    async fn renew_until_lost(&self) {
        let (queue, lease) = (&self.context.queue, self.context.config.lease);
        let mut ticks = interval((lease / RENEWALS_PER_LEASE).max(SHORTEST_INTERVAL));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut held_until = Instant::now() + lease;
        loop {
            ticks.tick().await;
            let sent_at = Instant::now();
            let renewal = queue.renew_claim(&self.task.tenant_id, &self.task.task_id, &self.worker, lease);
            match timeout_at(held_until, renewal).await {
                Ok(Ok(ClaimState::Held)) => held_until = sent_at + lease,
                Ok(Ok(ClaimState::Lost)) | Err(_) => return,
                Ok(Err(error)) => {
                    tracing::debug!(reason = format_error_chain(&error), "claim of a task not renewed");
                    if Instant::now() >= held_until {
                        return;
                    }
                }
            }
        }
    }

    async fn record_end(&self, step: &TaskStep) {
        for attempt in 1..=RECORD_ATTEMPTS {
            match self.record_step(step).await {
                Ok(StepOutcome::Recorded) => return,
                Ok(StepOutcome::Refused(reason)) => {
                    tracing::info!(task.id = self.task.task_id, reason, "result of a task refused");
                    return;
                }
                Err(error) => {
                    let reason = format_error_chain(&*error);
                    tracing::warn!(
                        task.id = self.task.task_id,
                        attempt,
                        reason,
                        "result of a task not recorded, retrying"
                    );
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Records a step. Without an idempotency key: repeated, a step changes nothing or is refused by the task itself,
    /// while a key would make a task that has ended look as if it were started again.
    async fn record_step(&self, step: &TaskStep) -> Result<StepOutcome, StepError> {
        let caller = Caller {
            user_id: UserId::from_program(USER_ID),
            tenant_id: self.task.tenant_id.clone(),
            correlation_id: self.task.correlation_id,
            causation_id: Some(self.task.request_event_id),
        };
        let sender = CommandSender { caller, authority: CallerAuthority::System };
        let dispatcher = &self.context.dispatcher;
        let (stamp, worker) = (dispatcher.stamp(&sender), self.worker.clone());
        let (expected_version, command) = match step.clone() {
            TaskStep::Start => (None, TaskCommand::Start { worker, stamp }),
            TaskStep::Complete(result) => (None, TaskCommand::Complete { worker, result, stamp }),
            TaskStep::Fail(reason, retry) => (None, TaskCommand::Fail { worker, reason, retry, stamp }),
            TaskStep::Abandon(previous) => (Some(self.task.version), self.task.fail_previous_attempt(previous, stamp)?),
        };
        let conditions = CommandPreconditions::with_version(expected_version);
        match dispatcher.dispatch::<Task>(&sender, &self.task.task_id, &conditions, command).await {
            Ok(_) => Ok(StepOutcome::Recorded),
            Err(CommandError::Refused(reason)) => Ok(StepOutcome::Refused(reason.to_string())),
            Err(error @ CommandError::Outdated { .. }) => Ok(StepOutcome::Refused(error.to_string())),
            Err(error) => Err(Box::new(error)),
        }
    }
}
