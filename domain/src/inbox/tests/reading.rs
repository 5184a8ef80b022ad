//! What counts as read.

use super::*;

#[test]
fn some_are_read_and_the_others_stay_unread() {
    let given = [notified(1, 0), notified(2, 0), notified(3, 0)];
    expect_events(&given, mark(&[3, 1], 1), vec![read(&[1, 3], 1)]);
    let state = state_after(&[&given[..], &[read(&[1, 3], 1)]].concat());
    assert_eq!(state.unread_count(), 1);
    assert_eq!(state.find_entry(id(2)).unwrap().read_at(), None);
    assert_eq!(state.find_entry(id(3)).unwrap().read_at(), Some(minute(1)));
}

#[test]
fn only_those_are_recorded_that_were_unread() {
    let given = [notified(1, 0), notified(2, 0), read(&[1], 1)];
    expect_events(&given, mark(&[1, 2], 2), vec![read(&[2], 2)]);
}

#[test]
fn marking_what_is_read_or_unknown_or_nothing_changes_nothing() {
    let given = [notified(1, 0), read(&[1], 1), notified(2, 2)];
    for numbers in [&[1][..], &[7], &[1, 7], &[]] {
        expect_events(&given, mark(numbers, 3), vec![]);
    }
}

#[test]
fn unknown_ones_are_passed_over() {
    expect_events(&[notified(1, 0)], mark(&[7, 1, 8], 1), vec![read(&[1], 1)]);
}

#[test]
fn all_are_read_at_once() {
    let given = [notified(1, 0), read(&[1], 1), notified(2, 2)];
    expect_events(&given, mark_all(3), vec![all_read(3)]);
    let state = state_after(&[&given[..], &[all_read(3)]].concat());
    assert_eq!(state.unread_count(), 0);
    let times: Vec<_> = state.entries().map(InboxEntry::read_at).collect();
    assert_eq!(times, [Some(minute(1)), Some(minute(3))], "what was read keeps its time");
}

#[test]
fn with_none_unread_there_is_nothing_to_read() {
    expect_events(&[], mark_all(1), vec![]);
    expect_events(&[notified(1, 0), all_read(1)], mark_all(2), vec![]);
    expect_events(&[notified(1, 0), dismissed(1, 1)], mark_all(2), vec![]);
}

#[test]
fn what_comes_after_is_unread() {
    let state = state_after(&[notified(1, 0), all_read(1), notified(2, 2)]);
    assert_eq!(state.unread_count(), 1);
    assert!(state.find_entry(id(2)).unwrap().is_unread());
}
