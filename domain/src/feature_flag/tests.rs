//! Tests of a feature flag: given events, when a command, then events or a refusal.

mod assignments;
mod invariants;
mod runs;
mod stored_form;

use cqrs_es::test::TestFramework;

use super::*;
use crate::value::{InvalidValue, UserId};

type FlagScenario = TestFramework<FeatureFlag>;

#[test]
fn a_flag_is_defined_switched_and_archived() {
    FlagScenario::with(()).given_no_previous_events().when(define()).then_expect_events(vec![defined()]);
    FlagScenario::with(()).given(vec![defined()]).when(switch(true)).then_expect_events(vec![switched(true)]);
    let enabled = vec![defined(), switched(true)];
    FlagScenario::with(()).given(enabled).when(archive()).then_expect_events(vec![archived()]);
}

#[test]
fn variants_and_overrides_are_changed() {
    let weights = &[("control", 1), ("b", 3)];
    FlagScenario::with(()).given(vec![defined()]).when(change(weights)).then_expect_events(vec![changed(weights)]);
    FlagScenario::with(()).given(vec![defined()]).when(set("acme", "b")).then_expect_events(vec![is_set("acme", "b")]);
    let given = vec![defined(), is_set("acme", "b")];
    FlagScenario::with(())
        .given(given.clone())
        .when(set("acme", "control"))
        .then_expect_events(vec![is_set("acme", "control")]);
    FlagScenario::with(()).given(given).when(remove("acme")).then_expect_events(vec![removed("acme")]);
}

#[test]
fn repeating_a_command_changes_nothing() {
    for (given, command) in [
        (vec![defined()], define()),
        (vec![defined()], switch(false)),
        (vec![defined(), switched(true)], switch(true)),
        (vec![defined()], change(DEFINED)),
        (vec![defined(), is_set("acme", "b")], set("acme", "b")),
        (vec![defined()], remove("acme")),
        (vec![defined(), archived()], archive()),
    ] {
        FlagScenario::with(()).given(given).when(command).then_expect_events(vec![]);
    }
}

#[test]
fn an_archived_flag_is_defined_again_without_its_overrides() {
    let given = vec![defined(), is_set("acme", "b"), archived()];
    FlagScenario::with(()).given(given.clone()).when(define()).then_expect_events(vec![defined()]);
    let mut flag = fold(given);
    assert_eq!(assigned(&flag, "acme"), ("control".to_owned(), AssignmentReason::Undefined));
    flag.evolve(defined());
    assert_eq!(assigned(&flag, "acme"), ("control".to_owned(), AssignmentReason::Disabled));
}

#[test]
fn commands_that_the_state_forbids_are_refused() {
    for (given, command, refusal) in [
        (vec![], switch(true), FeatureFlagError::NotDefined),
        (vec![], set("acme", "b"), FeatureFlagError::NotDefined),
        (vec![], archive(), FeatureFlagError::NotDefined),
        (vec![defined(), archived()], switch(true), FeatureFlagError::Archived),
        (vec![defined(), archived()], remove("acme"), FeatureFlagError::Archived),
        (vec![defined(), switched(true)], define(), FeatureFlagError::AlreadyDefined),
        (vec![defined(), is_set("acme", "b")], define(), FeatureFlagError::AlreadyDefined),
        (vec![defined()], change(&[("b", 1), ("control", 1)]), FeatureFlagError::ControlChanged),
        (vec![defined(), is_set("acme", "b")], change(&[("control", 1), ("c", 1)]), FeatureFlagError::VariantInUse),
        (vec![defined()], set("acme", "c"), FeatureFlagError::UnknownVariant),
    ] {
        FlagScenario::with(()).given(given).when(command).then_expect_error(refusal);
    }
}

#[test]
fn the_number_of_overrides_is_bounded() {
    let overrides = (0..MAX_OVERRIDES).map(|number| is_set(&format!("tenant-{number}"), "b"));
    let given: Vec<_> = [defined()].into_iter().chain(overrides).collect();
    let flag = fold(given);
    assert_eq!(flag.decide(set("one-more", "b")), Err(FeatureFlagError::TooManyOverrides));
    assert_eq!(flag.decide(set("tenant-0", "control")), Ok(vec![is_set("tenant-0", "control")]));
}

