//! What holds for any sequence of steps.

use proptest::prelude::*;

use super::*;

fn any_step() -> impl Strategy<Value = VisitCommand> {
    (any::<bool>(), 0_u8..4, prop::option::of(0_u8..3), 0_i64..50).prop_map(|(is_view, page, target, at)| {
        let page = format!("/{page}");
        if is_view { view(&page, at) } else { click(&page, target.map(|target| format!("/{target}")).as_deref(), at) }
    })
}

fn apply_events(state: &mut Visit, step: &VisitCommand) -> Vec<VisitEvent> {
    let events = state.decide(step.clone()).unwrap();
    for event in &events {
        state.evolve(event);
    }
    events
}

proptest! {
    #[test]
    fn every_step_is_counted_and_none_is_lost(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut state = Visit::default();
        let events: Vec<_> = steps.iter().flat_map(|step| apply_events(&mut state, step)).collect();
        let trail = state.totals().unwrap();
        prop_assert_eq!(trail.views + trail.clicks, steps.len() as u64);
        prop_assert_eq!(events, steps.into_iter().map(VisitEvent::from).collect::<Vec<_>>());
    }

    #[test]
    fn steps_have_one_id_exactly_where_they_are_one(one in any_step(), other in any_step()) {
        let visit = VisitId::try_new("v").unwrap();
        let [first, second] = [&one, &other].map(|step| VisitEvent::from(step.clone()));
        prop_assert_eq!(first.event_id(&visit, None) == second.event_id(&visit, None), first == second);
    }

    #[test]
    fn the_state_comes_back_from_its_snapshot(steps in prop::collection::vec(any_step(), 0..90)) {
        let mut state = Visit::default();
        for step in &steps {
            apply_events(&mut state, step);
        }
        let snapshot = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(serde_json::from_str::<Visit>(&snapshot).unwrap(), state);
    }
}

#[test]
fn the_state_of_an_endless_visit_stays_small() {
    let mut state = Visit::default();
    for at in 0..10_000 {
        state.evolve(&viewed("/a", at));
    }
    assert_eq!(state.totals().unwrap().views, 10_000);
    assert!(serde_json::to_string(&state).unwrap().len() < 200);
}
