//! The handlers of document tasks on a real log and a real object store: each result is recorded once, and each failure
//! says whether another attempt may succeed.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use commands::{dispatcher::CommandDispatcher, precondition::CommandPreconditions};
use document_analysis::{DocumentTasks, HandlerConcurrency, ResourcePage, ResourceReadError, ResourceReader};
use documents::{ExtractionConfig, ExtractionProcess, ExtractionProgram};
use domain::{
    clock::SystemClock,
    document::{Document, DocumentCommand, FileDigest, FileName, MediaType, ObjectKey, UploadedDocument, UploadedFile},
    task::{RetryDecision, SubjectKind, TaskKind, TaskSpec, TaskSubject},
    value::TenantId,
};
use eventstore::{postgres::PostgresConfig, store::PgEventStore};
use futures::{future::BoxFuture, stream};
use objects::{ObjectOwner, ObjectStore, ObjectsConfig};
use task_workers::{ClaimedTask, PooledHandler, TaskFailure};
use tempfile::TempDir;
use tests::{database, medhub_local};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::document_fixture::{DocumentDispatcher, TENANT, program_sender};

const RFQ: &str =
    "1.1 Scope\nThe contractor shall clean the pumps.\u{c}2.1 Offers\nLate quotes will not be considered.";

/// A company without resources.
struct NoResources;

impl ResourceReader for NoResources {
    fn read_page<'a>(
        &'a self,
        _: &'a TenantId,
        _: u32,
        _: Option<String>,
    ) -> BoxFuture<'a, Result<ResourcePage, ResourceReadError>> {
        Box::pin(async { Ok(ResourcePage::default()) })
    }
}

/// A read model that does not answer.
struct UnavailableResources;

impl ResourceReader for UnavailableResources {
    fn read_page<'a>(
        &'a self,
        _: &'a TenantId,
        _: u32,
        _: Option<String>,
    ) -> BoxFuture<'a, Result<ResourcePage, ResourceReadError>> {
        Box::pin(async { Err(ResourceReadError::new("no connection")) })
    }
}

struct TaskFixture {
    dispatcher: Arc<DocumentDispatcher>,
    objects: ObjectStore,
    handlers: Vec<PooledHandler>,
    _folder: TempDir,
}

impl TaskFixture {
    async fn create() -> Self {
        Self::with_resources(Arc::new(NoResources)).await
    }

    async fn with_resources(resources: Arc<dyn ResourceReader>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = ObjectsConfig { dir: folder.path().to_owned(), ..ObjectsConfig::default() };
        let objects = ObjectStore::new(&config).unwrap();
        let store = PgEventStore::new(database().await, &PostgresConfig::default());
        let dispatcher = Arc::new(CommandDispatcher::new(store, Arc::new(SystemClock)));
        let program = ExtractionProgram::new(medhub_local(), ["extract-text".into()]);
        let documents = DocumentTasks {
            dispatcher: Arc::clone(&dispatcher),
            objects: objects.clone(),
            extraction: ExtractionProcess::new(program, ExtractionConfig::default()),
            resources,
        };
        let concurrency = HandlerConcurrency { extract_text: 1, extract_requirements: 1, analyse_document: 1 };
        Self { dispatcher, objects, handlers: documents.create_handlers(concurrency).unwrap(), _folder: folder }
    }

    /// Uploads a file; returns the document's id.
    async fn upload(&self, name: &str, content: &'static [u8]) -> Uuid {
        let document = Uuid::new_v4();
        let owner = ObjectOwner { tenant: TenantId::try_new(TENANT).unwrap(), document };
        let body = stream::iter([Ok::<_, Infallible>(Bytes::from_static(content))]);
        let stored = self.objects.put(&owner, body, 1 << 20).await.unwrap();
        let upload = UploadedFile {
            file_name: FileName::try_new(name).unwrap(),
            media_type: MediaType::try_new("text/plain").unwrap(),
            bytes: stored.bytes,
            sha256: FileDigest::try_new(&stored.sha256).unwrap(),
            object_key: ObjectKey::try_new(&stored.key).unwrap(),
            opportunity_id: None,
        };
        let stamp = self.dispatcher.stamp(&program_sender(TENANT));
        self.dispatch(document, DocumentCommand::Upload { upload, stamp }).await;
        document
    }

    async fn dispatch(&self, document: Uuid, command: DocumentCommand) {
        let (sender, none) = (program_sender(TENANT), CommandPreconditions::default());
        self.dispatcher.dispatch::<Document>(&sender, &document.to_string(), &none, command).await.unwrap();
    }

    async fn load(&self, document: Uuid) -> (UploadedDocument, u64) {
        let tenant = TenantId::try_new(TENANT).unwrap();
        let loaded = self.dispatcher.load_aggregate::<Document>(&tenant, &document.to_string()).await.unwrap();
        (loaded.state.as_uploaded().unwrap().clone(), loaded.version)
    }

    /// Does a task as a worker does that has claimed it.
    async fn work(&self, task: &ClaimedTask) -> Result<String, TaskFailure> {
        let handler = self.handlers.iter().find(|handler| handler.kind() == task.spec.kind).unwrap();
        handler.run(task, CancellationToken::new()).await.map(|result| result.as_str().to_owned())
    }
}

