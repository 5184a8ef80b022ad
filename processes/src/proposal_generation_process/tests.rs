//! Given a state, when an input arrives, then a state, commands and timers.

use super::*;
use crate::TimerChange;

const GENERATION: &str = "0199a0d2-0000-7000-8000-000000000001";
const PROPOSAL: &str = "0199a0d2-0000-7000-8000-000000000002";

fn generation() -> SupervisedGeneration {
    SupervisedGeneration {
        id: GenerationId::parse(GENERATION).unwrap(),
        proposal_id: ProposalId::parse(PROPOSAL).unwrap(),
        sections: 3,
        requested_by: UserId::from_program("ann"),
    }
}

fn running(failed_sections: usize) -> ProposalGenerationProcess {
    super::running(&generation(), failed_sections, 0)
}

fn when(
    state: &ProposalGenerationProcess,
    event: &GenerationProcessEvent,
) -> ProcessReaction<ProposalGenerationProcess> {
    state.react(ProcessInput::Event(event))
}

fn reason(text: &str) -> GenerationReason {
    GenerationReason::try_new(text).unwrap()
}

fn fail(text: &str) -> ProcessCommand {
    ProcessCommand::FailGeneration { generation_id: generation().id, reason: reason(text) }
}

fn cancel(text: &str) -> ProcessCommand {
    ProcessCommand::CancelTask { task_id: generation().id.task_id(), reason: TaskNote::try_new(text).unwrap() }
}

/// Recipient, title and body of the notifications.
fn notifications(reaction: &ProcessReaction<ProposalGenerationProcess>) -> Vec<(String, String, String)> {
    let texts = |command: &ProcessCommand| {
        let ProcessCommand::NotifyUser { user, notification } = command else { return None };
        assert_eq!(notification.kind, NotificationKind::ProposalGenerated);
        assert_eq!(notification.about.as_ref().map(NotificationTopic::as_str), Some(PROPOSAL));
        Some((user.to_string(), notification.title.to_string(), notification.body.to_string()))
    };
    reaction.commands.iter().filter_map(texts).collect()
}

fn to_ann(title: &str, body: &str) -> Vec<(String, String, String)> {
    vec![("ann".to_owned(), title.to_owned(), body.to_owned())]
}

#[test]
fn a_task_is_requested_with_the_generation_and_a_limit_of_time() {
    let reaction = when(&ProposalGenerationProcess::default(), &GenerationProcessEvent::Requested(generation()));
    assert_eq!(reaction.next, Some(running(0)));
    assert_eq!(reaction.timers, [TimerChange::Set { name: START_TIMER, after: START_TIMEOUT }]);
    let [ProcessCommand::RequestTask { task_id: requested, spec }] = reaction.commands.as_slice() else {
        panic!("{:?}", reaction.commands);
    };
    assert_eq!((*requested, spec.kind), (generation().id.task_id(), TaskKind::GenerateProposal));
    assert_eq!((spec.subject.kind, spec.subject.id.as_str()), (SubjectKind::Proposal, PROPOSAL));
    let parameters = spec.parameters.iter().map(|parameter| (parameter.name.as_str(), parameter.value.as_str()));
    assert_eq!(parameters.collect::<Vec<_>>(), [(GENERATION_PARAMETER, GENERATION)]);
    assert_eq!(reaction, when(&ProposalGenerationProcess::default(), &GenerationProcessEvent::Requested(generation())));
}

#[test]
fn who_requested_it_is_notified_when_it_is_complete() {
    let reaction = when(&running(0), &GenerationProcessEvent::Completed);
    assert_eq!(reaction.next, Some(ProposalGenerationProcess::Finished));
    let advice = "Check each sentence against its sources before you use it.";
    assert_eq!(notifications(&reaction), to_ann("Proposal generated", &format!("3 sections were generated. {advice}")));

    let after_failures = when(&running(1), &GenerationProcessEvent::SectionFailed);
    assert_eq!((after_failures.next.as_ref(), after_failures.commands.len()), (Some(&running(2)), 0));
    let reaction = when(&running(2), &GenerationProcessEvent::Completed);
    let body = format!("1 section was generated, 2 could not be. {advice}");
    assert_eq!(notifications(&reaction), to_ann("Proposal generated", &body));
}

#[test]
fn the_generation_fails_when_its_task_does_and_then_the_user_is_notified() {
    let ended = GenerationProcessEvent::TaskEnded { reason: "no provider answers".to_owned() };
    let reaction = when(&running(0), &ended);
    assert_eq!(reaction, ProcessReaction::none().with_command(fail("no provider answers")));

    let failed = GenerationProcessEvent::Failed { reason: "no provider answers".to_owned() };
    let reaction = when(&running(0), &failed);
    assert_eq!(reaction.next, Some(ProposalGenerationProcess::Finished));
    assert_eq!(notifications(&reaction), to_ann("Proposal not generated", "no provider answers"));

    let generated = when(&running(0), &GenerationProcessEvent::SectionGenerated).next.unwrap();
    assert_eq!(generated, super::running(&generation(), 0, 1));
    let [(_, _, body)] = notifications(&when(&generated, &failed)).try_into().unwrap();
    assert!(body.starts_with("1 of 3 sections were generated before it failed"), "{body}");
    assert!(body.ends_with("Reason: no provider answers"), "{body}");
}

