//! Tests of a company: given events, when a command, then events or a refusal.

mod invariants;
mod keys;
mod members;
mod stored_form;

use cqrs_es::test::TestFramework;

use super::*;
use crate::{
    opportunity::{NaicsCode, SetAside},
    value::{AuditStamp, InvalidValue, UserId},
};

type CompanyScenario = TestFramework<Company>;

fn expect_events(given: &[CompanyEvent], when: CompanyCommand, then: Vec<CompanyEvent>) {
    CompanyScenario::with(()).given(given.to_vec()).when(when).then_expect_events(then);
}

fn expect_refusal(given: &[CompanyEvent], when: CompanyCommand, then: CompanyError) {
    CompanyScenario::with(()).given(given.to_vec()).when(when).then_expect_error(then);
}

#[test]
fn a_company_is_registered_once() {
    expect_events(&[], register("Acme"), vec![registered("Acme")]);
    expect_events(&[registered("Acme")], register("Acme"), vec![]);
    expect_refusal(&[registered("Acme")], register("Other"), CompanyError::AlreadyRegistered);
}

#[test]
fn changing_the_profile_to_the_same_one_changes_nothing() {
    let changed = CompanyEvent::ProfileChanged { profile: Box::new(profile()), stamp: stamp() };
    let change = || CompanyCommand::ChangeProfile { profile: Box::new(profile()), stamp: stamp() };
    expect_events(&[registered("Acme")], change(), vec![changed.clone()]);
    expect_events(&[registered("Acme"), changed], change(), vec![]);
}

#[test]
fn commands_to_an_unregistered_company_are_refused() {
    for command in [add("bob", Role::Viewer), close()] {
        expect_refusal(&[], command, CompanyError::NotRegistered);
    }
}

#[test]
fn a_closed_company_refuses_every_command_but_close() {
    let given = [registered("Acme"), issued(1, "ci"), closed()];
    expect_events(&given[..2], close(), vec![closed()]);
    expect_events(&given, close(), vec![]);
    for command in [register("Acme"), add("bob", Role::Viewer), issue(2, "x")] {
        expect_refusal(&given, command, CompanyError::Closed);
    }
    assert_eq!(state_after(&given).as_registered(), None);
}

#[test]
fn constructors_validate_values() {
    assert_eq!(Uei::try_new("abcdefghj123").unwrap().as_str(), "ABCDEFGHJ123");
    assert!(
        Uei::try_new("short").is_err() && CageCode::try_new("1A2B3").is_ok() && CageCode::try_new("1A2B-").is_err()
    );
    let too_many: std::collections::BTreeSet<_> =
        (0..=MAX_NAICS_CODES).map(|number| NaicsCode::try_new(&format!("{number:06}")).unwrap()).collect();
    let invalid = CompanyProfile { naics: too_many, ..profile() };
    assert_eq!(invalid.validate(), Err(InvalidValue::TooMany { what: "NAICS codes", max: MAX_NAICS_CODES }));
    assert!(profile().validate().is_ok());
}

fn state_after(events: &[CompanyEvent]) -> Company {
    let mut state = Company::default();
    events.iter().cloned().for_each(|event| state.evolve(event));
    state
}

fn stamp() -> AuditStamp {
    AuditStamp { by: user("ann"), at: "2026-03-03T12:00:00Z".parse().unwrap() }
}

fn user(name: &str) -> UserId {
    UserId::try_new(name).unwrap()
}

fn profile() -> CompanyProfile {
    CompanyProfile {
        capabilities: Some(CapabilityText::try_new("Patient lifts.").unwrap()),
        naics: [NaicsCode::try_new("339113").unwrap()].into(),
        set_asides: [SetAside::try_new("SDVOSBC").unwrap()].into(),
        uei: Some(Uei::try_new("ABCDEFGHJ123").unwrap()),
        ..CompanyProfile::with_name(CompanyName::try_new("Acme Medical").unwrap())
    }
}

fn key(number: u128, name: &str) -> ApiKey {
    ApiKey {
        key_id: ApiKeyId::new(uuid::Uuid::from_u128(number)),
        name: KeyName::try_new(name).unwrap(),
        hash: KeyHash::try_new(&"ab".repeat(32)).unwrap(),
        scopes: ScopeSet::try_new([Scope::Read, Scope::Ingest]).unwrap(),
        expires_at: None,
    }
}

fn register(name: &str) -> CompanyCommand {
    CompanyCommand::Register { name: CompanyName::try_new(name).unwrap(), founder: user("ann"), stamp: stamp() }
}

fn add(name: &str, role: Role) -> CompanyCommand {
    CompanyCommand::AddMember { user: user(name), role, stamp: stamp() }
}

fn change(name: &str, role: Role) -> CompanyCommand {
    CompanyCommand::ChangeRole { user: user(name), role, stamp: stamp() }
}

fn remove(name: &str) -> CompanyCommand {
    CompanyCommand::RemoveMember { user: user(name), stamp: stamp() }
}

fn issue(number: u128, name: &str) -> CompanyCommand {
    CompanyCommand::IssueApiKey { key: key(number, name), stamp: stamp() }
}

fn revoke(number: u128) -> CompanyCommand {
    CompanyCommand::RevokeApiKey { key_id: key(number, "x").key_id, stamp: stamp() }
}

fn close() -> CompanyCommand {
    CompanyCommand::Close { reason: ClosingReason::try_new("merged").unwrap(), stamp: stamp() }
}

fn registered(name: &str) -> CompanyEvent {
    CompanyEvent::Registered { name: CompanyName::try_new(name).unwrap(), founder: user("ann"), stamp: stamp() }
}

fn added(name: &str, role: Role) -> CompanyEvent {
    CompanyEvent::MemberAdded { user: user(name), role, stamp: stamp() }
}

fn changed(name: &str, role: Role) -> CompanyEvent {
    CompanyEvent::RoleChanged { user: user(name), role, stamp: stamp() }
}

fn removed(name: &str) -> CompanyEvent {
    CompanyEvent::MemberRemoved { user: user(name), stamp: stamp() }
}

fn issued(number: u128, name: &str) -> CompanyEvent {
    CompanyEvent::ApiKeyIssued { key: key(number, name), stamp: stamp() }
}

fn revoked(number: u128) -> CompanyEvent {
    CompanyEvent::ApiKeyRevoked { key_id: key(number, "x").key_id, stamp: stamp() }
}

fn closed() -> CompanyEvent {
    CompanyEvent::Closed { reason: ClosingReason::try_new("merged").unwrap(), stamp: stamp() }
}