#[test]
fn constructors_validate_values() {
    assert_eq!(FlagKey::try_new(" search.ranking ").unwrap().as_str(), "search.ranking");
    for bad in ["Search", "search:ranking", "search_ranking", ""] {
        assert!(FlagKey::try_new(bad).is_err() && VariantName::try_new(bad).is_err(), "{bad}");
    }
    for (bad, expected) in [
        (vec![], "at least two"),
        (vec![("control", 1)], "at least two"),
        (vec![("control", 1), ("control", 1)], "different names"),
        (vec![("control", 0), ("b", 0)], "one weight above 0"),
        (vec![("control", 1), ("b", MAX_WEIGHT + 1)], "weights from 0 to 10000"),
    ] {
        let error = FlagVariants::try_new(list(&bad)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let names: Vec<_> = (0..=MAX_VARIANTS).map(|number| format!("v{number}")).collect();
    let too_many: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    assert_eq!(
        FlagVariants::try_new(list(&too_many)),
        Err(InvalidValue::TooMany { what: "variants", max: MAX_VARIANTS })
    );
}

#[test]
fn known_experiments_have_valid_keys() {
    for experiment in KnownExperiment::ALL {
        assert_eq!(FlagKey::try_new(experiment.name()), Ok(experiment.key()));
    }
    assert_eq!(VariantName::try_new(CONTROL), Ok(VariantName::control()));
}

/// The variants of [`define`].
const DEFINED: &[(&str, u32)] = &[("control", 1), ("b", 1)];

fn fold(events: Vec<FeatureFlagEvent>) -> FeatureFlag {
    let mut flag = FeatureFlag::default();
    for event in events {
        flag.evolve(event);
    }
    flag
}

fn assigned(flag: &FeatureFlag, tenant_id: &str) -> (String, AssignmentReason) {
    let assignment = flag.compute_assignment(&key(), &tenant(tenant_id));
    (assignment.variant.to_string(), assignment.reason)
}

fn key() -> FlagKey {
    KnownExperiment::SearchRanking.key()
}

fn tenant(id: &str) -> TenantId {
    TenantId::try_new(id).unwrap()
}

fn variant(name: &str) -> VariantName {
    VariantName::try_new(name).unwrap()
}

fn list(weights: &[(&str, u32)]) -> Vec<FlagVariant> {
    weights.iter().map(|(name, weight)| FlagVariant { name: variant(name), weight: *weight }).collect()
}

fn variants(weights: &[(&str, u32)]) -> FlagVariants {
    FlagVariants::try_new(list(weights)).unwrap()
}

fn stamp() -> AuditStamp {
    AuditStamp { by: UserId::try_new("ann").unwrap(), at: "2026-03-03T12:00:00Z".parse().unwrap() }
}

fn description() -> FlagDescription {
    FlagDescription::try_new("Ranking of hits").unwrap()
}

fn reason() -> FlagReason {
    FlagReason::try_new("a trial").unwrap()
}

fn define() -> FeatureFlagCommand {
    FeatureFlagCommand::Define {
        description: description(),
        variants: variants(DEFINED),
        enabled: false,
        stamp: stamp(),
    }
}

fn switch(enabled: bool) -> FeatureFlagCommand {
    FeatureFlagCommand::Switch { enabled, reason: reason(), stamp: stamp() }
}

fn change(weights: &[(&str, u32)]) -> FeatureFlagCommand {
    FeatureFlagCommand::ChangeVariants { variants: variants(weights), reason: reason(), stamp: stamp() }
}

fn set(id: &str, name: &str) -> FeatureFlagCommand {
    FeatureFlagCommand::SetOverride { tenant: tenant(id), variant: variant(name), reason: reason(), stamp: stamp() }
}

fn remove(id: &str) -> FeatureFlagCommand {
    FeatureFlagCommand::RemoveOverride { tenant: tenant(id), reason: reason(), stamp: stamp() }
}

fn archive() -> FeatureFlagCommand {
    FeatureFlagCommand::Archive { reason: reason(), stamp: stamp() }
}

fn defined() -> FeatureFlagEvent {
    FeatureFlagEvent::Defined {
        description: description(),
        variants: variants(DEFINED),
        enabled: false,
        stamp: stamp(),
    }
}

fn switched(enabled: bool) -> FeatureFlagEvent {
    FeatureFlagEvent::Switched { enabled, reason: reason(), stamp: stamp() }
}

fn changed(weights: &[(&str, u32)]) -> FeatureFlagEvent {
    FeatureFlagEvent::VariantsChanged { variants: variants(weights), reason: reason(), stamp: stamp() }
}

fn is_set(id: &str, name: &str) -> FeatureFlagEvent {
    FeatureFlagEvent::OverrideSet { tenant: tenant(id), variant: variant(name), reason: reason(), stamp: stamp() }
}

fn removed(id: &str) -> FeatureFlagEvent {
    FeatureFlagEvent::OverrideRemoved { tenant: tenant(id), reason: reason(), stamp: stamp() }
}

fn archived() -> FeatureFlagEvent {
    FeatureFlagEvent::Archived { reason: reason(), stamp: stamp() }
}
