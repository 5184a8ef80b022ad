//! Properties that hold for any sequence of views and clicks.

use proptest::prelude::*;

use super::*;

fn any_command() -> impl Strategy<Value = VisitCommand> {
    (any::<bool>(), 0_u8..4, prop::option::of(0_u8..3), 0_i64..50).prop_map(|(is_view, page, target, at)| {
        let page = format!("/{page}");
        if is_view { view(&page, at) } else { click(&page, target.map(|target| format!("/{target}")).as_deref(), at) }
    })
}

fn apply_events(state: &mut Visit, command: &VisitCommand) -> Vec<VisitEvent> {
    let events = state.decide(command.clone()).unwrap();
    for event in &events {
        state.evolve(event);
    }
    events
}

proptest! {
    #[test]
    fn every_command_gives_one_event_that_is_counted(commands in prop::collection::vec(any_command(), 1..60)) {
        let mut state = Visit::default();
        let events: Vec<_> = commands.iter().flat_map(|command| apply_events(&mut state, command)).collect();
        let totals = state.totals().unwrap();
        prop_assert_eq!(totals.views + totals.clicks, commands.len() as u64);
        prop_assert_eq!(events, commands.into_iter().map(VisitEvent::from).collect::<Vec<_>>());
    }

    #[test]
    fn event_ids_are_equal_exactly_when_events_are(one in any_command(), other in any_command()) {
        let visit = VisitId::try_new("v").unwrap();
        let [first, second] = [&one, &other].map(|command| VisitEvent::from(command.clone()));
        prop_assert_eq!(first.event_id(&visit, None) == second.event_id(&visit, None), first == second);
    }

    #[test]
    fn a_snapshot_restores_the_state(commands in prop::collection::vec(any_command(), 0..90)) {
        let mut state = Visit::default();
        for command in &commands {
            apply_events(&mut state, command);
        }
        let snapshot = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(serde_json::from_str::<Visit>(&snapshot).unwrap(), state);
    }
}

#[test]
fn the_size_of_the_state_does_not_grow_with_the_visit() {
    let mut state = Visit::default();
    for at in 0..10_000 {
        state.evolve(&viewed("/a", at));
    }
    assert_eq!(state.totals().unwrap().views, 10_000);
    assert!(serde_json::to_string(&state).unwrap().len() < 200);
}
