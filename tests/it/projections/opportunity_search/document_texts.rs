//! The texts of documents: found by page, removed with their document in whatever order events are applied.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use domain::{
    document::{
        DocumentEvent, ExtractionMethod, FileDigest, FileName, MediaType, ObjectKey, TextExtraction, UploadedFile,
    },
    value::{AuditStamp, UserId},
};
use futures::future::BoxFuture;
use projections::{
    opportunity_search::{DocumentTextSource, DocumentTextSourceError},
    runtime::ProjectionError,
};
use qdrant_client::qdrant::{Condition, Filter};

use super::*;

const DOCUMENT: &str = "7f0c1f4e-3a54-4b8e-9a61-0f4a40f3c001";
const TEXT: &str = "Scanners are bought.\u{c}The quench valve is of niobium.\u{c}Offers by mail.";

/// What a source answers.
enum SourceAnswer {
    Text(&'static str),
    Missing,
    Failure,
}

/// A source of one text.
struct TestSource {
    answer: SourceAnswer,
    reads: AtomicUsize,
    /// Applied by another worker after the text was read.
    meanwhile: OnceLock<(OpportunitySearch, Vec<RawEnvelope>)>,
}

impl DocumentTextSource for TestSource {
    fn read_text<'a>(
        &'a self,
        _key: &'a str,
        _max_bytes: u64,
    ) -> BoxFuture<'a, Result<Option<String>, DocumentTextSourceError>> {
        Box::pin(async {
            self.reads.fetch_add(1, Ordering::Relaxed);
            if let Some((search, events)) = self.meanwhile.get() {
                apply(search, events).await;
            }
            match self.answer {
                SourceAnswer::Text(text) => Ok(Some(text.to_owned())),
                SourceAnswer::Missing => Ok(None),
                SourceAnswer::Failure => Err(DocumentTextSourceError::new(std::io::Error::other("down"))),
            }
        })
    }
}

impl SearchFixture {
    async fn with_texts(answer: SourceAnswer) -> (Self, Arc<TestSource>) {
        let source = Arc::new(TestSource { answer, reads: AtomicUsize::new(0), meanwhile: OnceLock::new() });
        let own = Self::new().await;
        (Self { search: own.search.clone().with_text_source(source.clone()), ..own }, source)
    }

    /// Hits of a company: the part and page of each.
    async fn found_parts(&self, tenant: &str) -> Vec<(String, Option<u32>)> {
        let hits = self.search.search_tenant("niobium valve", &[], tenant, 10).await.unwrap();
        hits.into_iter().map(|hit| (hit.part, hit.page)).collect()
    }

    /// Whether what is stored is what follows from the events.
    async fn matches(&self, events: &[RawEnvelope]) -> bool {
        let scope = VerifyScope::all_buckets();
        read_back(&self.search, &scope).await == expected(&self.search, events, &scope)
    }

    async fn delete_chunks(&self, part: &str) {
        let owned = self.collection.replace("opportunities_", "owned_");
        let delete =
            DeletePointsBuilder::new(owned).points(Filter::must([Condition::matches("part", part.to_owned())]));
        self.qdrant.delete_points(delete.wait(true)).await.unwrap();
    }
}

/// Uploaded, extracted, deleted.
fn document_events(text_key: &str) -> [RawEnvelope; 3] {
    let stamp = || AuditStamp { by: UserId::from_program("ann"), at: "2026-03-04T00:00:00Z".parse().unwrap() };
    let upload = UploadedFile {
        file_name: FileName::try_new("PWS.pdf").unwrap(),
        media_type: MediaType::try_new("application/pdf").unwrap(),
        bytes: 1,
        sha256: FileDigest::try_new(&"0".repeat(64)).unwrap(),
        object_key: ObjectKey::try_new("acme/b").unwrap(),
        opportunity_id: None,
    };
    let text = TextExtraction {
        text_key: ObjectKey::try_new(text_key).unwrap(),
        pages: 3,
        characters: 1,
        method: ExtractionMethod::Native,
        language: None,
    };
    let decoded = [
        DocumentEvent::Uploaded { upload, stamp: stamp() },
        DocumentEvent::TextExtracted { text, stamp: stamp() },
        DocumentEvent::Deleted { stamp: stamp() },
    ];
    let mut sequence = 0;
    decoded.map(|decoded| {
        sequence += 1;
        RawEnvelope {
            tenant_id: "acme".to_owned(),
            aggregate_type: "document".to_owned(),
            aggregate_id: format!("acme:{DOCUMENT}"),
            sequence,
            event_type: cqrs_es::DomainEvent::event_type(&decoded),
            event_version: cqrs_es::DomainEvent::event_version(&decoded),
            payload: serde_json::to_string(&decoded).unwrap(),
            ..tests::opportunity_history::history().remove(0)
        }
    })
}

