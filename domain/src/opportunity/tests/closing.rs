//! The end of an opportunity, and what comes after it all the same.

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
    let won = [first(&notice("n1", 3)), awarded("n1", "W1")];
    expect_events(&won, cancel(), vec![cancelled()]);
    expect_events(&won, archive(), vec![archived()]);
}

#[test]
fn what_is_met_already_changes_nothing() {
    let given = [first(&notice("n1", 3)), cancelled(), archived()];
    expect_events(&given[..2], cancel(), vec![]);
    expect_events(&given, archive(), vec![]);
}

#[test]
fn what_is_archived_is_not_cancelled() {
    expect_refusal(&[first(&notice("n1", 3)), archived()], cancel(), OpportunityError::Archived);
}

#[test]
fn what_nobody_has_discovered_has_no_end() {
    expect_refusal(&[], cancel(), OpportunityError::NotDiscovered);
    expect_refusal(&[], archive(), OpportunityError::NotDiscovered);
}

#[test]
fn the_record_stays_when_it_is_over() {
    for end in [cancelled(), archived()] {
        let state = state_after(&[first(&notice("n1", 3)), end]);
        assert_eq!(state.record().unwrap().facts.title, "Patient lifts");
    }
}

#[test]
fn a_newer_notice_or_an_award_opens_it_again_and_an_earlier_one_does_not() {
    for end in [cancelled(), archived()] {
        let over = [first(&notice("n2", 5)), end];
        let with = |event| state_after(&[&over[..], &[event]].concat());
        assert!(matches!(with(amended(&notice("n3", 6), AmendmentStanding::Current)), Opportunity::Open(_)));
        assert!(matches!(with(awarded("n2", "W1")), Opportunity::Awarded(_)));
        let earlier = with(amended(&notice("n1", 4), AmendmentStanding::Earlier));
        assert!(matches!(earlier, Opportunity::Cancelled(_) | Opportunity::Archived(_)));
        let won = [first(&notice("n2", 5)), awarded("n2", "W1"), archived()];
        let again = state_after(&[&won[..], &[amended(&notice("n3", 6), AmendmentStanding::Current)]].concat());
        assert!(matches!(again, Opportunity::Awarded(_)));
    }
}
