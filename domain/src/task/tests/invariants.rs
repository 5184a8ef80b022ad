//! Properties that hold for any sequence of commands.

use proptest::prelude::*;

use super::*;

fn any_command() -> impl Strategy<Value = TaskCommand> {
    prop_oneof![
        "[ab]".prop_map(|subject| request(&subject)),
        "[vw]".prop_map(|name| start(&name)),
        (0_u32..=100).prop_map(report),
        Just(complete("x")),
        prop_oneof![Just(RetryDecision::Later), Just(RetryDecision::Never)].prop_map(fail),
        Just(cancel()),
    ]
}

proptest! {
    #[test]
    fn a_task_ends_at_most_once_after_a_limited_number_of_attempts_and_replay_is_exact(
        commands in prop::collection::vec(any_command(), 0..60)
    ) {
        let (mut state, mut log) = (Task::default(), vec![]);
        for command in commands {
            let Ok(events) = state.decide(command) else { continue };
            events.iter().cloned().for_each(|event| state.evolve(event));
            log.extend(events);
        }
        let count = |matches: fn(&TaskEvent) -> bool| log.iter().filter(|event| matches(event)).count();
        let ends = count(|event| {
            matches!(
                event,
                TaskEvent::Completed { .. } | TaskEvent::Cancelled { .. } | TaskEvent::Failed { retry: RetryDecision::Never, .. }
            )
        });
        prop_assert!(ends <= 1, "{:?}", log);
        let requests = count(|event| matches!(event, TaskEvent::Requested { .. }));
        let starts = count(|event| matches!(event, TaskEvent::Started { .. }));
        prop_assert!(requests <= 1 && starts <= MAX_ATTEMPTS as usize, "{:?}", log);
        let mut replayed = Task::default();
        for event in log {
            replayed.evolve(event);
        }
        let snapshot = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Task>(&snapshot).unwrap(), &state);
        prop_assert_eq!(replayed, state);
    }
}
