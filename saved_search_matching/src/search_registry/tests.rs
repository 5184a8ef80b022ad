//! What recorded events make of searches and members.

use std::sync::Arc;

use cqrs_es::DomainEvent;
use domain::{
    company::{CompanyEvent, CompanyName, Role},
    envelope::Envelope,
    value::{AuditStamp, UserId},
    watchlist::{NotificationFrequency, SearchId},
};
use serde::Serialize;
use uuid::Uuid;

use super::{member_roster::MemberRoster, *};
use crate::{SearchEntry, SearchKey};

/// An event as it is recorded.
pub(crate) fn recorded_event<E: DomainEvent + Serialize>(
    tenant: &str,
    aggregate_type: &str,
    aggregate_id: &str,
    position: u64,
    event: &E,
) -> RawEnvelope {
    Envelope {
        position,
        event_id: Uuid::from_u128(u128::from(position)),
        tenant_id: tenant.to_owned(),
        aggregate_type: aggregate_type.to_owned(),
        aggregate_id: aggregate_id.to_owned(),
        sequence: 1,
        event_type: event.event_type(),
        event_version: event.event_version(),
        recorded_at: chrono::DateTime::UNIX_EPOCH,
        metadata: EventMetadata::default(),
        payload: serde_json::to_string(event).unwrap(),
    }
}

fn search_key(user: &str) -> SearchKey {
    SearchKey { tenant_id: Arc::from("acme"), user_id: Arc::from(user), search_id: SearchId::new(Uuid::from_u128(1)) }
}

#[test]
fn who_has_left_is_not_a_member_until_added_again() {
    let user = UserId::from_program("ann");
    let stamp = AuditStamp { by: user.clone(), at: chrono::DateTime::UNIX_EPOCH };
    let added = CompanyEvent::MemberAdded { user: user.clone(), role: Role::Viewer, stamp: stamp.clone() };
    let removed = CompanyEvent::MemberRemoved { user: user.clone(), stamp: stamp.clone() };
    let name = CompanyName::try_new("Acme").unwrap();
    let registered = CompanyEvent::Registered { name, founder: UserId::from_program("bob"), stamp };
    let mut roster = MemberRoster::default();
    let members = |roster: &MemberRoster| ["ann", "bob"].map(|user| roster.member_since(&search_key(user)));
    assert_eq!(members(&roster), [None, None]);
    roster.apply_event("acme", &registered, 1);
    roster.apply_event("acme", &added, 2);
    assert_eq!(members(&roster), [Some(2), Some(1)]);
    roster.apply_event("acme", &removed, 3);
    roster.apply_event("zenith", &added, 4);
    assert_eq!(members(&roster), [None, Some(1)]);
    roster.apply_event("acme", &added, 5);
    assert_eq!(members(&roster), [Some(5), Some(1)]);
}

#[test]
fn a_new_name_keeps_the_position_and_new_criteria_do_not() {
    let entry = |naics: &str, name: &str, position| SearchEntry {
        key: search_key("ann"),
        name: name.into(),
        notify: NotificationFrequency::AtOnce,
        saved_at_position: position,
        active_since: position,
        text: None,
        agencies: Box::default(),
        naics: Box::new([naics.into()]),
        set_asides: Box::default(),
    };
    let before = entry("33", "a", 7);
    assert_eq!(entry("33", "b", 9).continued_from(Some(&before)), entry("33", "b", 7));
    let changed = SearchEntry { active_since: 7, ..entry("62", "a", 9) };
    assert_eq!(entry("62", "a", 9).continued_from(Some(&before)), changed);
    assert_eq!(entry("33", "a", 9).continued_from(None), entry("33", "a", 9));
}
