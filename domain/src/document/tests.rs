//! Tests of a document: given events, when a command, then events or a refusal.

mod invariants;
mod life;
mod stored_form;

use cqrs_es::test::TestFramework;

use super::*;
use crate::{
    opportunity::OpportunityId,
    value::{AuditStamp, InvalidValue, UserId},
};

type DocumentScenario = TestFramework<Document>;

#[test]
fn constructors_validate_values() {
    assert!(FileName::try_new("../etc/passwd").is_err() && FileName::try_new("a\\b").is_err());
    assert!(MediaType::try_new("application/pdf").is_ok() && MediaType::try_new("text/html; charset=x").is_err());
    assert_eq!(FileDigest::try_new(&"AB".repeat(32)).unwrap().as_str(), "ab".repeat(32));
    assert!(FileDigest::try_new("ab").is_err());
    assert_eq!(UploadedFile::check_length(0), Err(InvalidValue::Empty { what: "file" }));
    assert!(
        UploadedFile::check_length(MAX_FILE_BYTES).is_ok() && UploadedFile::check_length(MAX_FILE_BYTES + 1).is_err()
    );
    assert!(FitScore::try_new(100).is_ok() && FitScore::try_new(101).is_err());
    let one = requirements().iter().next().unwrap().clone();
    assert!(RequirementList::try_new(vec![one.clone(); MAX_REQUIREMENTS]).is_ok());
    assert!(RequirementList::try_new(vec![one; MAX_REQUIREMENTS + 1]).is_err());
    let risk = RiskText::try_new("late").unwrap();
    assert!(AnalysisReport::check_risks(vec![risk.clone(); MAX_RISKS]).is_ok());
    assert!(AnalysisReport::check_risks(vec![risk; MAX_RISKS + 1]).is_err());
    let reason = FitReason::try_new("40 of 40 points").unwrap();
    assert!(AnalysisReport::check_fit_reasons(vec![reason.clone(); MAX_FIT_REASONS]).is_ok());
    assert!(AnalysisReport::check_fit_reasons(vec![reason; MAX_FIT_REASONS + 1]).is_err());
}

fn stamp() -> AuditStamp {
    AuditStamp { by: UserId::try_new("ann").unwrap(), at: "2026-03-03T12:00:00Z".parse().unwrap() }
}

fn file(name: &str) -> UploadedFile {
    UploadedFile {
        file_name: FileName::try_new(name).unwrap(),
        media_type: MediaType::try_new("application/pdf").unwrap(),
        bytes: 1_024,
        sha256: FileDigest::try_new(&"ab".repeat(32)).unwrap(),
        object_key: ObjectKey::try_new("acme/documents/1").unwrap(),
        opportunity_id: OpportunityId::parse("036:36C10G26R0005"),
    }
}

fn text(pages: u32) -> TextExtraction {
    TextExtraction {
        text_key: ObjectKey::try_new("acme/texts/1").unwrap(),
        pages,
        characters: 9_000,
        method: ExtractionMethod::Native,
        language: None,
    }
}

fn requirements() -> RequirementList {
    let requirement = DocumentRequirement {
        number: Some(RequirementNumber::try_new("L.3.2").unwrap()),
        kind: RequirementKind::Obligation,
        text: RequirementText::try_new("The contractor shall deliver 200 lifts.").unwrap(),
        page: Some(4),
        due: None,
    };
    RequirementList::try_new(vec![requirement]).unwrap()
}

fn analysis(model: &str) -> AnalysisReport {
    AnalysisReport {
        summary: DocumentSummary::try_new("Patient lifts for six hospitals.").unwrap(),
        fit_score: Some(FitScore::try_new(80).unwrap()),
        fit_reasons: Some(vec![FitReason::try_new("NAICS code 339112: 40 of 40 points").unwrap()]),
        risks: vec![RiskText::try_new("A short time for delivery.").unwrap()],
        model: ModelName::try_new(model).unwrap(),
    }
}

fn reason() -> FailureReason {
    FailureReason::try_new("no text").unwrap()
}

fn upload(name: &str) -> DocumentCommand {
    DocumentCommand::Upload { upload: file(name), stamp: stamp() }
}

fn record_text(pages: u32) -> DocumentCommand {
    DocumentCommand::RecordText { text: text(pages), stamp: stamp() }
}

fn record_requirements(requirements: RequirementList) -> DocumentCommand {
    DocumentCommand::RecordRequirements { requirements, stamp: stamp() }
}

fn record_analysis(model: &str) -> DocumentCommand {
    DocumentCommand::RecordAnalysis { analysis: analysis(model), stamp: stamp() }
}

fn record_failure(stage: ProcessingStage) -> DocumentCommand {
    DocumentCommand::RecordFailure { stage, reason: reason(), stamp: stamp() }
}

fn delete() -> DocumentCommand {
    DocumentCommand::Delete { stamp: stamp() }
}

fn uploaded(name: &str) -> DocumentEvent {
    DocumentEvent::Uploaded { upload: file(name), stamp: stamp() }
}

fn extracted(pages: u32) -> DocumentEvent {
    DocumentEvent::TextExtracted { text: text(pages), stamp: stamp() }
}

fn understood() -> DocumentEvent {
    DocumentEvent::RequirementsExtracted { requirements: requirements(), stamp: stamp() }
}

fn analysed(model: &str) -> DocumentEvent {
    DocumentEvent::Analysed { analysis: analysis(model), stamp: stamp() }
}

fn failed(stage: ProcessingStage) -> DocumentEvent {
    DocumentEvent::Failed { stage, reason: reason(), stamp: stamp() }
}

fn deleted() -> DocumentEvent {
    DocumentEvent::Deleted { stamp: stamp() }
}
