//! Tests of the phases, from review to the agency's decision.

use super::*;

fn wrong_phase(phase: LifecyclePhase, needed: LifecyclePhase) -> ProposalError {
    ProposalError::WrongPhase { phase, needed }
}

#[test]
fn a_proposal_passes_through_all_phases() {
    let lifecycle = full_lifecycle();
    expect_events(&lifecycle[..2], submit_for_review(), vec![in_review()]);
    expect_events(&lifecycle[..3], approve("bob"), vec![approved()]);
    expect_events(&lifecycle[..4], submit(), vec![submitted()]);
    expect_events(&lifecycle, record(won()), vec![decided(won())]);
    expect_events(&lifecycle, record(lost()), vec![decided(lost())]);
}

#[test]
fn a_repeated_command_changes_nothing() {
    let lifecycle = full_lifecycle();
    expect_events(&lifecycle[..3], submit_for_review(), vec![]);
    expect_events(&lifecycle[..4], approve("bob"), vec![]);
    expect_events(&lifecycle, submit(), vec![]);
    let decided_proposal = [lifecycle.clone(), vec![decided(won())]].concat();
    expect_events(&decided_proposal, record(won()), vec![]);
    expect_events(&[lifecycle, vec![withdrawn()]].concat(), withdraw(), vec![]);
}

#[test]
fn a_proposal_without_content_is_not_reviewed() {
    expect_refusal(&[drafted("Lifts")], submit_for_review(), ProposalError::NothingToReview);
}

#[test]
fn the_author_cannot_end_the_review() {
    let given = &full_lifecycle()[..3];
    expect_refusal(given, approve("ann"), ProposalError::OwnReview);
    expect_refusal(given, reject("ann"), ProposalError::OwnReview);
}

#[test]
fn a_rejected_proposal_is_a_draft_again() {
    let given = &full_lifecycle()[..3];
    expect_events(given, reject("bob"), vec![rejected()]);
    let rejected_proposal = [given, &[rejected()]].concat();
    assert_eq!(state_after(&rejected_proposal).phase(), LifecyclePhase::Draft);
    assert_eq!(state_after(&rejected_proposal).content().unwrap().review, Some(note()));
    expect_events(&rejected_proposal, edit("approach", "More.", 1), vec![edited("approach", "More.", 2)]);
    expect_refusal(&rejected_proposal, approve("bob"), wrong_phase(LifecyclePhase::Draft, LifecyclePhase::InReview));
    expect_refusal(&rejected_proposal, reject("bob"), wrong_phase(LifecyclePhase::Draft, LifecyclePhase::InReview));
}

#[test]
fn sections_can_only_be_edited_in_a_draft() {
    let lifecycle = full_lifecycle();
    for (end, phase) in [(3, LifecyclePhase::InReview), (4, LifecyclePhase::Approved), (5, LifecyclePhase::Submitted)] {
        expect_refusal(&lifecycle[..end], edit("approach", "Other.", 1), wrong_phase(phase, LifecyclePhase::Draft));
        expect_refusal(&lifecycle[..end], remove("approach", 1), wrong_phase(phase, LifecyclePhase::Draft));
    }
}

#[test]
fn phases_cannot_be_skipped() {
    let lifecycle = full_lifecycle();
    expect_refusal(&lifecycle[..2], submit(), wrong_phase(LifecyclePhase::Draft, LifecyclePhase::Approved));
    expect_refusal(&lifecycle[..3], submit(), wrong_phase(LifecyclePhase::InReview, LifecyclePhase::Approved));
    expect_refusal(&lifecycle[..4], record(won()), wrong_phase(LifecyclePhase::Approved, LifecyclePhase::Submitted));
    expect_refusal(&lifecycle[..4], submit_for_review(), wrong_phase(LifecyclePhase::Approved, LifecyclePhase::Draft));
}

#[test]
fn the_decision_cannot_be_changed_or_withdrawn() {
    let decided_proposal = [full_lifecycle(), vec![decided(won())]].concat();
    expect_refusal(&decided_proposal, record(lost()), ProposalError::AlreadyDecided);
    expect_refusal(&decided_proposal, withdraw(), ProposalError::AlreadyDecided);
    assert_eq!(state_after(&decided_proposal).phase(), LifecyclePhase::Won);
    assert_eq!(state_after(&[full_lifecycle(), vec![decided(lost())]].concat()).phase(), LifecyclePhase::Lost);
}

#[test]
fn a_proposal_can_be_withdrawn_in_any_phase_before_the_decision() {
    let lifecycle = full_lifecycle();
    for end in 1..=lifecycle.len() {
        expect_events(&lifecycle[..end], withdraw(), vec![withdrawn()]);
        let withdrawn_proposal = [&lifecycle[..end], &[withdrawn()]].concat();
        expect_refusal(
            &withdrawn_proposal,
            edit("approach", "x", 1),
            wrong_phase(LifecyclePhase::Withdrawn, LifecyclePhase::Draft),
        );
        expect_refusal(
            &withdrawn_proposal,
            record(won()),
            wrong_phase(LifecyclePhase::Withdrawn, LifecyclePhase::Submitted),
        );
    }
}

#[test]
fn commands_to_a_proposal_without_draft_are_refused() {
    for command in [
        edit("a", "x", 0),
        comment(1, None, "x"),
        submit_for_review(),
        approve("bob"),
        reject("bob"),
        submit(),
        record(won()),
        withdraw(),
    ] {
        expect_refusal(&[], command, ProposalError::NotDrafted);
    }
}
