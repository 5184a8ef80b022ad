//! What holds for any sequence of wishes.

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
    fn stages_build_on_each_other_and_replaying_gives_the_same(wishes in prop::collection::vec(any_command(), 0..40)) {
        let (mut state, mut log) = (Document::default(), vec![]);
        for wish in wishes {
            for event in state.decide(wish).unwrap_or_default() {
                prop_assert!(state != Document::Deleted, "{event:?} after the deletion");
                state.evolve(event.clone());
                log.push(event);
            }
            if let Some(reading) = state.as_uploaded() {
                prop_assert!(reading.text.is_some() || reading.requirements.is_none());
                prop_assert!(reading.requirements.is_some() || reading.analysis.is_none());
                if let Some(failure) = &reading.failure {
                    prop_assert_eq!(Some(failure.stage), reading.next_stage(), "what failed is what comes next");
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