fn own_events() -> [RawEnvelope; 3] {
    document_events(&format!("acme/{DOCUMENT}/{}", "0".repeat(64)))
}

#[tokio::test]
async fn a_text_is_found_by_page_once_and_in_the_next_generation() {
    let (own, source) = SearchFixture::with_texts(SourceAnswer::Text(TEXT)).await;
    let events = own_events();
    apply_with_repetitions(&own.search, &events[..2]).await;

    let found = own.found_parts("acme").await;

    assert_eq!(found[0], ("text:2".to_owned(), Some(2)), "{found:?}");
    assert_eq!(found.len(), 4, "three pages and the name: {found:?}");
    assert_eq!(own.found_parts("other").await, []);
    assert_eq!(source.reads.load(Ordering::Relaxed), 1, "a text that is indexed is not read again");
    assert!(own.matches(&events[..2]).await);

    let embedded = own.search.embedded_count();
    let next = own
        .search
        .with_generation(ReadModelGeneration::try_new(2).unwrap())
        .with_copy_source(ReadModelGeneration::FIRST);
    next.migrate().await.unwrap();
    apply(&next, &events[..2]).await;
    let scope = VerifyScope::all_buckets();
    assert_eq!(read_back(&next, &scope).await, read_back(&own.search, &scope).await);
    assert_eq!(next.embedded_count(), embedded, "a rebuild copies the vectors");

    own.delete_chunks("text:3").await;
    assert!(!own.matches(&events[..2]).await, "a lost chunk is noticed");
    apply(&own.search, &events[2..]).await;
    assert!(own.found_parts("acme").await.is_empty() && own.matches(&events).await);
}

#[tokio::test]
async fn a_text_that_was_written_in_part_is_completed_and_no_chunk_is_embedded_twice() {
    let (own, _) = SearchFixture::with_texts(SourceAnswer::Text(TEXT)).await;
    let events = own_events();
    apply(&own.search, &events[..2]).await;
    // What a batch leaves behind that exceeds its time: the last chunk and the unit of the whole text are missing.
    for part in ["text", "text:3"] {
        own.delete_chunks(part).await;
    }
    assert!(!own.matches(&events[..2]).await);
    let embedded = own.search.embedded_count();

    apply(&own.search, &events[..2]).await;

    assert_eq!(own.search.embedded_count() - embedded, 1);
    assert!(own.matches(&events[..2]).await);
}

#[tokio::test]
async fn a_deleted_text_stays_deleted_in_any_order() {
    let events = own_events();
    let (late, source) = SearchFixture::with_texts(SourceAnswer::Text(TEXT)).await;
    apply(&late.search, &events).await;
    apply(&late.search, &events[..2]).await;
    assert_eq!((late.found_parts("acme").await, source.reads.load(Ordering::Relaxed)), (vec![], 0));
    assert!(late.matches(&events).await);

    // Another worker applies the deletion while this one has read the text and has not written it.
    let (racing, source) = SearchFixture::with_texts(SourceAnswer::Text(TEXT)).await;
    assert!(source.meanwhile.set((racing.search.clone(), events[2..].to_vec())).is_ok());
    apply(&racing.search, &events[..2]).await;
    assert_eq!((racing.found_parts("acme").await, source.reads.load(Ordering::Relaxed)), (vec![], 1));
    assert!(racing.matches(&events).await);
}

#[tokio::test]
async fn a_missing_text_is_skipped_and_a_source_that_fails_is_retried() {
    let events = own_events();
    let (missing, _) = SearchFixture::with_texts(SourceAnswer::Missing).await;
    apply(&missing.search, &events[..2]).await;
    assert_eq!(missing.found_parts("acme").await, [("file".to_owned(), None)]);
    assert!(missing.matches(&events[..2]).await);

    let (failing, _) = SearchFixture::with_texts(SourceAnswer::Failure).await;
    let changes = OpportunitySearch::project(&events[1]).unwrap();
    assert!(matches!(failing.search.apply(&changes).await, Err(ProjectionError::Unavailable(_))));
    assert!(!Projection::is_applied(&failing.search, &changes[0]).await.unwrap());

    // A key of another company or document is never read.
    let (foreign, source) = SearchFixture::with_texts(SourceAnswer::Text(TEXT)).await;
    for key in ["other/x/y", "acmes/x", "acme/other-document/hash"] {
        let changes = OpportunitySearch::project(&document_events(key)[1]).unwrap();
        foreign.search.apply(&changes).await.unwrap();
    }
    assert_eq!(source.reads.load(Ordering::Relaxed), 0);
}
