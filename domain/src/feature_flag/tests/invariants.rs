//! Properties that hold for any sequence of commands.

use proptest::prelude::*;

use super::*;

fn any_command() -> impl Strategy<Value = FeatureFlagCommand> {
    let names = prop::sample::select(vec!["control", "b", "c"]);
    let weights = prop::collection::vec((names.clone(), 0_u32..3), 0..4);
    (0_u8..6, any::<bool>(), "[a-c]", names, weights).prop_filter_map(
        "no list of variants",
        |(which, enabled, id, name, weights)| {
            Some(match which {
                0 => define(),
                1 => switch(enabled),
                2 => FeatureFlagCommand::ChangeVariants {
                    variants: FlagVariants::try_new(list(&weights)).ok()?,
                    reason: reason(),
                    stamp: stamp(),
                },
                3 => set(&id, name),
                4 => remove(&id),
                _ => archive(),
            })
        },
    )
}

proptest! {
    #[test]
    fn tenants_always_have_a_variant_of_the_flag_and_replay_is_exact(
        commands in prop::collection::vec(any_command(), 0..40)
    ) {
        let (mut flag, mut log) = (FeatureFlag::default(), vec![]);
        for command in commands {
            let control = flag.definition().map(|definition| definition.variants.control());
            for event in flag.decide(command).unwrap_or_default() {
                flag.evolve(event.clone());
                log.push(event);
            }
            let Some(definition) = flag.definition() else { continue };
            prop_assert!(control.is_none_or(|control| control == definition.variants.control()));
            prop_assert!(definition.overrides.values().all(|variant| definition.variants.contains(variant)));
            for id in ["a", "b", "c", "d"] {
                let assignment = flag.compute_assignment(&key(), &tenant(id));
                prop_assert!(definition.variants.contains(&assignment.variant), "{:?}", assignment);
                let is_control = assignment.variant == definition.variants.control();
                let by_control = [AssignmentReason::Disabled, AssignmentReason::Undefined];
                prop_assert!(is_control || !by_control.contains(&assignment.reason));
            }
        }
        let snapshot = serde_json::to_string(&flag).unwrap();
        prop_assert_eq!(&serde_json::from_str::<FeatureFlag>(&snapshot).unwrap(), &flag);
        prop_assert_eq!(fold(log), flag);
    }
}
