//! Properties that hold for any sequence of commands.

use proptest::prelude::*;

use super::*;

fn any_command() -> impl Strategy<Value = ProposalGenerationCommand> {
    prop_oneof![
        Just(request()),
        ("[abz]", "[xy]").prop_map(|(section, text)| record(&section, &text)),
        "[abz]".prop_map(|section| record_failure(&section)),
        Just(complete()),
        Just(fail()),
        Just(cancel()),
        prop_oneof![Just(UserRating::Helpful), Just(UserRating::Unhelpful)].prop_map(rate),
    ]
}

proptest! {
    #[test]
    fn a_generation_ends_once_records_each_section_once_and_replay_is_exact(
        commands in prop::collection::vec(any_command(), 0..40)
    ) {
        let (mut state, mut log) = (ProposalGeneration::default(), vec![]);
        for command in commands {
            let Ok(events) = state.decide(command) else { continue };
            events.iter().cloned().for_each(|event| state.evolve(event));
            log.extend(events);
        }
        let count = |matches: &dyn Fn(&ProposalGenerationEvent) -> bool| {
            log.iter().filter(|event| matches(event)).count()
        };
        let ends = count(&|event| {
            matches!(
                event,
                ProposalGenerationEvent::Completed { .. }
                    | ProposalGenerationEvent::Failed { .. }
                    | ProposalGenerationEvent::Cancelled { .. }
            )
        });
        prop_assert!(ends <= 1, "{:?}", log);
        for name in ["a", "b", "z"] {
            let outcomes = count(&|event| match event {
                ProposalGenerationEvent::SectionGenerated { section, .. }
                | ProposalGenerationEvent::SectionFailed { section, .. } => section.as_str() == name,
                ProposalGenerationEvent::Requested { .. }
                | ProposalGenerationEvent::Completed { .. }
                | ProposalGenerationEvent::Failed { .. }
                | ProposalGenerationEvent::Cancelled { .. }
                | ProposalGenerationEvent::Rated { .. } => false,
            });
            prop_assert!(outcomes <= usize::from(name != "z"), "{:?}", log);
        }
        let mut replayed = ProposalGeneration::default();
        for event in log {
            replayed.evolve(event);
        }
        let snapshot = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(&serde_json::from_str::<ProposalGeneration>(&snapshot).unwrap(), &state);
        prop_assert_eq!(replayed, state);
    }
}
