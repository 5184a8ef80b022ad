//! Properties that hold for any sequence of commands.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn any_command() -> impl Strategy<Value = ProposalCommand> {
    prop_oneof![
        4 => "[AB]".prop_map(|text| draft(&text)),
        8 => ("[ab]", "[xy]", 0_u32..4).prop_map(|(section, text, based_on)| edit(&section, &text, based_on)),
        4 => ("[ab]", "[xy]", 0_u32..4, 0_u32..4).prop_map(|(section, text, based_on, other)| {
            edit_together(&[(&section, &text, based_on), ("c", &text, other)])
        }),
        2 => ("[ab]", 0_u32..4).prop_map(|(section, based_on)| remove(&section, based_on)),
        4 => (0_u128..3, "[xy]").prop_map(|(number, text)| comment(number, None, &text)),
        2 => (0_u128..3).prop_map(resolve),
        6 => Just(submit_for_review()),
        6 => "ann|bob".prop_map(|name| approve(&name)),
        3 => "ann|bob".prop_map(|name| reject(&name)),
        6 => Just(submit()),
        2 => Just(record(won())),
        2 => Just(record(lost())),
        1 => Just(withdraw()),
    ]
}

proptest! {
    #[test]
    fn revisions_grow_the_author_never_approves_and_replay_is_exact(
        commands in prop::collection::vec(any_command(), 0..80)
    ) {
        let (mut state, mut log) = (Proposal::default(), vec![]);
        let mut revisions = BTreeMap::<SectionKey, u32>::new();
        for command in commands {
            let before = state.clone();
            for event in state.decide(command).unwrap_or_default() {
                if let ProposalEvent::SectionEdited { section, revision, .. } = &event {
                    let last = revisions.insert(section.clone(), *revision).unwrap_or_default();
                    prop_assert_eq!(*revision, last + 1, "a removed section continues its revisions");
                }
                if let (Proposal::InReview { submitted_by, .. }, ProposalEvent::Approved { stamp, .. }) = (&before, &event) {
                    prop_assert!(submitted_by != &stamp.by);
                }
                let has_ended = matches!(before, Proposal::Decided { .. } | Proposal::Withdrawn(_));
                prop_assert!(!has_ended, "{event:?} after the end");
                state.evolve(event.clone());
                log.push(event);
            }
        }
        let snapshot = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Proposal>(&snapshot).unwrap(), &state);
        prop_assert_eq!(state_after(&log), state);
    }
}
