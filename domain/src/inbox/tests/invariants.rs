//! What holds for any sequence of wishes.

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

/// Asks for all of it; the state after and what was recorded.
fn apply_commands(mut state: Inbox, wishes: Vec<InboxCommand>) -> (Inbox, Vec<InboxEvent>) {
    let mut log = vec![];
    for wish in wishes {
        let events = state.decide(wish).unwrap();
        events.iter().cloned().for_each(|event| state.evolve(event));
        log.extend(events);
    }
    (state, log)
}

proptest! {
    #[test]
    fn folding_the_events_anew_gives_the_same_state(wishes in prop::collection::vec(any_command(), 0..60)) {
        let (state, log) = apply_commands(Inbox::default(), wishes);
        let stored = serde_json::to_string(&log).unwrap();
        prop_assert_eq!(&state_after(&serde_json::from_str::<Vec<_>>(&stored).unwrap()), &state);
        let snapshot = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(serde_json::from_str::<Inbox>(&snapshot).unwrap(), state);
    }

    #[test]
    fn every_notification_is_told_once_read_once_and_dismissed_once(
        wishes in prop::collection::vec(any_command(), 0..60)
    ) {
        let (mut told, mut read, mut dismissed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for event in apply_commands(Inbox::default(), wishes).1 {
            match event {
                InboxEvent::Notified { notification, .. } => prop_assert!(told.insert(notification.notification_id)),
                InboxEvent::Read { notification_ids, .. } => {
                    prop_assert!(!notification_ids.is_empty() && notification_ids.len() <= MAX_MARKED_READ);
                    for id in notification_ids {
                        prop_assert!(told.contains(&id) && !dismissed.contains(&id) && read.insert(id));
                    }
                }
                InboxEvent::AllRead { .. } => {
                    let before = read.len();
                    read.extend(told.difference(&dismissed).copied());
                    prop_assert!(read.len() > before, "none was unread");
                }
                InboxEvent::Dismissed { notification_id, .. } => {
                    prop_assert!(told.contains(&notification_id) && dismissed.insert(notification_id));
                }
            }
        }
    }

    #[test]
    fn what_is_kept_and_unread_is_what_was_asked_for(wishes in prop::collection::vec(any_command(), 0..60)) {
        // Id -> whether it is read; `None` once it was dismissed.
        let mut expected = BTreeMap::<NotificationId, Option<bool>>::new();
        for wish in &wishes {
            match wish {
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
            }
        }
        let state = apply_commands(Inbox::default(), wishes).0;
        let kept: BTreeMap<_, _> = state.entries().map(|kept| (kept.id(), !kept.is_unread())).collect();
        prop_assert_eq!(kept.len(), state.entries().len(), "no id twice");
        prop_assert_eq!(state.unread_count(), kept.values().filter(|read| !**read).count());
        let expected: BTreeMap<_, _> = expected.into_iter().filter_map(|(id, read)| Some((id, read?))).collect();
        prop_assert_eq!(kept, expected);
    }

    #[test]
    fn a_full_inbox_stays_bounded_and_replays_to_the_same(
        wishes in prop::collection::vec(any_command(), 0..40),
        more in 0_u128..30,
    ) {
        // Numbers beyond those of the wishes, up to the limit less a few, so that some runs pass it and some do not.
        let before: Vec<_> = (100..100 + MAX_ENTRIES as u128 - 8).map(|number| notified(number, 0)).collect();
        let later = (5_000..5_000 + more).map(|number| notify(number, 60));
        let (state, log) = apply_commands(state_after(&before), wishes.into_iter().chain(later).collect());
        prop_assert!(state.entries().len() <= MAX_ENTRIES && state.unread_count() <= state.entries().len());
        prop_assert!(state.removed_ids.len() <= MAX_REMOVED_IDS);
        let mut told: Vec<_> = before.iter().chain(&log).filter_map(|event| match event {
            InboxEvent::Notified { notification, .. } => Some(notification.notification_id),
            InboxEvent::Read { .. } | InboxEvent::AllRead { .. } | InboxEvent::Dismissed { .. } => None,
        }).collect();
        told.retain(|id| !state.removed_ids.contains(id));
        prop_assert_eq!(state.entries().map(InboxEntry::id).collect::<Vec<_>>(), told, "in the order of telling");
        prop_assert_eq!(state_after(&[before, log].concat()), state);
    }
}
