//! Properties that hold for any sequence of commands.

use proptest::prelude::*;

use super::*;

fn any_command() -> impl Strategy<Value = DocumentCommand> {
    prop_oneof![
        4 => "[ab]".prop_map(|name| upload(&name)),
        4 => (1_u32..3).prop_map(record_text),
        4 => Just(record_requirements(requirements())),
        4 => "[mn]".prop_map(|model| record_analysis(&model)),
        4 => proptest::sample::select(ProcessingStage::ALL.to_vec()).prop_map(record_failure),
        1 => Just(delete()),
    ]
}

proptest! {
    #[test]
    fn stages_complete_in_order_and_replay_is_exact(commands in prop::collection::vec(any_command(), 0..40)) {
        let (mut state, mut log) = (Document::default(), vec![]);
        for command in commands {
            for event in state.decide(command).unwrap_or_default() {
                prop_assert!(state != Document::Deleted, "{event:?} after the deletion");
                state.evolve(event.clone());
                log.push(event);
            }
            if let Some(document) = state.as_uploaded() {
                prop_assert!(document.text.is_some() || document.requirements.is_none());
                prop_assert!(document.requirements.is_some() || document.analysis.is_none());
                if let Some(failure) = &document.failure {
                    prop_assert_eq!(Some(failure.stage), document.next_stage(), "the failed stage is the next one");
                }
            }
        }
        let mut replayed = Document::default();
        for event in log {
            replayed.evolve(event);
        }
        let snapshot = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Document>(&snapshot).unwrap(), &state);
        prop_assert_eq!(replayed, state);
    }
}
