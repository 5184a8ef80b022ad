//! Tests of API keys.

use super::*;

#[test]
fn a_key_is_issued_and_revoked() {
    let given = [registered("Acme"), issued(1, "ci")];
    expect_events(&given[..1], issue(1, "ci"), vec![issued(1, "ci")]);
    expect_events(&given, revoke(1), vec![revoked(1)]);
}

#[test]
fn a_repeated_command_changes_nothing() {
    let given = [registered("Acme"), issued(1, "ci"), revoked(1)];
    expect_events(&given[..2], issue(1, "ci"), vec![]);
    expect_events(&given, revoke(1), vec![]);
}

#[test]
fn key_ids_and_names_are_unique_and_ids_are_never_reused() {
    let given = [registered("Acme"), issued(1, "ci")];
    expect_refusal(&given, issue(1, "other"), CompanyError::KeyIdTaken);
    expect_refusal(&given, issue(2, "ci"), CompanyError::KeyNameTaken);
    let after_revocation = [registered("Acme"), issued(1, "ci"), revoked(1)];
    expect_refusal(&after_revocation, issue(1, "ci"), CompanyError::KeyIdTaken);
    expect_events(&after_revocation, issue(2, "ci"), vec![issued(2, "ci")]);
}

#[test]
fn revoking_an_unknown_key_is_refused() {
    expect_refusal(&[registered("Acme")], revoke(1), CompanyError::NoSuchKey);
}

#[test]
fn the_number_of_keys_is_limited() {
    let mut given = vec![registered("Acme")];
    given.extend((0..MAX_API_KEYS).map(|number| issued(number as u128, &format!("key-{number}"))));
    expect_refusal(&given, issue(1_000, "more"), CompanyError::TooManyKeys);
    given.push(revoked(0));
    expect_events(&given, issue(1_000, "more"), vec![issued(1_000, "more")]);
}

#[test]
fn a_key_is_valid_until_it_expires_or_is_revoked() {
    let expiry = "2026-04-01T00:00:00Z".parse().unwrap();
    let key = ApiKey { expires_at: Some(expiry), ..key(1, "ci") };
    let id = key.key_id;
    let given = [registered("Acme"), CompanyEvent::ApiKeyIssued { key, stamp: stamp() }];
    let before = expiry - chrono::TimeDelta::seconds(1);
    let state = state_after(&given);
    assert!(state.as_registered().unwrap().find_valid_key(id, before).is_some());
    assert!(state.as_registered().unwrap().find_valid_key(id, expiry).is_none());
    let state = state_after(&[&given[..], &[revoked(1)]].concat());
    assert!(state.as_registered().unwrap().find_valid_key(id, before).is_none());
}

#[test]
fn a_key_needs_a_scope_and_a_valid_hash() {
    assert_eq!(ScopeSet::try_new([]), Err(InvalidValue::Empty { what: "scopes" }));
    let scopes = ScopeSet::try_new([Scope::Read]).unwrap();
    assert!(scopes.contains(Scope::Read) && !scopes.contains(Scope::Write));
    for wrong in ["secret", &"AB".repeat(32), &"g".repeat(64)] {
        let refusal = KeyHash::try_new(wrong).unwrap_err().to_string();
        assert!(!refusal.contains(wrong), "the error quotes the text, which may be a secret: {refusal}");
    }
}
