//! Properties that hold for any sequence of commands.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn any_command() -> impl Strategy<Value = InboxCommand> {
    prop_oneof![
        6 => (0_u128..12, 0_i64..50).prop_map(|(number, at)| notify(number, at)),
        3 => (prop::collection::vec(0_u128..12, 0..6), 0_i64..50).prop_map(|(numbers, at)| mark(&numbers, at)),
        1 => (0_i64..50).prop_map(mark_all),
        3 => (0_u128..12, 0_i64..50).prop_map(|(number, at)| dismiss(number, at)),
    ]
}

/// Decides and folds the commands; returns the final state and the recorded events.
fn apply_commands(mut state: Inbox, commands: Vec<InboxCommand>) -> (Inbox, Vec<InboxEvent>) {
    let mut log = vec![];
    for command in commands {
        let events = state.decide(command).unwrap();
        events.iter().cloned().for_each(|event| state.evolve(event));
        log.extend(events);
    }
    (state, log)
}

proptest! {
    #[test]
    fn replaying_the_events_gives_the_same_state(commands in prop::collection::vec(any_command(), 0..60)) {
        let (state, log) = apply_commands(Inbox::default(), commands);
        let stored = serde_json::to_string(&log).unwrap();
        prop_assert_eq!(&state_after(&serde_json::from_str::<Vec<_>>(&stored).unwrap()), &state);
        let snapshot = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(serde_json::from_str::<Inbox>(&snapshot).unwrap(), state);
    }

    #[test]
    fn every_notification_is_recorded_read_and_dismissed_at_most_once(
        commands in prop::collection::vec(any_command(), 0..60)
    ) {
        let (mut recorded, mut read, mut dismissed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for event in apply_commands(Inbox::default(), commands).1 {
            match event {
                InboxEvent::Notified { notification, .. } => {
                    prop_assert!(recorded.insert(notification.notification_id));
                }
                InboxEvent::Read { notification_ids, .. } => {
                    prop_assert!(!notification_ids.is_empty() && notification_ids.len() <= MAX_MARKED_READ);
                    for id in notification_ids {
                        prop_assert!(recorded.contains(&id) && !dismissed.contains(&id) && read.insert(id));
                    }
                }
                InboxEvent::AllRead { .. } => {
                    let before = read.len();
                    read.extend(recorded.difference(&dismissed).copied());
                    prop_assert!(read.len() > before, "an event although none was unread");
                }
                InboxEvent::Dismissed { notification_id, .. } => {
                    prop_assert!(recorded.contains(&notification_id) && dismissed.insert(notification_id));
                }
                InboxEvent::MailPreferencesChanged { .. }
                | InboxEvent::MailUnsubscribed { .. }
                | InboxEvent::MailRequested { .. }
                | InboxEvent::MailAttempted { .. }
                | InboxEvent::MailSent { .. }
                | InboxEvent::MailFailed { .. }
                | InboxEvent::MailSuppressed { .. } => prop_assert!(false, "mail without an address"),
            }
        }
    }

    #[test]
    fn entries_and_read_states_follow_from_the_commands(commands in prop::collection::vec(any_command(), 0..60)) {
        // Id -> whether it is read; `None` once it was dismissed.
        let mut expected = BTreeMap::<NotificationId, Option<bool>>::new();
        for command in &commands {
            match command {
                InboxCommand::Notify { notification, .. } => {
                    expected.entry(notification.notification_id).or_insert(Some(false));
                }
                InboxCommand::MarkRead { notification_ids, .. } => {
                    let marked = expected.iter_mut().filter(|(id, _)| notification_ids.contains(**id));
                    marked.for_each(|(_, read)| *read = read.map(|_| true));
                }
                InboxCommand::MarkAllRead { .. } => expected.values_mut().for_each(|read| *read = read.map(|_| true)),
                InboxCommand::Dismiss { notification_id, .. } => {
                    if let Some(read) = expected.get_mut(notification_id) {
                        *read = None;
                    }
                }
                InboxCommand::ChangeMailPreferences { .. }
                | InboxCommand::UnsubscribeMail { .. }
                | InboxCommand::RequestDigest { .. }
                | InboxCommand::StartMailAttempt { .. }
                | InboxCommand::RecordMailOutcome { .. } => {}
            }
        }
        let state = apply_commands(Inbox::default(), commands).0;
        let entries: BTreeMap<_, _> = state.entries().map(|entry| (entry.id(), !entry.is_unread())).collect();
        prop_assert_eq!(entries.len(), state.entries().len(), "an id occurs twice");
        prop_assert_eq!(state.unread_count(), entries.values().filter(|read| !**read).count());
        let expected: BTreeMap<_, _> = expected.into_iter().filter_map(|(id, read)| Some((id, read?))).collect();
        prop_assert_eq!(entries, expected);
    }

    #[test]
    fn a_full_inbox_stays_bounded_and_replays_to_the_same_state(
        commands in prop::collection::vec(any_command(), 0..40),
        more in 0_u128..30,
    ) {
        // Numbers that no command has, a few less than the limit, so that only some runs exceed it.
        let before: Vec<_> = (100..100 + MAX_ENTRIES as u128 - 8).map(|number| notified(number, 0)).collect();
        let later = (5_000..5_000 + more).map(|number| notify(number, 60));
        let (state, log) = apply_commands(state_after(&before), commands.into_iter().chain(later).collect());
        prop_assert!(state.entries().len() <= MAX_ENTRIES && state.unread_count() <= state.entries().len());
        prop_assert!(state.removed_ids.len() <= MAX_REMOVED_IDS);
        let mut recorded: Vec<_> = before.iter().chain(&log).filter_map(|event| match event {
            InboxEvent::Notified { notification, .. } => Some(notification.notification_id),
            InboxEvent::Read { .. }
            | InboxEvent::AllRead { .. }
            | InboxEvent::Dismissed { .. }
            | InboxEvent::MailPreferencesChanged { .. }
            | InboxEvent::MailUnsubscribed { .. }
            | InboxEvent::MailRequested { .. }
            | InboxEvent::MailAttempted { .. }
            | InboxEvent::MailSent { .. }
            | InboxEvent::MailFailed { .. }
            | InboxEvent::MailSuppressed { .. } => None,
        }).collect();
        recorded.retain(|id| !state.removed_ids.contains(id));
        prop_assert_eq!(state.entries().map(InboxEntry::id).collect::<Vec<_>>(), recorded, "in the order of arrival");
        prop_assert_eq!(state_after(&[before, log].concat()), state);
    }
}
