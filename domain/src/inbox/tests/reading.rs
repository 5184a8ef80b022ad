//! What counts as read.

use super::*;

#[test]
fn some_are_read_and_the_others_stay_unread() {
    let given = [notified(1, 0), notified(2, 0), notified(3, 0)];
    expect(&given, mark(&[3, 1], 1), vec![read(&[1, 3], 1)]);
    let state = after(&[&given[..], &[read(&[1, 3], 1)]].concat());
    assert_eq!(state.unread(), 1);
    assert_eq!(state.find(id(2)).unwrap().read_at(), None);
    assert_eq!(state.find(id(3)).unwrap().read_at(), Some(minute(1)));
}

#[test]
fn only_those_are_recorded_that_were_unread() {
    let given = [notified(1, 0), notified(2, 0), read(&[1], 1)];
    expect(&given, mark(&[1, 2], 2), vec![read(&[2], 2)]);
}

#[test]
fn marking_what_is_read_or_unknown_or_nothing_changes_nothing() {
    let given = [notified(1, 0), read(&[1], 1), notified(2, 2)];
    for numbers in [&[1][..], &[7], &[1, 7], &[]] {
        expect(&given, mark(numbers, 3), vec![]);
    }
}

#[test]
fn unknown_ones_are_passed_over() {
    expect(&[notified(1, 0)], mark(&[7, 1, 8], 1), vec![read(&[1], 1)]);
}

#[test]
fn all_are_read_at_once() {
    let given = [notified(1, 0), read(&[1], 1), notified(2, 2)];
    expect(&given, mark_all(3), vec![all_read(3)]);
    let state = after(&[&given[..], &[all_read(3)]].concat());
    assert_eq!(state.unread(), 0);
    let times: Vec<_> = state.kept().map(Kept::read_at).collect();
    assert_eq!(times, [Some(minute(1)), Some(minute(3))], "what was read keeps its time");
}

#[test]
fn with_none_unread_there_is_nothing_to_read() {
    expect(&[], mark_all(1), vec![]);
    expect(&[notified(1, 0), all_read(1)], mark_all(2), vec![]);
    expect(&[notified(1, 0), dismissed(1, 1)], mark_all(2), vec![]);
}

#[test]
fn what_comes_after_is_unread() {
    let state = after(&[notified(1, 0), all_read(1), notified(2, 2)]);
    assert_eq!(state.unread(), 1);
    assert!(state.find(id(2)).unwrap().is_unread());
}
