//! Properties that hold for any sequence of notices.

use proptest::prelude::*;

use super::*;

fn any_notice() -> impl Strategy<Value = Notice> {
    (0_u8..5, 1_u32..28, 0_u8..3, prop::option::of(1_u32..28), prop::option::of(0_u8..3), any::<bool>()).prop_map(
        |(id, day, title, deadline, award_number, text)| {
            let mut notice = notice(&format!("n{id}"), day);
            notice.details.title = format!("title {title}");
            notice.details.response_deadline = deadline.map(march);
            notice.award = award_number.map(|number| award(&format!("W{number}")));
            if text {
                notice.source = NoticeSource::SamText;
            }
            notice
        },
    )
}

fn apply_commands(state: &mut Opportunity, notice: &Notice) -> Vec<OpportunityEvent> {
    let events = state.decide(record(notice)).unwrap();
    for event in events.clone() {
        state.evolve(event);
    }
    events
}

proptest! {
    #[test]
    fn a_repeated_notice_changes_nothing(
        notices in prop::collection::vec(any_notice(), 1..20),
    ) {
        let mut state = Opportunity::default();
        for notice in &notices {
            apply_commands(&mut state, notice);
            prop_assert_eq!(apply_commands(&mut state, notice), vec![]);
        }
    }

    #[test]
    fn replaying_the_events_gives_the_same_state(notices in prop::collection::vec(any_notice(), 1..20)) {
        let mut state = Opportunity::default();
        let events: Vec<_> = notices.iter().flat_map(|notice| apply_commands(&mut state, notice)).collect();
        let stored = serde_json::to_string(&events).unwrap();
        prop_assert_eq!(fold_events(serde_json::from_str(&stored).unwrap()), state);
    }

    #[test]
    fn posting_times_of_the_record_are_ordered(notices in prop::collection::vec(any_notice(), 1..20)) {
        let mut state = Opportunity::default();
        for notice in &notices {
            apply_commands(&mut state, notice);
        }
        let current = state.record().unwrap();
        let latest = notices.iter().map(|notice| notice.posted_at).max().unwrap();
        prop_assert!(current.posted_at <= latest);
        prop_assert!(current.first_posted_at <= current.posted_at);
    }

    #[test]
    fn a_file_imported_twice_adds_nothing(
        notices in prop::collection::btree_map(0_u8..12, any_notice(), 1..12),
    ) {
        // A file contains every notice once.
        let file: Vec<_> = notices
            .into_iter()
            .map(|(id, notice)| Notice { notice_id: NoticeId::try_new(&format!("n{id}")).unwrap(), ..notice })
            .collect();
        let mut state = Opportunity::default();
        for notice in &file {
            apply_commands(&mut state, notice);
        }
        for notice in &file {
            prop_assert_eq!(apply_commands(&mut state, notice), vec![]);
        }
    }

    #[test]
    fn a_partial_import_followed_by_a_full_one_gives_the_events_of_one_import(
        notices in prop::collection::btree_map(0_u8..12, any_notice(), 1..12),
        share in any::<prop::sample::Index>(),
    ) {
        let file: Vec<_> = notices
            .into_iter()
            .map(|(id, notice)| Notice { notice_id: NoticeId::try_new(&format!("n{id}")).unwrap(), ..notice })
            .collect();
        let mut whole = Opportunity::default();
        let expected: Vec<_> = file.iter().flat_map(|notice| apply_commands(&mut whole, notice)).collect();
        let cut = share.index(file.len());
        let mut state = Opportunity::default();
        let mut events: Vec<_> = file[..cut].iter().flat_map(|notice| apply_commands(&mut state, notice)).collect();
        events.extend(file.iter().flat_map(|notice| apply_commands(&mut state, notice)));
        prop_assert_eq!(events, expected);
    }
}