fn task(document: Uuid, kind: TaskKind) -> ClaimedTask {
    let subject = TaskSubject::try_new(SubjectKind::Document, &document.to_string()).unwrap();
    ClaimedTask {
        tenant_id: TenantId::try_new(TENANT).unwrap(),
        task_id: Uuid::new_v4().to_string(),
        spec: TaskSpec::new(kind, subject),
        failures: 0,
        version: 1,
        previous_worker: None,
        correlation_id: Uuid::new_v4(),
        request_event_id: Uuid::new_v4(),
        trace: None,
    }
}

const STAGES: [TaskKind; 3] = [TaskKind::ExtractText, TaskKind::ExtractRequirements, TaskKind::AnalyseDocument];

#[tokio::test]
async fn each_stage_is_recorded_once_although_each_task_is_done_twice() {
    let fixture = TaskFixture::create().await;
    let document = fixture.upload("rfq.txt", RFQ.as_bytes()).await;
    for (kind, version) in STAGES.into_iter().zip(2..) {
        let task = task(document, kind);
        // As when a worker dies after its result is recorded, and another one takes the task over.
        fixture.work(&task).await.unwrap();
        fixture.work(&task).await.unwrap();
        assert_eq!(fixture.load(document).await.1, version, "{kind}");
    }
    let (analysed, _) = fixture.load(document).await;
    let text = analysed.text.unwrap();
    assert_eq!((text.pages, text.characters), (2, RFQ.chars().count() as u64 - 1));
    let stored = fixture.objects.open(text.text_key.as_str()).await.unwrap().unwrap();
    assert_eq!(stored.read_all(1_000).await.unwrap(), RFQ);
    let requirements: Vec<_> = analysed.requirements.as_ref().unwrap().iter().collect();
    assert_eq!(requirements.len(), 2, "{requirements:?}");
    assert_eq!((requirements[1].text.as_str(), requirements[1].page), ("Late quotes will not be considered.", Some(2)));
    assert!(analysed.analysis.unwrap().summary.as_str().contains("(page 1)"));
}

#[tokio::test]
async fn a_document_is_analysed_without_resources_that_stay_away() {
    let fixture = TaskFixture::with_resources(Arc::new(UnavailableResources)).await;
    let document = fixture.upload("rfq.txt", RFQ.as_bytes()).await;
    for kind in [TaskKind::ExtractText, TaskKind::ExtractRequirements] {
        fixture.work(&task(document, kind)).await.unwrap();
    }
    let mut analysis = task(document, TaskKind::AnalyseDocument);
    let failure = fixture.work(&analysis).await.unwrap_err();
    assert_eq!(failure.retry, RetryDecision::Later, "{failure}");
    // The fourth attempt of five.
    analysis.failures = 3;
    fixture.work(&analysis).await.unwrap();
    let reasons = fixture.load(document).await.0.analysis.unwrap().fit_reasons.unwrap();
    assert!(reasons[0].as_str().ends_with("the company's resources could not be read"), "{reasons:?}");
}

#[tokio::test]
async fn faults_of_the_file_end_a_task_but_not_faults_of_the_installation() {
    let fixture = TaskFixture::create().await;
    let hostile = fixture.upload("hostile.pdf", b"\x7fELF not a document").await;
    let failure = fixture.work(&task(hostile, TaskKind::ExtractText)).await.unwrap_err();
    assert_eq!(failure.retry, RetryDecision::Never, "{failure}");
    assert_eq!(fixture.load(hostile).await.1, 1);
    // PDFium is not configured here.
    let pdf = fixture.upload("a.pdf", b"%PDF-1.7 not much of a document").await;
    let failure = fixture.work(&task(pdf, TaskKind::ExtractText)).await.unwrap_err();
    assert_eq!(failure.retry, RetryDecision::Later, "{failure}");
    let early = fixture.work(&task(pdf, TaskKind::AnalyseDocument)).await.unwrap_err();
    assert_eq!(
        (early.retry, early.to_string().as_str()),
        (RetryDecision::Never, "the text of the document was not extracted")
    );
    let unknown = fixture.work(&task(Uuid::new_v4(), TaskKind::ExtractText)).await.unwrap_err();
    assert_eq!(unknown.retry, RetryDecision::Never);
}

#[tokio::test]
async fn nothing_is_done_for_a_deleted_document_and_a_missing_file_is_said() {
    let fixture = TaskFixture::create().await;
    let document = fixture.upload("rfq.txt", RFQ.as_bytes()).await;
    let owner = ObjectOwner { tenant: TenantId::try_new(TENANT).unwrap(), document };
    fixture.objects.remove_document(&owner).await.unwrap();
    let failure = fixture.work(&task(document, TaskKind::ExtractText)).await.unwrap_err();
    assert_eq!(failure.retry, RetryDecision::Never);
    assert!(failure.to_string().contains("upload it again"), "{failure}");
    let stamp = fixture.dispatcher.stamp(&program_sender(TENANT));
    fixture.dispatch(document, DocumentCommand::Delete { stamp }).await;
    for kind in STAGES {
        assert_eq!(fixture.work(&task(document, kind)).await.unwrap(), "the document was deleted");
    }
}
