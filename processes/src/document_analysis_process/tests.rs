//! Given a state, when an input arrives, then a state, commands and timers.

use super::*;

fn document() -> SupervisedDocument {
    SupervisedDocument {
        id: "0199a0d2-0000-7000-8000-000000000001".to_owned(),
        file_name: "rfp.pdf".to_owned(),
        uploaded_by: UserId::from_program("ann"),
    }
}

fn running(stage: ProcessingStage) -> DocumentAnalysisProcess {
    DocumentAnalysisProcess::Running { document: document(), stage }
}

fn when(state: &DocumentAnalysisProcess, event: &DocumentAnalysisEvent) -> ProcessReaction<DocumentAnalysisProcess> {
    state.react(ProcessInput::Event(event))
}

fn task_ended(stage: ProcessingStage) -> DocumentAnalysisEvent {
    let task_id = task_id(&document(), stage).to_string();
    DocumentAnalysisEvent::TaskEnded { task_id, reason: "the file is encrypted".to_owned() }
}

fn requested_kinds(reaction: &ProcessReaction<DocumentAnalysisProcess>) -> Vec<TaskKind> {
    let kind = |command: &ProcessCommand| {
        if let ProcessCommand::RequestTask { spec, .. } = command { Some(spec.kind) } else { None }
    };
    reaction.commands.iter().filter_map(kind).collect()
}

fn notification_titles(reaction: &ProcessReaction<DocumentAnalysisProcess>) -> Vec<String> {
    let title = |command: &ProcessCommand| {
        let ProcessCommand::NotifyUser { notification, .. } = command else { return None };
        Some(notification.title.as_str().to_owned())
    };
    reaction.commands.iter().filter_map(title).collect()
}

#[test]
fn each_stage_is_requested_when_the_one_before_is_complete() {
    let mut state = DocumentAnalysisProcess::default();
    let events = [
        DocumentAnalysisEvent::Uploaded(document()),
        DocumentAnalysisEvent::StageCompleted(ProcessingStage::Text),
        DocumentAnalysisEvent::StageCompleted(ProcessingStage::Requirements),
    ];
    let mut kinds = vec![];
    for event in &events {
        let reaction = when(&state, event);
        assert_eq!(reaction.timers, [crate::TimerChange::Set { name: STAGE_TIMER, after: STAGE_TIMEOUT }]);
        kinds.extend(requested_kinds(&reaction));
        state = reaction.next.unwrap();
    }
    assert_eq!(kinds, [TaskKind::ExtractText, TaskKind::ExtractRequirements, TaskKind::AnalyseDocument]);
    assert_eq!(state, running(ProcessingStage::Analysis));
}

#[test]
fn the_uploader_is_notified_when_the_analysis_is_complete() {
    let reaction =
        when(&running(ProcessingStage::Analysis), &DocumentAnalysisEvent::StageCompleted(ProcessingStage::Analysis));
    assert_eq!(reaction.next, Some(DocumentAnalysisProcess::Finished));
    assert_eq!(notification_titles(&reaction), ["Document analysed: rfp.pdf"]);
}

#[test]
fn a_result_of_another_stage_changes_nothing() {
    for stage in [ProcessingStage::Text, ProcessingStage::Analysis] {
        let event = DocumentAnalysisEvent::StageCompleted(stage);
        assert_eq!(when(&running(ProcessingStage::Requirements), &event), ProcessReaction::none());
    }
}

#[test]
fn a_task_that_fails_for_good_is_recorded_and_reported() {
    let reaction = when(&running(ProcessingStage::Text), &task_ended(ProcessingStage::Text));
    assert_eq!(reaction.next, Some(DocumentAnalysisProcess::Finished));
    let ProcessCommand::RecordDocumentFailure { stage, reason, .. } = &reaction.commands[0] else {
        panic!("{:?}", reaction.commands);
    };
    assert_eq!((*stage, reason.as_str()), (ProcessingStage::Text, "the file is encrypted"));
    assert_eq!(notification_titles(&reaction), ["Document not analysed: rfp.pdf"]);
}

#[test]
fn the_end_of_the_task_of_an_earlier_stage_changes_nothing() {
    let state = running(ProcessingStage::Requirements);
    assert_eq!(when(&state, &task_ended(ProcessingStage::Text)), ProcessReaction::none());
    assert_eq!(when(&state, &task_ended(ProcessingStage::Requirements)).next, Some(DocumentAnalysisProcess::Finished));
}

#[test]
fn a_stage_without_a_result_is_cancelled_and_recorded_as_failed() {
    let state = running(ProcessingStage::Requirements);
    for input in [ProcessInput::Timeout(STAGE_TIMER), ProcessInput::Cancelled { reason: "not needed" }] {
        let reaction = state.react(input);
        assert_eq!(reaction.next, Some(DocumentAnalysisProcess::Finished));
        assert!(matches!(reaction.commands[0], ProcessCommand::CancelTask { task_id: id, .. }
            if id == task_id(&document(), ProcessingStage::Requirements)));
        assert!(matches!(reaction.commands[1], ProcessCommand::RecordDocumentFailure { .. }));
        assert_eq!(notification_titles(&reaction).len(), 1);
    }
}

#[test]
fn a_deleted_document_ends_the_process_without_a_notification() {
    let reaction = when(&running(ProcessingStage::Text), &DocumentAnalysisEvent::Deleted);
    assert_eq!(reaction.next, Some(DocumentAnalysisProcess::Finished));
    assert!(matches!(reaction.commands[..], [ProcessCommand::CancelTask { .. }]), "{:?}", reaction.commands);
}

#[test]
fn only_a_refused_request_of_a_task_ends_the_process() {
    let state = running(ProcessingStage::Text);
    let Some(cancel) = cancel_task(&document(), ProcessingStage::Text, "late") else { panic!("no command") };
    let refused = |command| state.react(ProcessInput::CommandRefused { command, reason: "no" });
    assert_eq!(refused(&cancel), ProcessReaction::none());
    let requested = start_stage(&document(), ProcessingStage::Text);
    assert_eq!(refused(&requested.commands[0]).next, Some(DocumentAnalysisProcess::Finished));
}

#[test]
fn a_finished_process_reacts_to_nothing() {
    let events = [
        DocumentAnalysisEvent::Uploaded(document()),
        DocumentAnalysisEvent::StageCompleted(ProcessingStage::Analysis),
        DocumentAnalysisEvent::Deleted,
    ];
    for event in &events {
        assert_eq!(when(&DocumentAnalysisProcess::Finished, event), ProcessReaction::none());
    }
    assert_eq!(DocumentAnalysisProcess::Finished.waits_for(), None);
}

#[test]
fn ids_are_the_same_each_time() {
    let (first, second) =
        (start_stage(&document(), ProcessingStage::Text), start_stage(&document(), ProcessingStage::Text));
    assert_eq!(first, second);
    assert_ne!(task_id(&document(), ProcessingStage::Text), task_id(&document(), ProcessingStage::Analysis));
}

#[test]
fn the_stored_state_is_as_released() {
    let stored = serde_json::to_string(&running(ProcessingStage::Text)).unwrap();
    assert_eq!(
        stored,
        r#"{"status":"running","document":{"id":"0199a0d2-0000-7000-8000-000000000001","file_name":"rfp.pdf","uploaded_by":"ann"},"stage":"text"}"#
    );
    assert_eq!(serde_json::from_str::<DocumentAnalysisProcess>(&stored).unwrap(), running(ProcessingStage::Text));
}