#[test]
fn a_generation_without_an_end_in_time_fails_and_its_task_is_cancelled() {
    let reaction = running(0).react(ProcessInput::Timeout(END_TIMER));
    let late = "no worker completed the generation within 6 hours";
    assert_eq!(reaction, ProcessReaction::none().with_command(cancel(late)).with_command(fail(late)));
    let reaction = running(0).react(ProcessInput::Timeout(START_TIMER));
    let late = "no worker started the generation within 48 hours";
    assert_eq!(reaction, ProcessReaction::none().with_command(cancel(late)).with_command(fail(late)));
}

#[test]
fn the_time_in_the_queue_does_not_count_as_work() {
    let reaction = when(&running(1), &GenerationProcessEvent::TaskStarted);
    assert_eq!((reaction.next, reaction.commands.len()), (None, 0));
    let begins = TimerChange::Set { name: END_TIMER, after: END_TIMEOUT };
    assert_eq!(reaction.timers, [TimerChange::Cancel { name: START_TIMER }, begins]);
    assert_eq!(
        when(&ProposalGenerationProcess::default(), &GenerationProcessEvent::TaskStarted),
        ProcessReaction::none()
    );
}

#[test]
fn a_refused_task_fails_the_generation_and_other_refusals_change_nothing() {
    let requested = start(&generation()).commands.remove(0);
    let refused =
        |command: ProcessCommand| running(0).react(ProcessInput::CommandRefused { command: &command, reason: "taken" });
    assert_eq!(refused(requested), ProcessReaction::none().with_command(fail("taken")));
    assert_eq!(refused(fail("late")), ProcessReaction::none());
    assert_eq!(refused(cancel("late")), ProcessReaction::none());
}

#[test]
fn a_cancelled_generation_cancels_its_task_and_only_others_than_the_canceller_are_notified() {
    let cancelled = |by: &str| GenerationProcessEvent::Cancelled {
        reason: "not needed".to_owned(),
        by: UserId::try_new(by).unwrap(),
    };
    let own = when(&running(0), &cancelled("ann"));
    assert_eq!(own, ProcessReaction::move_to(ProposalGenerationProcess::Finished).with_command(cancel("not needed")));
    let by_another = when(&running(0), &cancelled("bob"));
    assert_eq!(by_another.commands[0], cancel("not needed"));
    assert_eq!(notifications(&by_another), to_ann("Proposal generation cancelled", "not needed"));
}

#[test]
fn an_operator_cancels_task_and_generation() {
    let reaction = running(0).react(ProcessInput::Cancelled { reason: "maintenance" });
    assert_eq!(reaction.next, Some(ProposalGenerationProcess::Finished));
    let cancel_generation =
        ProcessCommand::CancelGeneration { generation_id: generation().id, reason: reason("maintenance") };
    assert_eq!(reaction.commands[..2], [cancel("maintenance"), cancel_generation]);
    assert_eq!(notifications(&reaction), to_ann("Proposal generation cancelled", "maintenance"));
}

#[test]
fn a_finished_process_reacts_to_nothing() {
    let events = [
        GenerationProcessEvent::Requested(generation()),
        GenerationProcessEvent::TaskStarted,
        GenerationProcessEvent::SectionFailed,
        GenerationProcessEvent::Completed,
        GenerationProcessEvent::Failed { reason: "x".to_owned() },
        GenerationProcessEvent::TaskEnded { reason: "x".to_owned() },
    ];
    for event in &events {
        assert_eq!(when(&ProposalGenerationProcess::Finished, event), ProcessReaction::none());
    }
    assert_eq!(ProposalGenerationProcess::Finished.waits_for(), None);
}

#[test]
fn the_stored_state_is_as_released() {
    let stored = serde_json::to_string(&running(1)).unwrap();
    assert_eq!(
        stored,
        r#"{"status":"running","generation":{"id":"0199a0d2-0000-7000-8000-000000000001","proposal_id":"0199a0d2-0000-7000-8000-000000000002","sections":3,"requested_by":"ann"},"failed_sections":1,"generated_sections":0}"#
    );
    let of_the_release_before = stored.replace(",\"generated_sections\":0", "");
    for stored in [stored, of_the_release_before] {
        assert_eq!(serde_json::from_str::<ProposalGenerationProcess>(&stored).unwrap(), running(1));
    }
}

#[test]
fn the_stored_commands_are_as_released() {
    let stored = serde_json::to_value(fail("late")).unwrap();
    let expected = serde_json::json!({ "type": "fail_generation", "generation_id": GENERATION, "reason": "late" });
    assert_eq!(stored, expected);
    let command = ProcessCommand::CancelGeneration { generation_id: generation().id, reason: reason("late") };
    let expected = serde_json::json!({ "type": "cancel_generation", "generation_id": GENERATION, "reason": "late" });
    assert_eq!(serde_json::to_value(command).unwrap(), expected);
}
