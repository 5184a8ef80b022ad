//! The way of a proposal to the agency.

use super::*;

fn wrong_phase(phase: LifecyclePhase, needed: LifecyclePhase) -> ProposalError {
    ProposalError::WrongPhase { phase, needed }
}

#[test]
fn a_proposal_goes_its_way() {
    let way = full_lifecycle();
    expect_events(&way[..2], submit_for_review(), vec![in_review()]);
    expect_events(&way[..3], approve("bob"), vec![approved()]);
    expect_events(&way[..4], submit(), vec![submitted()]);
    expect_events(&way, record(won()), vec![decided(won())]);
    expect_events(&way, record(lost()), vec![decided(lost())]);
}

#[test]
fn what_is_met_already_changes_nothing() {
    let way = full_lifecycle();
    expect_events(&way[..3], submit_for_review(), vec![]);
    expect_events(&way[..4], approve("bob"), vec![]);
    expect_events(&way, submit(), vec![]);
    let over = [way.clone(), vec![decided(won())]].concat();
    expect_events(&over, record(won()), vec![]);
    expect_events(&[way, vec![withdrawn()]].concat(), withdraw(), vec![]);
}

#[test]
fn nothing_is_not_reviewed() {
    expect_refusal(&[drafted("Lifts")], submit_for_review(), ProposalError::NothingToReview);
}

#[test]
fn who_wants_a_review_does_not_decide_it() {
    let given = &full_lifecycle()[..3];
    expect_refusal(given, approve("ann"), ProposalError::OwnReview);
    expect_refusal(given, reject("ann"), ProposalError::OwnReview);
}

#[test]
fn a_rejected_proposal_is_written_further() {
    let given = &full_lifecycle()[..3];
    expect_events(given, reject("bob"), vec![rejected()]);
    let back = [given, &[rejected()]].concat();
    assert_eq!(state_after(&back).phase(), LifecyclePhase::Draft);
    assert_eq!(state_after(&back).content().unwrap().review, Some(note()));
    expect_events(&back, edit("approach", "More.", 1), vec![edited("approach", "More.", 2)]);
    expect_refusal(&back, approve("bob"), wrong_phase(LifecyclePhase::Draft, LifecyclePhase::InReview));
    expect_refusal(&back, reject("bob"), wrong_phase(LifecyclePhase::Draft, LifecyclePhase::InReview));
}

#[test]
fn what_is_looked_at_is_not_rewritten() {
    let way = full_lifecycle();
    for (end, phase) in [(3, LifecyclePhase::InReview), (4, LifecyclePhase::Approved), (5, LifecyclePhase::Submitted)] {
        expect_refusal(&way[..end], edit("approach", "Other.", 1), wrong_phase(phase, LifecyclePhase::Draft));
        expect_refusal(&way[..end], remove("approach", 1), wrong_phase(phase, LifecyclePhase::Draft));
    }
}

#[test]
fn stages_are_not_skipped() {
    let way = full_lifecycle();
    expect_refusal(&way[..2], submit(), wrong_phase(LifecyclePhase::Draft, LifecyclePhase::Approved));
    expect_refusal(&way[..3], submit(), wrong_phase(LifecyclePhase::InReview, LifecyclePhase::Approved));
    expect_refusal(&way[..4], record(won()), wrong_phase(LifecyclePhase::Approved, LifecyclePhase::Submitted));
    expect_refusal(&way[..4], submit_for_review(), wrong_phase(LifecyclePhase::Approved, LifecyclePhase::Draft));
}

#[test]
fn an_agency_decides_once() {
    let over = [full_lifecycle(), vec![decided(won())]].concat();
    expect_refusal(&over, record(lost()), ProposalError::AlreadyDecided);
    expect_refusal(&over, withdraw(), ProposalError::AlreadyDecided);
    assert_eq!(state_after(&over).phase(), LifecyclePhase::Won);
    assert_eq!(state_after(&[full_lifecycle(), vec![decided(lost())]].concat()).phase(), LifecyclePhase::Lost);
}

#[test]
fn a_proposal_is_given_up_at_any_time_before() {
    let way = full_lifecycle();
    for end in 1..=way.len() {
        expect_events(&way[..end], withdraw(), vec![withdrawn()]);
        let gone = [&way[..end], &[withdrawn()]].concat();
        expect_refusal(&gone, edit("approach", "x", 1), wrong_phase(LifecyclePhase::Withdrawn, LifecyclePhase::Draft));
        expect_refusal(&gone, record(won()), wrong_phase(LifecyclePhase::Withdrawn, LifecyclePhase::Submitted));
    }
}

#[test]
fn what_nobody_began_is_not_there() {
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
