//! Tests of cancelling and archiving, and of notices that follow.

use super::*;

fn expect_events(given: &[OpportunityEvent], when: OpportunityCommand, then: Vec<OpportunityEvent>) {
    OpportunityScenario::with(()).given(given.to_vec()).when(when).then_expect_events(then);
}

fn expect_refusal(given: &[OpportunityEvent], when: OpportunityCommand, then: OpportunityError) {
    OpportunityScenario::with(()).given(given.to_vec()).when(when).then_expect_error(then);
}

fn state_after(events: &[OpportunityEvent]) -> Opportunity {
    let mut state = Opportunity::default();
    for event in events {
        state.evolve(event.clone());
    }
    state
}

#[test]
fn an_opportunity_is_cancelled_and_archived() {
    let given = [first(&notice("n1", 3)), cancelled(), archived()];
    expect_events(&given[..1], cancel(), vec![cancelled()]);
    expect_events(&given[..1], archive(), vec![archived()]);
    expect_events(&given[..2], archive(), vec![archived()]);
    let awarded = [first(&notice("n1", 3)), awarded("n1", "W1")];
    expect_events(&awarded, cancel(), vec![cancelled()]);
    expect_events(&awarded, archive(), vec![archived()]);
}

#[test]
fn a_repeated_command_changes_nothing() {
    let given = [first(&notice("n1", 3)), cancelled(), archived()];
    expect_events(&given[..2], cancel(), vec![]);
    expect_events(&given, archive(), vec![]);
}

#[test]
fn cancelling_an_archived_opportunity_is_refused() {
    expect_refusal(&[first(&notice("n1", 3)), archived()], cancel(), OpportunityError::Archived);
}

#[test]
fn cancelling_or_archiving_an_undiscovered_opportunity_is_refused() {
    expect_refusal(&[], cancel(), OpportunityError::NotDiscovered);
    expect_refusal(&[], archive(), OpportunityError::NotDiscovered);
}

#[test]
fn the_record_remains_readable_after_the_end() {
    for end in [cancelled(), archived()] {
        let state = state_after(&[first(&notice("n1", 3)), end]);
        assert_eq!(state.record().unwrap().details.title, "Patient lifts");
    }
}

#[test]
fn a_newer_notice_or_an_award_reopens_it_and_an_earlier_notice_does_not() {
    for end in [cancelled(), archived()] {
        let ended = [first(&notice("n2", 5)), end];
        let with = |event| state_after(&[&ended[..], &[event]].concat());
        assert!(matches!(with(amended(&notice("n3", 6), AmendmentStanding::Current)), Opportunity::Open(_)));
        assert!(matches!(with(awarded("n2", "W1")), Opportunity::Awarded(_)));
        let earlier = with(amended(&notice("n1", 4), AmendmentStanding::Earlier));
        assert!(matches!(earlier, Opportunity::Cancelled(_) | Opportunity::Archived(_)));
        let archived = [first(&notice("n2", 5)), awarded("n2", "W1"), archived()];
        let reopened = state_after(&[&archived[..], &[amended(&notice("n3", 6), AmendmentStanding::Current)]].concat());
        assert!(matches!(reopened, Opportunity::Awarded(_)));
    }
}

#[test]
fn a_relisted_notice_reopens_an_archived_opportunity_although_it_says_nothing_new() {
    let current = notice("n1", 3);
    let relist = |notice: &Notice| OpportunityCommand::RelistNotice(Box::new(notice.clone()));
    let given = [first(&current), archived()];
    let reopened = amended(&current, AmendmentStanding::Current);
    expect_events(&given, relist(&current), vec![reopened.clone()]);
    expect_events(&[&given[..], &[reopened]].concat(), relist(&current), vec![]);
    expect_events(&given, record(&current), vec![]);
    expect_events(&given[..1], relist(&current), vec![]);
    expect_events(&[first(&current), cancelled()], relist(&current), vec![]);
    let superseded = [first(&current), amended(&notice("n2", 4), AmendmentStanding::Current), archived()];
    expect_events(&superseded, relist(&current), vec![]);
}
