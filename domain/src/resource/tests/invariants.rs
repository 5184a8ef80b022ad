//! Properties that hold for any sequence of commands.

use proptest::prelude::*;

use super::*;

fn any_command() -> impl Strategy<Value = ResourceCommand> {
    (0_u8..3, "[a-c]").prop_map(|(which, name)| match which {
        0 => create(&name),
        1 => update(&name),
        _ => delete(),
    })
}

proptest! {
    #[test]
    fn a_deleted_resource_stays_deleted(commands in prop::collection::vec(any_command(), 0..30)) {
        let mut state = Resource::default();
        let mut is_deleted = false;
        for command in commands {
            for event in state.decide(command).unwrap_or_default() {
                prop_assert!(!is_deleted, "{event:?} after the deletion");
                is_deleted = matches!(event, ResourceEvent::Deleted { .. });
                state.evolve(event);
            }
            prop_assert_eq!(is_deleted, state == Resource::Deleted);
        }
    }

    #[test]
    fn the_last_accepted_content_stays_and_replay_is_exact(commands in prop::collection::vec(any_command(), 0..30)) {
        let (mut state, mut log) = (Resource::default(), vec![]);
        for command in commands {
            let Ok(events) = state.decide(command.clone()) else { continue };
            let last = match command {
                ResourceCommand::Create { content, .. } | ResourceCommand::Update { content, .. } => Some(content),
                ResourceCommand::Delete { .. } => None,
            };
            events.iter().cloned().for_each(|event| state.evolve(event));
            log.extend(events);
            prop_assert_eq!(state.content(), last.as_ref());
        }
        let mut replayed = Resource::default();
        for event in log {
            replayed.evolve(event);
        }
        let snapshot = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Resource>(&snapshot).unwrap(), &state);
        prop_assert_eq!(replayed, state);
    }
}
