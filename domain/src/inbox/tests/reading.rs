//! Tests of marking notifications as read.

use super::*;

#[test]
fn only_the_marked_notifications_become_read() {
    let given = [notified(1, 0), notified(2, 0), notified(3, 0)];
    expect_events(&given, mark(&[3, 1], 1), vec![read(&[1, 3], 1)]);
    let state = state_after(&[&given[..], &[read(&[1, 3], 1)]].concat());
    assert_eq!(state.unread_count(), 1);
    assert_eq!(state.find_entry(id(2)).unwrap().read_at(), None);
    assert_eq!(state.find_entry(id(3)).unwrap().read_at(), Some(minute(1)));
}

#[test]
fn the_event_names_only_notifications_that_were_unread() {
    let given = [notified(1, 0), notified(2, 0), read(&[1], 1)];
    expect_events(&given, mark(&[1, 2], 2), vec![read(&[2], 2)]);
}

#[test]
fn marking_read_or_unknown_or_no_notifications_changes_nothing() {
    let given = [notified(1, 0), read(&[1], 1), notified(2, 2)];
    for numbers in [&[1][..], &[7], &[1, 7], &[]] {
        expect_events(&given, mark(numbers, 3), vec![]);
    }
}

#[test]
fn unknown_ids_are_ignored() {
    expect_events(&[notified(1, 0)], mark(&[7, 1, 8], 1), vec![read(&[1], 1)]);
}

#[test]
fn all_notifications_are_marked_as_read_together() {
    let given = [notified(1, 0), read(&[1], 1), notified(2, 2)];
    expect_events(&given, mark_all(3), vec![all_read(3)]);
    let state = state_after(&[&given[..], &[all_read(3)]].concat());
    assert_eq!(state.unread_count(), 0);
    let times: Vec<_> = state.entries().map(InboxEntry::read_at).collect();
    assert_eq!(times, [Some(minute(1)), Some(minute(3))], "the first time of reading stays");
}

#[test]
fn marking_all_as_read_without_unread_ones_changes_nothing() {
    expect_events(&[], mark_all(1), vec![]);
    expect_events(&[notified(1, 0), all_read(1)], mark_all(2), vec![]);
    expect_events(&[notified(1, 0), dismissed(1, 1)], mark_all(2), vec![]);
}

#[test]
fn a_later_notification_is_unread() {
    let state = state_after(&[notified(1, 0), all_read(1), notified(2, 2)]);
    assert_eq!(state.unread_count(), 1);
    assert!(state.find_entry(id(2)).unwrap().is_unread());
}
