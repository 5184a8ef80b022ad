//! The keys of a company's machines.

use super::*;

#[test]
fn a_key_is_issued_and_revoked() {
    let given = [registered("Acme"), issued(1, "ci")];
    expect_events(&given[..1], issue(1, "ci"), vec![issued(1, "ci")]);
    expect_events(&given, revoke(1), vec![revoked(1)]);
}

#[test]
fn what_is_met_already_changes_nothing() {
    let given = [registered("Acme"), issued(1, "ci"), revoked(1)];
    expect_events(&given[..2], issue(1, "ci"), vec![]);
    expect_events(&given, revoke(1), vec![]);
}

#[test]
fn a_keys_id_and_name_are_its_own() {
    let given = [registered("Acme"), issued(1, "ci")];
    expect_refusal(&given, issue(1, "other"), CompanyError::KeyIdTaken);
    expect_refusal(&given, issue(2, "ci"), CompanyError::KeyNameTaken);
    let gone = [registered("Acme"), issued(1, "ci"), revoked(1)];
    expect_refusal(&gone, issue(1, "ci"), CompanyError::KeyIdTaken);
    expect_events(&gone, issue(2, "ci"), vec![issued(2, "ci")]);
}

#[test]
fn only_what_was_issued_is_revoked() {
    expect_refusal(&[registered("Acme")], revoke(1), CompanyError::NoSuchKey);
}

#[test]
fn a_company_has_so_many_keys_and_no_more() {
    let mut given = vec![registered("Acme")];
    given.extend((0..MAX_API_KEYS).map(|number| issued(number as u128, &format!("key-{number}"))));
    expect_refusal(&given, issue(1_000, "more"), CompanyError::TooManyKeys);
    given.push(revoked(0));
    expect_events(&given, issue(1_000, "more"), vec![issued(1_000, "more")]);
}

#[test]
fn a_key_counts_until_it_expires_or_is_revoked() {
    let ends = "2026-04-01T00:00:00Z".parse().unwrap();
    let key = ApiKey { expires_at: Some(ends), ..key(1, "ci") };
    let id = key.key_id;
    let given = [registered("Acme"), CompanyEvent::ApiKeyIssued { key, stamp: stamp() }];
    let before = ends - chrono::TimeDelta::seconds(1);
    let state = state_after(&given);
    assert!(state.as_registered().unwrap().find_valid_key(id, before).is_some());
    assert!(state.as_registered().unwrap().find_valid_key(id, ends).is_none());
    let state = state_after(&[&given[..], &[revoked(1)]].concat());
    assert!(state.as_registered().unwrap().find_valid_key(id, before).is_none());
}

#[test]
fn a_key_allows_something_and_its_hash_is_one() {
    assert_eq!(ScopeSet::try_new([]), Err(InvalidValue::Empty { what: "scopes" }));
    let scopes = ScopeSet::try_new([Scope::Read]).unwrap();
    assert!(scopes.contains(Scope::Read) && !scopes.contains(Scope::Write));
    for wrong in ["secret", &"AB".repeat(32), &"g".repeat(64)] {
        let refusal = KeyHash::try_new(wrong).unwrap_err().to_string();
        assert!(!refusal.contains(wrong), "it may be a secret: {refusal}");
    }
}
