//! A queue of tasks on a real log, and a handler whose tasks end when a test says so.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    precondition::CommandPreconditions,
};
use domain::{
    clock::SystemClock,
    context::BoundedContext,
    envelope::RawEnvelope,
    log_reader::LogReader as _,
    task::{
        ParameterList, RetryDecision, SubjectKind, Task, TaskCommand, TaskKind, TaskNote, TaskResult, TaskSpec,
        TaskSubject, WorkerName,
    },
    value::{TenantId, UserId},
};
use eventstore::{log::PgLogReader, postgres::PostgresConfig, store::PgEventStore};
use projections::runtime::Projection as _;
use sqlx::PgPool;
use task_workers::{
    ClaimRequest, ClaimedTask, PooledHandler, TaskFailure, TaskHandler, TaskQueue, TaskQueueProjection, WorkerPool,
    WorkerPoolConfig,
};
use tests::{database, eventually};
use tokio::{
    sync::{Barrier, Notify},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(super) const TENANT: &str = "acme";
pub(super) const LEASE: Duration = Duration::from_secs(2);

/// The write side and the queue, without Kafka: a task of the test delivers the events of the log again and again.
pub(super) struct QueueFixture {
    pub(super) pool: PgPool,
    pub(super) dispatcher: Arc<CommandDispatcher<PgEventStore<()>>>,
    pub(super) queue: TaskQueue,
    log: PgLogReader,
    delivery: Option<JoinHandle<()>>,
}

impl Drop for QueueFixture {
    fn drop(&mut self) {
        if let Some(delivery) = self.delivery.take() {
            delivery.abort();
        }
    }
}

impl QueueFixture {
    pub(super) async fn create() -> Self {
        let pool = database().await;
        let store = PgEventStore::new(pool.clone(), &PostgresConfig::default());
        Self {
            dispatcher: Arc::new(CommandDispatcher::new(store, Arc::new(SystemClock))),
            queue: TaskQueue::new(pool.clone()),
            log: PgLogReader::new(pool.clone()),
            pool,
            delivery: None,
        }
    }

    /// Delivers all events from now on, each many times.
    pub(super) fn deliver_continuously(&mut self) {
        let (log, queue) = (PgLogReader::new(self.pool.clone()), self.queue.clone());
        self.delivery = Some(tokio::spawn(async move {
            loop {
                deliver(&log, &queue).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }));
    }

    pub(super) async fn deliver(&self) {
        deliver(&self.log, &self.queue).await;
    }

    pub(super) fn sender(tenant: &str) -> CommandSender {
        let caller = Caller::new(UserId::from_program("ann"), TenantId::try_new(tenant).unwrap());
        CommandSender { caller, authority: CallerAuthority::System }
    }

    pub(super) async fn request(&self, tenant: &str) -> String {
        self.request_task(tenant, TaskKind::ExtractText, ParameterList::default()).await
    }

    /// Requests a generation of a proposal, by its parameter.
    pub(super) async fn request_generation(&self, tenant: &str, parameter: &str) -> String {
        let parameters = ParameterList::try_new([(parameter, "x")]).unwrap();
        self.request_task(tenant, TaskKind::GenerateProposal, parameters).await
    }

    async fn request_task(&self, tenant: &str, kind: TaskKind, parameters: ParameterList) -> String {
        let (id, sender) = (Uuid::new_v4().to_string(), Self::sender(tenant));
        let subject = TaskSubject::try_new(SubjectKind::Document, "d").unwrap();
        let spec = TaskSpec { parameters, ..TaskSpec::new(kind, subject) };
        self.send(&id, TaskCommand::Request { spec, stamp: self.dispatcher.stamp(&sender) }, tenant).await;
        id
    }

    pub(super) async fn send(&self, id: &str, command: TaskCommand, tenant: &str) {
        let (sender, none) = (Self::sender(tenant), CommandPreconditions::default());
        self.dispatcher.dispatch::<Task>(&sender, id, &none, command).await.unwrap();
    }

    pub(super) async fn claim(&self, worker: &str) -> Option<ClaimedTask> {
        self.queue.claim_task(&claim_request(worker)).await.unwrap()
    }

    pub(super) fn pool_of(&self, worker: &str, handler: &Arc<TestHandler>) -> (JoinHandle<()>, CancellationToken) {
        let (name, stop) = (WorkerName::try_new(worker).unwrap(), CancellationToken::new());
        let config = WorkerPoolConfig { lease: LEASE, poll_interval: Duration::from_millis(50) };
        let handlers = vec![PooledHandler::new(Arc::clone(handler), 3)];
        let pool = WorkerPool::new(self.queue.clone(), Arc::clone(&self.dispatcher), name, handlers, config);
        (tokio::spawn(pool.run(stop.clone())), stop)
    }

    /// Types of the events of a task, in order, and names of workers without the numbers of their claims.
    pub(super) async fn history(&self, id: &str) -> Vec<String> {
        sqlx::query_scalar(
            "select concat_ws(' ', event_type, split_part(payload ->> 'worker', '/', 1), payload ->> 'retry',
                              payload ->> 'result')
             from events where aggregate_id = $1 order by sequence",
        )
        .bind(format!("{TENANT}:{id}"))
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    pub(super) async fn wait_for_history(&self, id: &str, expected: &[&str]) {
        eventually(async || {
            let history = self.history(id).await;
            if history == expected { Ok(()) } else { Err(format!("{history:?}")) }
        })
        .await;
    }
}

async fn deliver(log: &PgLogReader, queue: &TaskQueue) {
    let fence = log.load_fence().await.unwrap();
    let events = log.load_after(0, fence, 10_000).await.unwrap();
    let is_task = |event: &&RawEnvelope| {
        BoundedContext::from_aggregate_type(&event.aggregate_type) == Some(BoundedContext::Tasks)
    };
    let changes: Vec<_> =
        events.iter().filter(is_task).flat_map(|event| TaskQueueProjection::project(event).unwrap()).collect();
    let projection = TaskQueueProjection::new(queue.clone());
    projection.apply(&changes).await.unwrap();
    if let Some(last) = changes.last() {
        assert!(projection.is_applied(last).await.unwrap());
    }
}

pub(super) fn claim_request(worker: &str) -> ClaimRequest {
    ClaimRequest {
        tenant_id: None,
        kinds: vec![TaskKind::ExtractText],
        worker: WorkerName::try_new(worker).unwrap(),
        lease: LEASE,
    }
}

/// Ends each task when it is told to, and counts what runs.
#[derive(Default)]
pub(super) struct TestHandler {
    pub(super) running: AtomicUsize,
    pub(super) most_running: AtomicUsize,
    pub(super) cancelled: AtomicUsize,
    pub(super) may_end: Notify,
    /// Lets tasks end only in groups of this size.
    pub(super) group: Option<Barrier>,
    pub(super) fails_until: usize,
    pub(super) holds: bool,
}

impl TaskHandler for TestHandler {
    const KIND: TaskKind = TaskKind::ExtractText;

    async fn run(&self, task: &ClaimedTask, cancelled: CancellationToken) -> Result<TaskResult, TaskFailure> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(running, Ordering::SeqCst);
        // Dropped with the future, however that ends.
        let _ended = EndOfRun { handler: self, cancelled };
        if self.holds {
            self.may_end.notified().await;
        } else if let Some(group) = &self.group {
            group.wait().await;
        } else {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if (task.failures as usize) < self.fails_until {
            let reason = TaskNote::try_new("not yet").unwrap();
            return Err(TaskFailure { reason, retry: RetryDecision::Later });
        }
        Ok(TaskResult::try_new("done").unwrap())
    }
}

struct EndOfRun<'a> {
    handler: &'a TestHandler,
    cancelled: CancellationToken,
}

impl Drop for EndOfRun<'_> {
    fn drop(&mut self) {
        self.handler.running.fetch_sub(1, Ordering::SeqCst);
        self.handler.cancelled.fetch_add(usize::from(self.cancelled.is_cancelled()), Ordering::SeqCst);
    }
}
