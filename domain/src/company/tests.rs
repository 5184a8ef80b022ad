//! What a company does with what it is asked.

mod invariants;
mod keys;
mod members;
mod stored_form;

use cqrs_es::test::TestFramework;

use super::*;
use crate::{
    opportunity::{Naics, SetAside},
    value::{InvalidValue, Stamp, UserId},
};

type Scenario = TestFramework<Company>;

fn expect(given: &[CompanyEvent], when: CompanyCommand, then: Vec<CompanyEvent>) {
    Scenario::with(()).given(given.to_vec()).when(when).then_expect_events(then);
}

fn refuse(given: &[CompanyEvent], when: CompanyCommand, then: CompanyError) {
    Scenario::with(()).given(given.to_vec()).when(when).then_expect_error(then);
}

#[test]
fn a_company_is_registered_once() {
    expect(&[], register("Acme"), vec![registered("Acme")]);
    expect(&[registered("Acme")], register("Acme"), vec![]);
    refuse(&[registered("Acme")], register("Other"), CompanyError::AlreadyRegistered);
}

#[test]
fn a_profile_is_changed_to_what_it_is_not() {
    let changed = CompanyEvent::ProfileChanged { profile: Box::new(profile()), stamp: stamp() };
    let change = || CompanyCommand::ChangeProfile { profile: Box::new(profile()), stamp: stamp() };
    expect(&[registered("Acme")], change(), vec![changed.clone()]);
    expect(&[registered("Acme"), changed], change(), vec![]);
}

#[test]
fn what_is_not_registered_can_be_asked_nothing() {
    for command in [add("bob", Role::Viewer), close()] {
        refuse(&[], command, CompanyError::NotRegistered);
    }
}

#[test]
fn a_closed_company_is_closed_for_good_and_nobody_acts_for_it() {
    let given = [registered("Acme"), issued(1, "ci"), closed()];
    expect(&given[..2], close(), vec![closed()]);
    expect(&given, close(), vec![]);
    for command in [register("Acme"), add("bob", Role::Viewer), issue(2, "x")] {
        refuse(&given, command, CompanyError::Closed);
    }
    assert_eq!(after(&given).roster(), None);
}

#[test]
fn values_check_themselves() {
    assert_eq!(Uei::try_new("abcdefghj123").unwrap().as_str(), "ABCDEFGHJ123");
    assert!(Uei::try_new("short").is_err() && Cage::try_new("1A2B3").is_ok() && Cage::try_new("1A2B-").is_err());
    let many: std::collections::BTreeSet<_> =
        (0..=MAX_NAICS).map(|number| Naics::try_new(&format!("{number:06}")).unwrap()).collect();
    let wide = Profile { naics: many, ..profile() };
    assert_eq!(wide.checked(), Err(InvalidValue::TooMany { what: "NAICS codes", max: MAX_NAICS }));
    assert!(profile().checked().is_ok());
}

fn after(events: &[CompanyEvent]) -> Company {
    let mut state = Company::default();
    events.iter().cloned().for_each(|event| state.evolve(event));
    state
}

fn stamp() -> Stamp {
    Stamp { by: user("ann"), at: "2026-03-03T12:00:00Z".parse().unwrap() }
}

fn user(name: &str) -> UserId {
    UserId::try_new(name).unwrap()
}

fn profile() -> Profile {
    Profile {
        capabilities: Some(Capabilities::try_new("Patient lifts.").unwrap()),
        naics: [Naics::try_new("339113").unwrap()].into(),
        set_asides: [SetAside::try_new("SDVOSBC").unwrap()].into(),
        uei: Some(Uei::try_new("ABCDEFGHJ123").unwrap()),
        ..Profile::named(CompanyName::try_new("Acme Medical").unwrap())
    }
}

fn key(number: u128, name: &str) -> ApiKey {
    ApiKey {
        key_id: ApiKeyId::new(uuid::Uuid::from_u128(number)),
        name: KeyName::try_new(name).unwrap(),
        hash: KeyHash::try_new(&"ab".repeat(32)).unwrap(),
        scopes: Scopes::try_new([Scope::Read, Scope::Ingest]).unwrap(),
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
