//! The life of a document.

use super::*;

fn expect_events(given: &[DocumentEvent], when: DocumentCommand, then: Vec<DocumentEvent>) {
    DocumentScenario::with(()).given(given.to_vec()).when(when).then_expect_events(then);
}

fn expect_refusal(given: &[DocumentEvent], when: DocumentCommand, then: DocumentError) {
    DocumentScenario::with(()).given(given.to_vec()).when(when).then_expect_error(then);
}

#[test]
fn a_document_is_uploaded_and_read_stage_by_stage() {
    let all = [uploaded("rfp.pdf"), extracted(12), understood(), analysed("m 1")];
    let commands = [upload("rfp.pdf"), record_text(12), record_requirements(requirements()), record_analysis("m 1")];
    for (place, command) in commands.into_iter().enumerate() {
        expect_events(&all[..place], command, vec![all[place].clone()]);
    }
}

#[test]
fn what_is_met_already_changes_nothing() {
    let all = [uploaded("rfp.pdf"), extracted(12), understood(), analysed("m 1")];
    for command in [upload("rfp.pdf"), record_text(12), record_requirements(requirements()), record_analysis("m 1")] {
        expect_events(&all, command, vec![]);
    }
    expect_events(&[uploaded("rfp.pdf"), deleted()], delete(), vec![]);
}

#[test]
fn a_document_is_one_file() {
    expect_refusal(&[uploaded("rfp.pdf")], upload("other.pdf"), DocumentError::AlreadyUploaded);
}

#[test]
fn a_stage_has_one_outcome_but_for_the_analysis() {
    let all = [uploaded("rfp.pdf"), extracted(12), understood(), analysed("m 1")];
    expect_refusal(&all, record_text(13), DocumentError::AlreadyDone { stage: ProcessingStage::Text });
    let none = RequirementList::default();
    expect_refusal(
        &all,
        record_requirements(none),
        DocumentError::AlreadyDone { stage: ProcessingStage::Requirements },
    );
    expect_events(&all, record_analysis("m 2"), vec![analysed("m 2")]);
}

#[test]
fn stages_come_in_their_order() {
    let given = [uploaded("rfp.pdf")];
    let early = DocumentError::OutOfOrder { next: Some(ProcessingStage::Text) };
    for command in [
        record_requirements(requirements()),
        record_analysis("m 1"),
        record_failure(ProcessingStage::Requirements),
        record_failure(ProcessingStage::Analysis),
    ] {
        expect_refusal(&given, command, early);
    }
}

#[test]
fn a_stage_that_failed_is_noted_until_it_succeeds() {
    let given = [uploaded("rfp.pdf")];
    expect_events(&given, record_failure(ProcessingStage::Text), vec![failed(ProcessingStage::Text)]);
    let mut state = Document::default();
    for event in [uploaded("rfp.pdf"), failed(ProcessingStage::Text)] {
        state.evolve(event);
    }
    assert_eq!(state.as_uploaded().unwrap().failure.as_ref().unwrap().stage, ProcessingStage::Text);
    state.evolve(extracted(12));
    assert_eq!(state.as_uploaded().unwrap().failure, None);
    assert_eq!(state.as_uploaded().unwrap().next_stage(), Some(ProcessingStage::Requirements));
}

#[test]
fn what_was_read_cannot_fail_any_more() {
    let all = [uploaded("rfp.pdf"), extracted(12), understood(), analysed("m 1")];
    expect_refusal(&all, record_failure(ProcessingStage::Analysis), DocumentError::OutOfOrder { next: None });
}

#[test]
fn what_is_not_there_has_nothing_to_read() {
    for command in [record_text(1), record_analysis("m"), record_failure(ProcessingStage::Text), delete()] {
        expect_refusal(&[], command, DocumentError::NotUploaded);
    }
}

#[test]
fn a_document_is_deleted_at_any_stage_for_good() {
    let all = [uploaded("rfp.pdf"), extracted(12), understood(), analysed("m 1")];
    for end in 1..=all.len() {
        expect_events(&all[..end], delete(), vec![deleted()]);
        let gone = [&all[..end], &[deleted()]].concat();
        for command in [upload("rfp.pdf"), record_text(12), record_failure(ProcessingStage::Text)] {
            expect_refusal(&gone, command, DocumentError::Deleted);
        }
    }
}
