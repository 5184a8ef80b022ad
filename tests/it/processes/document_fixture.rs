//! Documents in a database of the test's own, with the process of document analysis and its runner.

use std::sync::Arc;

use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    precondition::CommandPreconditions,
};
use domain::{
    clock::SystemClock,
    context::BoundedContext,
    document::{
        AnalysisReport, Document, DocumentCommand, DocumentSummary, ExtractionMethod, FileDigest, FileName, MediaType,
        ModelName, ObjectKey, RequirementList, TextExtraction, UploadedFile,
    },
    envelope::RawEnvelope,
    log_reader::LogReader as _,
    value::{TenantId, UserId},
};
use eventstore::{log::PgLogReader, postgres::PostgresConfig, store::PgEventStore};
use processes::{
    InstanceStore, ProcessProjection, ProcessRunner, ProcessRunnerConfig, all_processes,
    document_analysis_process::DocumentAnalysisProcess,
};
use projections::runtime::Projection as _;
use sqlx::PgPool;
use tests::{database, eventually};
use uuid::Uuid;

pub(super) const TENANT: &str = "acme";

pub(super) type DocumentDispatcher = CommandDispatcher<PgEventStore<()>>;

/// A sender with the authority of this program.
pub(super) fn program_sender(tenant: &str) -> CommandSender {
    program_sender_as("ann", tenant)
}

/// The same as another user.
pub(super) fn program_sender_as(user: &str, tenant: &str) -> CommandSender {
    let caller = Caller::new(UserId::try_new(user).unwrap(), TenantId::try_new(tenant).unwrap());
    CommandSender { caller, authority: CallerAuthority::System }
}

/// The command that uploads a file.
pub(super) fn upload_command(dispatcher: &DocumentDispatcher, sender: &CommandSender, key: &str) -> DocumentCommand {
    let upload = UploadedFile {
        file_name: FileName::try_new("rfp.pdf").unwrap(),
        media_type: MediaType::try_new("application/pdf").unwrap(),
        bytes: 1_024,
        sha256: FileDigest::try_new(&"ab".repeat(32)).unwrap(),
        object_key: ObjectKey::try_new(key).unwrap(),
        opportunity_id: None,
    };
    DocumentCommand::Upload { upload, stamp: dispatcher.stamp(sender) }
}

/// The commands that record the results of the stages, in order.
pub(super) fn stage_results(dispatcher: &DocumentDispatcher, sender: &CommandSender) -> [DocumentCommand; 3] {
    let stamp = || dispatcher.stamp(sender);
    let text = TextExtraction {
        text_key: ObjectKey::try_new("acme/text").unwrap(),
        pages: 1,
        characters: 10,
        method: ExtractionMethod::Native,
        language: None,
    };
    let analysis = AnalysisReport {
        summary: DocumentSummary::try_new("Pumps.").unwrap(),
        fit_score: None,
        fit_reasons: None,
        risks: vec![],
        model: ModelName::try_new("none").unwrap(),
    };
    [
        DocumentCommand::RecordText { text, stamp: stamp() },
        DocumentCommand::RecordRequirements { requirements: RequirementList::try_new(vec![]).unwrap(), stamp: stamp() },
        DocumentCommand::RecordAnalysis { analysis, stamp: stamp() },
    ]
}

/// The write side and the process, without Kafka: tests deliver the events of the log themselves.
pub(super) struct DocumentFixture {
    pub(super) pool: PgPool,
    pub(super) dispatcher: Arc<DocumentDispatcher>,
    pub(super) store: InstanceStore,
    pub(super) projection: ProcessProjection<DocumentAnalysisProcess>,
    log: PgLogReader,
}

impl DocumentFixture {
    pub(super) async fn create() -> Self {
        let pool = database().await;
        let event_store = PgEventStore::new(pool.clone(), &PostgresConfig::default());
        let store = InstanceStore::new(pool.clone());
        Self {
            dispatcher: Arc::new(CommandDispatcher::new(event_store, Arc::new(SystemClock))),
            projection: ProcessProjection::new(store.clone()),
            log: PgLogReader::new(pool.clone()),
            store,
            pool,
        }
    }

    pub(super) fn runner(&self) -> ProcessRunner<PgEventStore<()>> {
        self.runner_with(ProcessRunnerConfig::default())
    }

    pub(super) fn runner_with(&self, config: ProcessRunnerConfig) -> ProcessRunner<PgEventStore<()>> {
        ProcessRunner::new(self.store.clone(), Arc::clone(&self.dispatcher), all_processes(), config)
    }

    pub(super) async fn upload(&self) -> Uuid {
        let (id, sender) = (Uuid::new_v4(), program_sender(TENANT));
        self.dispatch(&id, upload_command(&self.dispatcher, &sender, &format!("acme/{id}"))).await;
        id
    }

    pub(super) async fn record_stage(&self, id: &Uuid, stage: usize) {
        let command = stage_results(&self.dispatcher, &program_sender(TENANT))[stage].clone();
        self.dispatch(id, command).await;
    }

    pub(super) async fn dispatch(&self, id: &Uuid, command: DocumentCommand) {
        let (sender, none) = (program_sender(TENANT), CommandPreconditions::default());
        self.dispatcher.dispatch::<Document>(&sender, &id.to_string(), &none, command).await.unwrap();
    }

    /// All events of the log, in order.
    pub(super) async fn events(&self) -> Vec<RawEnvelope> {
        let fence = self.log.load_fence().await.unwrap();
        let (mut events, mut position) = (vec![], 0);
        loop {
            let page = self.log.load_after(position, fence, 1_000).await.unwrap();
            let Some(last) = page.last() else { return events };
            position = last.position;
            events.extend(page);
        }
    }

    /// Delivers the events of the contexts that the process consumes, as one batch.
    pub(super) async fn deliver(&self, events: &[RawEnvelope]) {
        let is_subscribed = |event: &&RawEnvelope| {
            let context = BoundedContext::from_aggregate_type(&event.aggregate_type).unwrap();
            ProcessProjection::<DocumentAnalysisProcess>::subscribed_contexts().contains(&context)
        };
        let changes: Vec<_> = events
            .iter()
            .filter(is_subscribed)
            .flat_map(|event| ProcessProjection::<DocumentAnalysisProcess>::project(event).unwrap())
            .collect();
        self.projection.apply(&changes).await.unwrap();
        for change in &changes {
            assert!(self.projection.is_applied(change).await.unwrap());
        }
    }

    /// Delivers everything in the log and runs the runner, until neither adds anything.
    pub(super) async fn run_until_idle(&self) {
        loop {
            let before = self.events().await;
            self.deliver(&before).await;
            self.send_all_commands().await;
            if self.events().await.len() == before.len() {
                return;
            }
        }
    }

    /// Runs the runner until no command is pending. A command that met a conflict is due again after a pause.
    async fn send_all_commands(&self) {
        eventually(async || {
            while self.runner().run_once().await.unwrap() > 0 {}
            let pending = sqlx::query_scalar::<_, i64>("select count(*) from process_commands");
            match pending.fetch_one(&self.pool).await.unwrap() {
                0 => Ok(()),
                count => Err(format!("{count} commands are pending")),
            }
        })
        .await;
    }

    /// The types of all events that the process caused, in order.
    pub(super) async fn effects(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select event_type from events where metadata ->> 'user_id' = 'system:document-analysis' order by position",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    pub(super) async fn execute(&self, statement: &str) {
        sqlx::query(statement).execute(&self.pool).await.unwrap();
    }
}
