//! Properties that hold for any sequence of commands.

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
    fn a_company_always_has_an_admin_no_service_member_and_distinct_key_names(
        commands in prop::collection::vec(any_command(), 0..60)
    ) {
        let (mut state, mut log) = (Company::default(), vec![]);
        for command in commands {
            for event in state.decide(command).unwrap_or_default() {
                prop_assert!(state != Company::Closed, "{event:?} after closing");
                state.evolve(event.clone());
                log.push(event);
            }
            if let Some(company) = state.as_registered() {
                prop_assert!(company.members().any(|(_, role)| role == Role::Admin));
                prop_assert!(company.members().all(|(_, role)| role.is_for_people()));
                let names: std::collections::HashSet<_> = company.keys().map(|key| key.name.as_str()).collect();
                prop_assert_eq!(names.len(), company.keys().len());
            }
        }
        let snapshot = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Company>(&snapshot).unwrap(), &state);
        prop_assert_eq!(state_after(&log), state);
    }
}
