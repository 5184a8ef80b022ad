//! Extracts the text of a document's file.

use documents::{ExtractedText, ExtractionFailure, ExtractionProcess, FaultOrigin, TextMethod};
use domain::{
    document::{DocumentCommand, ExtractionMethod, LanguageTag, TextExtraction, UploadedDocument},
    event_store::AggregateStores,
    task::{TaskKind, TaskResult},
};
use futures::TryStreamExt as _;
use objects::ObjectStore;
use task_workers::TaskFailure;
use tempfile::NamedTempFile;
use tokio::{fs::File, io::AsyncWriteExt as _};

use super::{
    StoredText,
    document_record::{object_owner, task_result},
    document_task_handler::{DocumentWork, StageTask},
    stored_text::storage_failure,
};
use crate::{PagedText, paged_text::UNREAD_PAGE_NOTICE};

/// Most pages that were not read whose numbers the result of a task names.
const MAX_NAMED_PAGES: usize = 10;

/// The work of the kind `extract_text`.
pub(super) struct DocumentTextExtraction {
    pub(super) objects: ObjectStore,
    pub(super) texts: StoredText,
    pub(super) extraction: ExtractionProcess,
}

impl<S: AggregateStores> DocumentWork<S> for DocumentTextExtraction {
    const KIND: TaskKind = TaskKind::ExtractText;

    /// When the task is lost, the pool drops this future, which ends the child process.
    async fn work(&self, stage: StageTask<'_, S>) -> Result<TaskResult, TaskFailure> {
        let StageTask { task, document, record, cancelled: _ } = stage;
        let owner = object_owner(task)?;
        if document.text.is_some() {
            return task_result("the text was already extracted");
        }
        let file = self.fetch_file(&document).await?;
        let extracted = self.extraction.extract(file.path(), document.upload.file_name.as_str()).await;
        let mut extracted = extracted.map_err(|failure| extraction_failure(&failure))?;
        let (pages, characters) = (extracted.pages.len(), extracted.character_count());
        let text = PagedText::from_pages(std::mem::take(&mut extracted.pages).into_iter().map(|page| {
            let is_unread = extracted.unreadable_pages.binary_search(&page.number).is_ok();
            if is_unread { UNREAD_PAGE_NOTICE.to_owned() } else { page.text }
        }));
        let text_key = self.texts.write(&owner, text).await?;
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        let extraction = TextExtraction {
            text_key,
            pages,
            characters,
            method: convert_method(&extracted),
            language: extracted.language.as_deref().and_then(|language| LanguageTag::try_new(language).ok()),
        };
        let mut outcome = format!("{pages} pages with {} characters", extraction.characters);
        outcome.push_str(&describe_unread_pages(&extracted.unreadable_pages));
        record.record(task, |stamp| DocumentCommand::RecordText { text: extraction, stamp }).await?;
        task_result(&outcome)
    }
}

impl DocumentTextExtraction {
    /// Copies the file to a temporary one, which the child process reads.
    async fn fetch_file(&self, document: &UploadedDocument) -> Result<NamedTempFile, TaskFailure> {
        let key = document.upload.object_key.as_str();
        let opened = self.objects.open(key).await.map_err(|error| storage_failure(&error))?;
        let reader =
            opened.ok_or_else(|| TaskFailure::never("the file is missing in the object store; upload it again"))?;
        let disk_failure = |error: std::io::Error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "creating a temporary copy of a file failed");
            TaskFailure::later("the file cannot be copied to a temporary folder")
        };
        let mut copy = tempfile::Builder::new();
        copy.prefix("medhub-document-");
        let copy = copy.tempfile_in(self.extraction.temporary_folder()).map_err(disk_failure)?;
        let mut file = File::from_std(copy.reopen().map_err(disk_failure)?);
        let length = reader.length();
        let mut content = reader.read(0..length).await.map_err(|error| storage_failure(&error))?;
        while let Some(part) = content.try_next().await.map_err(|error| storage_failure(&error))? {
            file.write_all(&part).await.map_err(disk_failure)?;
        }
        file.flush().await.map_err(disk_failure)?;
        Ok(copy)
    }
}

/// Says which pages were not read; nothing if there are none.
fn describe_unread_pages(pages: &[u32]) -> String {
    if pages.is_empty() {
        return String::new();
    }
    let named: Vec<_> = pages.iter().take(MAX_NAMED_PAGES).map(u32::to_string).collect();
    let more = if pages.len() > MAX_NAMED_PAGES { " and others" } else { "" };
    format!("; {} damaged pages were not read: {}{more}", pages.len(), named.join(", "))
}

fn extraction_failure(failure: &ExtractionFailure) -> TaskFailure {
    match failure.kind.origin() {
        FaultOrigin::File => TaskFailure::never(&failure.reason),
        FaultOrigin::Service => TaskFailure::later(&failure.reason),
    }
}

fn convert_method(extracted: &ExtractedText) -> ExtractionMethod {
    match extracted.method {
        TextMethod::Native => ExtractionMethod::Native,
        TextMethod::Ocr => ExtractionMethod::Ocr,
        TextMethod::Mixed => ExtractionMethod::Mixed,
    }
}
