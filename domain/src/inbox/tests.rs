//! Tests of an inbox: given events, when a command, then events or a refusal.

mod invariants;
mod mail;
mod reading;
mod stored_form;
mod values;

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::test::TestFramework;
use uuid::Uuid;

use super::*;
use crate::value::{AuditStamp, UserId};

type InboxScenario = TestFramework<Inbox>;

fn expect_events(given: &[InboxEvent], when: InboxCommand, then: Vec<InboxEvent>) {
    InboxScenario::with(()).given(given.to_vec()).when(when).then_expect_events(then);
}

#[test]
fn an_inbox_is_empty_from_the_start() {
    assert_eq!((Inbox::default().entries().len(), Inbox::default().unread_count()), (0, 0));
}

#[test]
fn a_user_is_notified() {
    expect_events(&[], notify(1, 0), vec![notified(1, 0)]);
}

#[test]
fn a_repeated_notification_id_changes_nothing_with_any_content() {
    expect_events(&[notified(1, 0)], notify(1, 5), vec![]);
    let reworded = Notification { title: NotificationTitle::try_new("other").unwrap(), ..notification(1) };
    expect_events(&[notified(1, 0)], InboxCommand::Notify { notification: reworded, stamp: stamp(5) }, vec![]);
}

#[test]
fn read_and_unread_notifications_can_be_dismissed() {
    expect_events(&[notified(1, 0)], dismiss(1, 1), vec![dismissed(1, 1)]);
    expect_events(&[notified(1, 0), read(&[1], 1)], dismiss(1, 2), vec![dismissed(1, 2)]);
    assert_eq!(
        state_after(&[notified(1, 0), notified(2, 0), dismissed(1, 1)])
            .entries()
            .map(InboxEntry::id)
            .collect::<Vec<_>>(),
        [id(2)]
    );
}

#[test]
fn dismissing_an_unknown_or_dismissed_notification_changes_nothing() {
    expect_events(&[notified(1, 0)], dismiss(2, 1), vec![]);
    expect_events(&[notified(1, 0), dismissed(1, 1)], dismiss(1, 2), vec![]);
}

#[test]
fn a_dismissed_notification_that_is_sent_again_stays_dismissed() {
    expect_events(&[notified(1, 0), dismissed(1, 1)], notify(1, 2), vec![]);
}

#[test]
fn entries_are_in_the_order_of_arrival_with_their_stamps() {
    let state = state_after(&[notified(2, 0), notified(1, 5)]);
    assert_eq!(state.entries().map(InboxEntry::id).collect::<Vec<_>>(), [id(2), id(1)]);
    let newest = state.entries().next_back().unwrap();
    assert_eq!((newest.notification(), newest.stamp()), (&notification(1), &stamp(5)));
    assert_eq!((state.find_entry(id(1)), state.find_entry(id(3))), (Some(newest), None));
}

#[test]
fn a_full_inbox_removes_the_oldest_notification() {
    let mut state = state_after(&full());
    assert_eq!((state.entries().len(), state.unread_count()), (MAX_ENTRIES, MAX_ENTRIES));
    state.evolve(notified(5_000, 1));
    assert_eq!((state.entries().len(), state.unread_count()), (MAX_ENTRIES, MAX_ENTRIES));
    assert_eq!(state.entries().next().unwrap().id(), id(1));
    assert_eq!(state.entries().next_back().unwrap().id(), id(5_000));
}

#[test]
fn commands_on_a_replaced_notification_change_nothing() {
    let given = [full(), vec![notified(5_000, 1)]].concat();
    expect_events(&given, notify(0, 2), vec![]);
    expect_events(&given, dismiss(0, 2), vec![]);
    expect_events(&given, mark(&[0], 2), vec![]);
}

#[test]
fn the_number_of_stored_removed_ids_is_limited() {
    let last = MAX_ENTRIES + MAX_REMOVED_IDS;
    let events: Vec<_> = (0..=last).map(|number| notified(number as u128, 0)).collect();
    expect_events(&events, notify(1, 2), vec![]);
    expect_events(&events, notify(0, 2), vec![notified(0, 2)]);
}

fn full() -> Vec<InboxEvent> {
    (0..MAX_ENTRIES).map(|number| notified(number as u128, 0)).collect()
}

fn state_after(events: &[InboxEvent]) -> Inbox {
    let mut state = Inbox::default();
    events.iter().cloned().for_each(|event| state.evolve(event));
    state
}

fn minute(minute: i64) -> DateTime<Utc> {
    "2026-03-03T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute)
}

fn stamp(at: i64) -> AuditStamp {
    AuditStamp { by: UserId::try_new("ann").unwrap(), at: minute(at) }
}

fn id(number: u128) -> NotificationId {
    NotificationId::new(Uuid::from_u128(number))
}

fn notification(number: u128) -> Notification {
    Notification::new(
        id(number),
        NotificationKind::OpportunityMatched,
        NotificationTitle::try_new("Patient lifts").unwrap(),
        NotificationBody::try_new("It fits your profile.").unwrap(),
    )
}

fn notify(number: u128, at: i64) -> InboxCommand {
    InboxCommand::Notify { notification: notification(number), stamp: stamp(at) }
}

fn mark(numbers: &[u128], at: i64) -> InboxCommand {
    let notification_ids = NotificationIds::try_new(numbers.iter().copied().map(id)).unwrap();
    InboxCommand::MarkRead { notification_ids, stamp: stamp(at) }
}

fn mark_all(at: i64) -> InboxCommand {
    InboxCommand::MarkAllRead { stamp: stamp(at) }
}

fn dismiss(number: u128, at: i64) -> InboxCommand {
    InboxCommand::Dismiss { notification_id: id(number), stamp: stamp(at) }
}

fn notified(number: u128, at: i64) -> InboxEvent {
    InboxEvent::Notified { notification: notification(number), stamp: stamp(at) }
}

fn read(numbers: &[u128], at: i64) -> InboxEvent {
    InboxEvent::Read { notification_ids: numbers.iter().copied().map(id).collect(), stamp: stamp(at) }
}

fn all_read(at: i64) -> InboxEvent {
    InboxEvent::AllRead { stamp: stamp(at) }
}

fn dismissed(number: u128, at: i64) -> InboxEvent {
    InboxEvent::Dismissed { notification_id: id(number), stamp: stamp(at) }
}
