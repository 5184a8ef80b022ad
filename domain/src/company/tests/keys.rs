//! The keys of a company's machines.

use super::*;

#[test]
fn a_key_is_issued_and_revoked() {
    let given = [registered("Acme"), issued(1, "ci")];
    expect(&given[..1], issue(1, "ci"), vec![issued(1, "ci")]);
    expect(&given, revoke(1), vec![revoked(1)]);
}

#[test]
fn what_is_met_already_changes_nothing() {
    let given = [registered("Acme"), issued(1, "ci"), revoked(1)];
    expect(&given[..2], issue(1, "ci"), vec![]);
    expect(&given, revoke(1), vec![]);
}

#[test]
fn a_keys_id_and_name_are_its_own() {
    let given = [registered("Acme"), issued(1, "ci")];
    refuse(&given, issue(1, "other"), CompanyError::KeyIdTaken);
    refuse(&given, issue(2, "ci"), CompanyError::KeyNameTaken);
    let gone = [registered("Acme"), issued(1, "ci"), revoked(1)];
    refuse(&gone, issue(1, "ci"), CompanyError::KeyIdTaken);
    expect(&gone, issue(2, "ci"), vec![issued(2, "ci")]);
}

#[test]
fn only_what_was_issued_is_revoked() {
    refuse(&[registered("Acme")], revoke(1), CompanyError::NoSuchKey);
}

#[test]
fn a_company_has_so_many_keys_and_no_more() {
    let mut given = vec![registered("Acme")];
    given.extend((0..MAX_KEYS).map(|number| issued(number as u128, &format!("key-{number}"))));
    refuse(&given, issue(1_000, "more"), CompanyError::TooManyKeys);
    given.push(revoked(0));
    expect(&given, issue(1_000, "more"), vec![issued(1_000, "more")]);
}

#[test]
fn a_key_counts_until_it_expires_or_is_revoked() {
    let ends = "2026-04-01T00:00:00Z".parse().unwrap();
    let key = ApiKey { expires_at: Some(ends), ..key(1, "ci") };
    let id = key.key_id;
    let given = [registered("Acme"), CompanyEvent::ApiKeyIssued { key, stamp: stamp() }];
    let before = ends - chrono::TimeDelta::seconds(1);
    let state = after(&given);
    assert!(state.roster().unwrap().valid_key(id, before).is_some());
    assert!(state.roster().unwrap().valid_key(id, ends).is_none());
    let state = after(&[&given[..], &[revoked(1)]].concat());
    assert!(state.roster().unwrap().valid_key(id, before).is_none());
}

#[test]
fn a_key_allows_something_and_its_hash_is_one() {
    assert_eq!(Scopes::try_new([]), Err(InvalidValue::Empty { what: "scopes" }));
    let scopes = Scopes::try_new([Scope::Read]).unwrap();
    assert!(scopes.allow(Scope::Read) && !scopes.allow(Scope::Write));
    for wrong in ["secret", &"AB".repeat(32), &"g".repeat(64)] {
        let refusal = KeyHash::try_new(wrong).unwrap_err().to_string();
        assert!(!refusal.contains(wrong), "it may be a secret: {refusal}");
    }
}
