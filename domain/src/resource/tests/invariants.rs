//! What holds for any sequence of wishes.

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
    fn a_deleted_resource_never_comes_back(wishes in prop::collection::vec(any_command(), 0..30)) {
        let mut state = Resource::default();
        let mut gone = false;
        for wish in wishes {
            for event in state.decide(wish).unwrap_or_default() {
                prop_assert!(!gone, "{event:?} after the deletion");
                gone = matches!(event, ResourceEvent::Deleted { .. });
                state.evolve(event);
            }
            prop_assert_eq!(gone, state == Resource::Deleted);
        }
    }

    #[test]
    fn it_holds_what_was_last_accepted_and_replaying_gives_the_same(wishes in prop::collection::vec(any_command(), 0..30)) {
        let (mut state, mut log) = (Resource::default(), vec![]);
        for wish in wishes {
            let Ok(events) = state.decide(wish.clone()) else { continue };
            let last = match wish {
                ResourceCommand::Create { asset, .. } | ResourceCommand::Update { asset, .. } => Some(asset),
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
