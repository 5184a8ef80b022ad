use std::collections::BTreeSet;

use proptest::prelude::*;
use redis_connections::key_slot;

use super::*;
use crate::{
    fixture::discovered,
    opportunity_views::{EngagementKind, ViewEvent, VisitEngagement, WatchlistChange},
    storage::redis::{RedisConfig, ScriptCall},
};

fn opportunity_id() -> impl Strategy<Value = String> {
    (0..40_u32).prop_map(|n| format!("036:36C10G26R{n:04}"))
}

fn change() -> impl Strategy<Value = (String, ViewEvent)> {
    let day = "2026-03-01".parse().unwrap();
    let visit =
        move |(kind, opportunity)| ViewEvent::Visit(VisitEngagement { kind, opportunity, day, recorded_on: day });
    let at = "2026-03-01T12:00:00Z".parse().unwrap();
    let watchlist = prop_oneof![
        opportunity_id().prop_map(move |opportunity| WatchlistChange::Saved { opportunity, at }),
        opportunity_id().prop_map(|opportunity| WatchlistChange::Unsaved { opportunity }),
        Just(WatchlistChange::SearchChanged),
    ];
    prop_oneof![
        opportunity_id().prop_map(|id| (id, ViewEvent::Opportunity(discovered("Lifts")))),
        (
            "visit-[0-9]",
            (prop::sample::select(EngagementKind::ALL.to_vec()), prop::option::of(opportunity_id())).prop_map(visit)
        ),
        ("(ann|bob|\\{odd\\}|\\}\\{)", watchlist.prop_map(ViewEvent::Watchlist)),
    ]
}

/// Numbers the events of each stream.
fn batch(events: Vec<(String, ViewEvent)>) -> Vec<ViewChange> {
    let mut changes: Vec<ViewChange> = vec![];
    for (id, event) in events {
        let change = ViewChange { id, sequence: 0, event };
        let is_same =
            |other: &&ViewChange| other.id == change.id && StateKind::of_stream(other) == StateKind::of_stream(&change);
        let sequence = changes.iter().filter(is_same).count() as u64 + 1;
        changes.push(ViewChange { sequence, ..change });
    }
    changes
}

// A client needs a runtime, although it never connects here.
fn views(key_prefix: &str) -> OpportunityViews {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _guard = runtime.enter();
    OpportunityViews::new(&RedisConfig { key_prefix: key_prefix.to_owned(), ..RedisConfig::default() }).unwrap()
}

proptest! {
    #[test]
    fn every_script_call_has_the_keys_of_one_slot(events in prop::collection::vec(change(), 1..60)) {
        for prefix in ["medhub:", "", "odd{prefix:"] {
            let (views, changes) = (views(prefix), batch(events.clone()));
            let sorted = sort_by_stream(&changes);
            let batches = views.group_by_stream(&sorted);
            let calls = views.store.first_calls(&batches);

            let slots: Vec<BTreeSet<u16>> =
                calls.iter().map(|call| call.keys().iter().map(key_slot).collect()).collect();
            prop_assert!(slots.iter().all(|slots| slots.len() == 1), "{calls:?}");
            // There is one call for each slot, and each call has the marker as its first key.
            prop_assert_eq!(slots.iter().flatten().collect::<BTreeSet<_>>().len(), calls.len());
            let has_marker = calls.iter().all(|call| call.keys()[0].ends_with("}:generation"));
            prop_assert!(has_marker, "{calls:?}");
            let written: usize = batches.iter().map(|batch| batch.keys().len()).sum();
            let states = |key: &String| StateKind::ALL.iter().any(|kind| key.contains(&format!("}}:{}:", kind.name())));
            prop_assert_eq!(calls.iter().flat_map(ScriptCall::keys).filter(states).count(), written);
        }
    }
}
