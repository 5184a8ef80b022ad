//! Given a state, when an input arrives, then a state, commands and timers.

use super::*;
use crate::TimerChange;

fn search(notify: NotificationFrequency) -> AlertedSearch {
    AlertedSearch {
        search_id: SearchId::new(Uuid::from_u128(7)),
        name: "Lifts".to_owned(),
        user: UserId::from_program("ann"),
        notify,
        window: "2026-11-29T17.40".to_owned(),
    }
}

fn open(notify: NotificationFrequency, recorded: u32, announced: u32, more: u64) -> SavedSearchAlertProcess {
    SavedSearchAlertProcess::Open { search: search(notify), recorded, announced, more }
}

fn opportunity(id: &str) -> SavedSearchMatch {
    SavedSearchMatch::Opportunity(MatchAnnouncement {
        opportunity_id: id.to_owned(),
        title: "Patient\nlifts".to_owned(),
        summary: "A solicitation.".to_owned(),
    })
}

fn when(
    state: &SavedSearchAlertProcess,
    notify: NotificationFrequency,
    found: SavedSearchMatch,
) -> ProcessReaction<SavedSearchAlertProcess> {
    state.react(ProcessInput::Event(&SavedSearchAlertInput { search: search(notify), found }))
}

fn notifications(reaction: &ProcessReaction<SavedSearchAlertProcess>) -> Vec<(&str, Option<&str>)> {
    reaction.commands.iter().filter_map(title_and_link).collect()
}

fn title_and_link(command: &ProcessCommand) -> Option<(&str, Option<&str>)> {
    let ProcessCommand::NotifyUser { notification, .. } = command else { return None };
    Some((notification.title.as_str(), notification.link.as_ref().map(NotificationLink::as_str)))
}

#[test]
fn the_first_match_is_announced_and_starts_the_hour() {
    let at_once = NotificationFrequency::AtOnce;
    let reaction = when(&SavedSearchAlertProcess::NotStarted, at_once, opportunity("036:A"));
    assert_eq!(reaction.next, Some(open(at_once, 1, 1, 0)));
    assert_eq!(notifications(&reaction), [("Lifts: Patient lifts", Some("/opportunities/036:A"))]);
    assert_eq!(reaction.timers, [TimerChange::Set { name: HOUR_TIMER, after: Duration::from_hours(1) }]);
}

#[test]
fn matches_beyond_the_limit_are_announced_together_at_the_end_of_the_hour() {
    let at_once = NotificationFrequency::AtOnce;
    let full = open(at_once, MAX_ALERTS_PER_HOUR, MAX_ALERTS_PER_HOUR, 0);
    let reaction = when(&full, at_once, opportunity("036:B"));
    let counted = open(at_once, MAX_ALERTS_PER_HOUR + 1, MAX_ALERTS_PER_HOUR, 1);
    assert_eq!((reaction.commands.len(), reaction.next.as_ref()), (0, Some(&counted)));
    let reaction = when(&counted, at_once, SavedSearchMatch::More(1_203));
    let state = reaction.next.unwrap();
    let reaction = state.react(ProcessInput::Timeout(HOUR_TIMER));
    assert_eq!(reaction.next, Some(SavedSearchAlertProcess::Closed));
    assert_eq!(notifications(&reaction), [("Lifts: 1,204 more opportunities", None)]);
}

#[test]
fn an_hour_without_further_matches_ends_without_a_notification() {
    let reaction = open(NotificationFrequency::AtOnce, 3, 3, 0).react(ProcessInput::Timeout(HOUR_TIMER));
    assert_eq!(reaction, ProcessReaction::move_to(SavedSearchAlertProcess::Closed));
}

#[test]
fn matches_for_a_digest_are_recorded_and_never_announced() {
    let daily = NotificationFrequency::Daily;
    let reaction = when(&SavedSearchAlertProcess::NotStarted, daily, opportunity("036:A"));
    assert_eq!((reaction.commands.len(), reaction.next), (0, Some(open(daily, 1, 0, 0))));
    let full = open(daily, MAX_RECORDED_PER_HOUR, 0, 0);
    let reaction = when(&full, daily, SavedSearchMatch::More(9));
    assert_eq!((reaction.commands.len(), reaction.next.as_ref()), (0, Some(&full)));
    let reaction = full.react(ProcessInput::Timeout(HOUR_TIMER));
    assert_eq!(reaction, ProcessReaction::move_to(SavedSearchAlertProcess::Closed));
}

#[test]
fn a_match_is_announced_as_the_search_says_when_it_is_found() {
    let (at_once, daily) = (NotificationFrequency::AtOnce, NotificationFrequency::Daily);
    let reaction = when(&open(daily, 3, 0, 0), at_once, opportunity("036:A"));
    assert_eq!((reaction.commands.len(), reaction.next), (1, Some(open(at_once, 4, 1, 0))));
    let reaction = when(&open(at_once, 3, 3, 2), daily, opportunity("036:A"));
    assert_eq!((reaction.commands.len(), reaction.next.as_ref()), (0, Some(&open(daily, 4, 3, 2))));
    // Those that were counted before are in no digest.
    let reaction = open(daily, 4, 3, 2).react(ProcessInput::Timeout(HOUR_TIMER));
    assert_eq!(notifications(&reaction), [("Lifts: 2 more opportunities", None)]);
}

#[test]
fn a_further_instance_of_the_hour_has_notifications_of_its_own() {
    let state = |window: &str| SavedSearchAlertProcess::Open {
        search: AlertedSearch { window: window.to_owned(), ..search(NotificationFrequency::AtOnce) },
        recorded: 20,
        announced: 20,
        more: 2,
    };
    let end_hour = |window| state(window).react(ProcessInput::Timeout(HOUR_TIMER)).commands;
    assert_ne!(end_hour("2026-11-29T17.40"), end_hour("2026-11-29T17.57"));
}

#[test]
fn a_cancelled_hour_announces_nothing_more() {
    let state = open(NotificationFrequency::AtOnce, 50, 20, 30);
    let reaction = state.react(ProcessInput::Cancelled { reason: "the search was removed" });
    assert_eq!(reaction, ProcessReaction::move_to(SavedSearchAlertProcess::Closed));
    let late = when(&SavedSearchAlertProcess::Closed, NotificationFrequency::AtOnce, opportunity("036:A"));
    assert_eq!(late, ProcessReaction::none());
    assert_eq!(SavedSearchAlertProcess::Closed.recordable_matches(), 0);
}

#[test]
fn a_number_of_matches_is_recorded_one_by_one() {
    let at_once = NotificationFrequency::AtOnce;
    assert_eq!(SavedSearchAlertProcess::NotStarted.recordable_matches(), MAX_RECORDED_PER_HOUR);
    assert_eq!(open(at_once, MAX_RECORDED_PER_HOUR - 1, 20, 0).recordable_matches(), 1);
    assert_eq!(open(at_once, MAX_RECORDED_PER_HOUR, 20, 0).recordable_matches(), 0);
}

#[test]
fn thousands_are_grouped() {
    assert_eq!([0, 999, 1_204, 1_000_000].map(group_thousands), ["0", "999", "1,204", "1,000,000"]);
}
