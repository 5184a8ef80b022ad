//! The way of a proposal to the agency.

use super::*;

fn wrong(phase: Phase, needed: Phase) -> ProposalError {
    ProposalError::WrongPhase { phase, needed }
}

#[test]
fn a_proposal_goes_its_way() {
    let way = way();
    expect(&way[..2], submit_for_review(), vec![in_review()]);
    expect(&way[..3], approve("bob"), vec![approved()]);
    expect(&way[..4], submit(), vec![submitted()]);
    expect(&way, record(won()), vec![decided(won())]);
    expect(&way, record(lost()), vec![decided(lost())]);
}

#[test]
fn what_is_met_already_changes_nothing() {
    let way = way();
    expect(&way[..3], submit_for_review(), vec![]);
    expect(&way[..4], approve("bob"), vec![]);
    expect(&way, submit(), vec![]);
    let over = [way.clone(), vec![decided(won())]].concat();
    expect(&over, record(won()), vec![]);
    expect(&[way, vec![withdrawn()]].concat(), withdraw(), vec![]);
}

#[test]
fn nothing_is_not_reviewed() {
    refuse(&[drafted("Lifts")], submit_for_review(), ProposalError::NothingToReview);
}

#[test]
fn who_wants_a_review_does_not_decide_it() {
    let given = &way()[..3];
    refuse(given, approve("ann"), ProposalError::OwnReview);
    refuse(given, reject("ann"), ProposalError::OwnReview);
}

#[test]
fn a_rejected_proposal_is_written_further() {
    let given = &way()[..3];
    expect(given, reject("bob"), vec![rejected()]);
    let back = [given, &[rejected()]].concat();
    assert_eq!(after(&back).phase(), Phase::Draft);
    assert_eq!(after(&back).manuscript().unwrap().review, Some(note()));
    expect(&back, edit("approach", "More.", 1), vec![edited("approach", "More.", 2)]);
    refuse(&back, approve("bob"), wrong(Phase::Draft, Phase::InReview));
    refuse(&back, reject("bob"), wrong(Phase::Draft, Phase::InReview));
}

#[test]
fn what_is_looked_at_is_not_rewritten() {
    let way = way();
    for (end, phase) in [(3, Phase::InReview), (4, Phase::Approved), (5, Phase::Submitted)] {
        refuse(&way[..end], edit("approach", "Other.", 1), wrong(phase, Phase::Draft));
        refuse(&way[..end], remove("approach", 1), wrong(phase, Phase::Draft));
    }
}

#[test]
fn stages_are_not_skipped() {
    let way = way();
    refuse(&way[..2], submit(), wrong(Phase::Draft, Phase::Approved));
    refuse(&way[..3], submit(), wrong(Phase::InReview, Phase::Approved));
    refuse(&way[..4], record(won()), wrong(Phase::Approved, Phase::Submitted));
    refuse(&way[..4], submit_for_review(), wrong(Phase::Approved, Phase::Draft));
}

#[test]
fn an_agency_decides_once() {
    let over = [way(), vec![decided(won())]].concat();
    refuse(&over, record(lost()), ProposalError::AlreadyDecided);
    refuse(&over, withdraw(), ProposalError::AlreadyDecided);
    assert_eq!(after(&over).phase(), Phase::Won);
    assert_eq!(after(&[way(), vec![decided(lost())]].concat()).phase(), Phase::Lost);
}

#[test]
fn a_proposal_is_given_up_at_any_time_before() {
    let way = way();
    for end in 1..=way.len() {
        expect(&way[..end], withdraw(), vec![withdrawn()]);
        let gone = [&way[..end], &[withdrawn()]].concat();
        refuse(&gone, edit("approach", "x", 1), wrong(Phase::Withdrawn, Phase::Draft));
        refuse(&gone, record(won()), wrong(Phase::Withdrawn, Phase::Submitted));
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
        refuse(&[], command, ProposalError::NotDrafted);
    }
}
