//! The end of an opportunity, and what comes after it all the same.

use super::*;

fn expect(given: &[OpportunityEvent], when: OpportunityCommand, then: Vec<OpportunityEvent>) {
    Scenario::with(()).given(given.to_vec()).when(when).then_expect_events(then);
}

fn refuse(given: &[OpportunityEvent], when: OpportunityCommand, then: OpportunityError) {
    Scenario::with(()).given(given.to_vec()).when(when).then_expect_error(then);
}

fn after(events: &[OpportunityEvent]) -> Opportunity {
    let mut state = Opportunity::default();
    for event in events {
        state.evolve(event.clone());
    }
    state
}

#[test]
fn an_opportunity_is_cancelled_and_archived() {
    let given = [first(&notice("n1", 3)), cancelled(), archived()];
    expect(&given[..1], cancel(), vec![cancelled()]);
    expect(&given[..1], archive(), vec![archived()]);
    expect(&given[..2], archive(), vec![archived()]);
    let won = [first(&notice("n1", 3)), awarded("n1", "W1")];
    expect(&won, cancel(), vec![cancelled()]);
    expect(&won, archive(), vec![archived()]);
}

#[test]
fn what_is_met_already_changes_nothing() {
    let given = [first(&notice("n1", 3)), cancelled(), archived()];
    expect(&given[..2], cancel(), vec![]);
    expect(&given, archive(), vec![]);
}

#[test]
fn what_is_archived_is_not_cancelled() {
    refuse(&[first(&notice("n1", 3)), archived()], cancel(), OpportunityError::Archived);
}

#[test]
fn what_nobody_has_discovered_has_no_end() {
    refuse(&[], cancel(), OpportunityError::NotDiscovered);
    refuse(&[], archive(), OpportunityError::NotDiscovered);
}

#[test]
fn the_record_stays_when_it_is_over() {
    for end in [cancelled(), archived()] {
        let state = after(&[first(&notice("n1", 3)), end]);
        assert_eq!(state.record().unwrap().facts.title, "Patient lifts");
    }
}

#[test]
fn a_newer_notice_or_an_award_opens_it_again_and_an_earlier_one_does_not() {
    for end in [cancelled(), archived()] {
        let over = [first(&notice("n2", 5)), end];
        let with = |event| after(&[&over[..], &[event]].concat());
        assert!(matches!(with(amended(&notice("n3", 6), Standing::Current)), Opportunity::Open(_)));
        assert!(matches!(with(awarded("n2", "W1")), Opportunity::Awarded(_)));
        let earlier = with(amended(&notice("n1", 4), Standing::Earlier));
        assert!(matches!(earlier, Opportunity::Cancelled(_) | Opportunity::Archived(_)));
        let won = [first(&notice("n2", 5)), awarded("n2", "W1"), archived()];
        let again = after(&[&won[..], &[amended(&notice("n3", 6), Standing::Current)]].concat());
        assert!(matches!(again, Opportunity::Awarded(_)));
    }
}
