use domain::{
    document::{
        AnalysisReport, DocumentSummary, ExtractionMethod, FileDigest, FileName, MediaType, ModelName, ObjectKey,
        RequirementList, TextExtraction, UploadedFile,
    },
    resource::{ResourceBody, ResourceKind, ResourceName},
    value::{AuditStamp, UserId},
};

use super::{super::text_chunk::TextChunk, *};
use crate::{
    fixture::{discovered, recorded_event},
    tenant_views::TenantAggregate,
};

fn stamp() -> AuditStamp {
    AuditStamp { by: UserId::from_program("ann"), at: "2026-03-04T00:00:00Z".parse().unwrap() }
}

fn event<A: TenantAggregate>(sequence: u64, decoded: &A::Event) -> RawEnvelope {
    RawEnvelope {
        tenant_id: "acme".to_owned(),
        aggregate_type: A::TYPE.to_owned(),
        aggregate_id: "acme:1".to_owned(),
        event_type: cqrs_es::DomainEvent::event_type(decoded),
        event_version: cqrs_es::DomainEvent::event_version(decoded),
        payload: serde_json::to_string(decoded).unwrap(),
        ..recorded_event(sequence, &discovered("x"))
    }
}

fn project_document(decoded: &DocumentEvent) -> Vec<SearchUnit> {
    project_units(&event::<Document>(4, decoded)).unwrap()
}

#[test]
fn a_document_has_units_for_its_name_its_requirements_and_its_analysis() {
    let upload = UploadedFile {
        file_name: FileName::try_new("PWS Beds.pdf").unwrap(),
        media_type: MediaType::try_new("application/pdf").unwrap(),
        bytes: 1,
        sha256: FileDigest::try_new(&"0".repeat(64)).unwrap(),
        object_key: ObjectKey::try_new("a/b").unwrap(),
        opportunity_id: None,
    };
    let analysis = AnalysisReport {
        summary: DocumentSummary::try_new("Forty beds.").unwrap(),
        fit_score: None,
        fit_reasons: None,
        risks: vec![],
        model: ModelName::try_new("m").unwrap(),
    };
    let events = [
        (DocumentEvent::Uploaded { upload, stamp: stamp() }, "file", "PWS Beds.pdf"),
        (
            DocumentEvent::RequirementsExtracted { requirements: RequirementList::default(), stamp: stamp() },
            "requirements",
            "Requirements",
        ),
        (DocumentEvent::Analysed { analysis, stamp: stamp() }, "analysis", "Forty beds."),
    ];
    for (decoded, part, passage) in events {
        let [unit] = &project_document(&decoded)[..] else { panic!("not one unit of {decoded:?}") };
        let payload = &unit.payload;
        assert_eq!((payload.part.as_str(), payload.id.as_str(), payload.tenant_id.as_str()), (part, "1", "acme"));
        assert_eq!((payload.passages.as_slice(), payload.sequence), (&[passage.to_owned()][..], 4));
    }
}

#[test]
fn an_extracted_text_is_one_unit_without_passages_until_it_is_read() {
    let text = TextExtraction {
        text_key: ObjectKey::try_new("acme/1/hash").unwrap(),
        pages: 2,
        characters: 9,
        method: ExtractionMethod::Native,
        language: None,
    };
    let [whole] = &project_document(&DocumentEvent::TextExtracted { text, stamp: stamp() })[..] else { panic!() };
    assert!(whole.is_whole_text() && whole.texts.is_empty() && !whole.payload.gone);
    let deleted = project_document(&DocumentEvent::Deleted { stamp: stamp() });
    assert!(deleted.iter().any(|unit| unit.point_id() == whole.point_id()));

    let chunk = whole.to_chunk(3, &TextChunk { page: 2, text: "Beds 12." });
    assert!(!chunk.is_whole_text() && chunk.point_id() != whole.point_id());
    let payload = &chunk.payload;
    assert_eq!((payload.part.as_str(), payload.page, payload.text_of.as_deref()), ("text:3", Some(2), Some("acme:1")));
    assert_eq!((payload.sequence, payload.bucket), (whole.payload.sequence, whole.payload.bucket));
}

#[test]
fn a_deleted_unit_is_empty_and_marked_as_gone() {
    let deleted = project_document(&DocumentEvent::Deleted { stamp: stamp() });
    assert_eq!(deleted.len(), 4);
    for unit in deleted {
        let payload = &unit.payload;
        assert!(payload.gone && payload.passages.is_empty() && payload.heading.is_empty() && unit.texts.is_empty());
        assert!(payload.content_hash.is_empty() && unit.terms.to_dimensions().is_empty());
    }
}

#[test]
fn an_event_that_cannot_be_decoded_is_poison_and_other_aggregates_have_no_units() {
    let broken =
        RawEnvelope { payload: "{}".to_owned(), ..event::<Resource>(1, &ResourceEvent::Deleted { stamp: stamp() }) };
    assert!(matches!(project_units(&broken), Err(ProjectionError::Poison(_))));
    let other_aggregate = RawEnvelope { aggregate_type: "task".to_owned(), ..broken };
    assert_eq!(project_units(&other_aggregate).unwrap(), []);
}

#[test]
fn a_part_has_the_same_point_when_created_updated_and_deleted() {
    let content = |body: &str| {
        let body = ResourceBody::try_new(body).unwrap();
        ResourceContent::new(ResourceName::try_new("Beds").unwrap(), ResourceKind::Other, body)
    };
    let project =
        |sequence, decoded: &ResourceEvent| project_units(&event::<Resource>(sequence, decoded)).unwrap().remove(0);
    let created = project(1, &ResourceEvent::Created { content: content("One."), stamp: stamp() });
    let updated = project(2, &ResourceEvent::Updated { content: content("Two."), stamp: stamp() });
    let deleted = project(3, &ResourceEvent::Deleted { stamp: stamp() });
    assert!(created.point_id() == updated.point_id() && updated.point_id() == deleted.point_id());
    assert_ne!(created.payload.content_hash, updated.payload.content_hash);
    assert_eq!(created.point_id().to_string(), "095bc4c4-5a7e-5005-ac4c-b131f0b2cafc");
}
