//! Tests of the processing stages, from upload to deletion.

use super::*;

fn expect_events(given: &[DocumentEvent], when: DocumentCommand, then: Vec<DocumentEvent>) {
    DocumentScenario::with(()).given(given.to_vec()).when(when).then_expect_events(then);
}

fn expect_refusal(given: &[DocumentEvent], when: DocumentCommand, then: DocumentError) {
    DocumentScenario::with(()).given(given.to_vec()).when(when).then_expect_error(then);
}

#[test]
fn a_document_is_uploaded_and_processed_stage_by_stage() {
    let all = [uploaded("rfp.pdf"), extracted(12), understood(), analysed("m 1")];
    let commands = [upload("rfp.pdf"), record_text(12), record_requirements(requirements()), record_analysis("m 1")];
    for (index, command) in commands.into_iter().enumerate() {
        expect_events(&all[..index], command, vec![all[index].clone()]);
    }
}

#[test]
fn a_repeated_command_changes_nothing() {
    let all = [uploaded("rfp.pdf"), extracted(12), understood(), analysed("m 1")];
    for command in [upload("rfp.pdf"), record_text(12), record_requirements(requirements()), record_analysis("m 1")] {
        expect_events(&all, command, vec![]);
    }
    expect_events(&[uploaded("rfp.pdf"), deleted()], delete(), vec![]);
}

#[test]
fn uploading_another_file_under_the_same_id_is_refused() {
    expect_refusal(&[uploaded("rfp.pdf")], upload("other.pdf"), DocumentError::AlreadyUploaded);
}

#[test]
fn only_the_analysis_can_be_replaced() {
    let all = [uploaded("rfp.pdf"), extracted(12), understood(), analysed("m 1")];
    expect_refusal(&all, record_text(13), DocumentError::AlreadyDone { stage: ProcessingStage::Text });
    let empty = RequirementList::default();
    expect_refusal(
        &all,
        record_requirements(empty),
        DocumentError::AlreadyDone { stage: ProcessingStage::Requirements },
    );
    expect_events(&all, record_analysis("m 2"), vec![analysed("m 2")]);
}

#[test]
fn a_stage_out_of_order_is_refused() {
    let given = [uploaded("rfp.pdf")];
    let out_of_order = DocumentError::OutOfOrder { next: Some(ProcessingStage::Text) };
    for command in [
        record_requirements(requirements()),
        record_analysis("m 1"),
        record_failure(ProcessingStage::Requirements),
        record_failure(ProcessingStage::Analysis),
    ] {
        expect_refusal(&given, command, out_of_order);
    }
}

#[test]
fn a_failure_is_recorded_until_the_stage_succeeds() {
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
fn a_complete_stage_cannot_fail() {
    let all = [uploaded("rfp.pdf"), extracted(12), understood(), analysed("m 1")];
    expect_refusal(&all, record_failure(ProcessingStage::Analysis), DocumentError::OutOfOrder { next: None });
}

#[test]
fn commands_to_a_missing_document_are_refused() {
    for command in [record_text(1), record_analysis("m"), record_failure(ProcessingStage::Text), delete()] {
        expect_refusal(&[], command, DocumentError::NotUploaded);
    }
}

#[test]
fn a_document_can_be_deleted_at_any_stage_and_not_restored() {
    let all = [uploaded("rfp.pdf"), extracted(12), understood(), analysed("m 1")];
    for end in 1..=all.len() {
        expect_events(&all[..end], delete(), vec![deleted()]);
        let after_deletion = [&all[..end], &[deleted()]].concat();
        for command in [upload("rfp.pdf"), record_text(12), record_failure(ProcessingStage::Text)] {
            expect_refusal(&after_deletion, command, DocumentError::Deleted);
        }
    }
}
