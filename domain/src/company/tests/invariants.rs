//! What holds for any sequence of wishes.

use proptest::prelude::*;

use super::*;

fn any_role() -> impl Strategy<Value = Role> {
    proptest::sample::select(Role::ALL.to_vec())
}

fn any_command() -> impl Strategy<Value = CompanyCommand> {
    prop_oneof![
        2 => "[AB]".prop_map(|name| register(&name)),
        8 => ("ann|bob|carl", any_role()).prop_map(|(name, role)| add(&name, role)),
        8 => ("ann|bob|carl", any_role()).prop_map(|(name, role)| change(&name, role)),
        4 => "ann|bob|carl".prop_map(|name| remove(&name)),
        4 => (0_u128..4, "[xyz]").prop_map(|(number, name)| issue(number, &name)),
        2 => (0_u128..4).prop_map(revoke),
        1 => Just(close()),
    ]
}

proptest! {
    #[test]
    fn somebody_always_runs_it_no_person_is_a_machine_and_names_of_keys_differ(
        wishes in prop::collection::vec(any_command(), 0..60)
    ) {
        let (mut state, mut log) = (Company::default(), vec![]);
        for wish in wishes {
            for event in state.decide(wish).unwrap_or_default() {
                prop_assert!(state != Company::Closed, "{event:?} after the end");
                state.evolve(event.clone());
                log.push(event);
            }
            if let Some(roster) = state.as_registered() {
                prop_assert!(roster.members().any(|(_, role)| role == Role::Admin));
                prop_assert!(roster.members().all(|(_, role)| role.is_for_people()));
                let names: std::collections::HashSet<_> = roster.keys().map(|key| key.name.as_str()).collect();
                prop_assert_eq!(names.len(), roster.keys().len());
            }
        }
        let snapshot = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Company>(&snapshot).unwrap(), &state);
        prop_assert_eq!(state_after(&log), state);
    }
}
