//! What the store holds is what the log says, and whatever is not is named.

use std::collections::BTreeSet;

use domain::envelope::RawEnvelope;
use projections::{
    opportunity_views::KeyShard,
    runtime::{Projection, ReadModelRow, RowKey, ScopeSelection, VerifyScope},
};

use super::{
    ViewsFixture, apply_live,
    engagement::{engagement, now},
    in_shard, stream_key,
};
use tests::opportunity_history::{SHIP, VALVES, WHEELCHAIRS, history};

fn all_events() -> Vec<RawEnvelope> {
    [history(), engagement()].concat()
}

async fn held(opened: &ViewsFixture, scope: &VerifyScope) -> BTreeSet<ReadModelRow> {
    let rows = opened.views.read_back(scope).await.unwrap();
    let count = rows.len();
    let rows: BTreeSet<_> = rows.into_iter().collect();
    assert_eq!(rows.len(), count, "a row twice");
    assert_eq!(held_again(opened, scope, &rows).await, rows);
    rows
}

/// The same rows, by their keys instead of by a scan.
async fn held_again(
    opened: &ViewsFixture,
    scope: &VerifyScope,
    rows: &BTreeSet<ReadModelRow>,
) -> BTreeSet<ReadModelRow> {
    let mut scan = opened.views.scan_store(ScopeSelection::new([scope])).unwrap();
    let keys: Vec<_> = rows.iter().cloned().map(RowKey::from).collect();
    let again: BTreeSet<_> = scan.read_rows(&keys).await.unwrap().into_iter().collect();
    again.intersection(rows).cloned().collect()
}

fn expected(opened: &ViewsFixture, events: &[RawEnvelope], scope: &VerifyScope) -> BTreeSet<ReadModelRow> {
    let mut fold = opened.views.fold(scope);
    for event in events {
        fold.apply_event(event).unwrap();
    }
    fold.expected_rows().into_iter().collect()
}

#[tokio::test]
async fn what_is_held_is_what_the_log_says() {
    let (opened, events) = (ViewsFixture::new().await, all_events());
    apply_live(&opened.views, &events).await;

    let all = held(&opened, &VerifyScope::all_buckets()).await;
    assert_eq!(all, expected(&opened, &events, &VerifyScope::all_buckets()));
    // Three opportunities, two visits and two watchlists; of the latter, parts in one, two, two and two shards.
    assert_eq!(all.len(), 7 + 7);
    let totals = held(&opened, &VerifyScope::Totals).await;
    assert_eq!(totals, expected(&opened, &events, &VerifyScope::Totals));
    let mut parts = BTreeSet::new();
    for range in [0..=99, 100..=255] {
        let scope = VerifyScope::Buckets(range);
        let part = held(&opened, &scope).await;
        assert_eq!(part, expected(&opened, &events, &scope));
        parts.extend(part);
    }
    assert_eq!(parts, all);
}

#[tokio::test]
async fn events_that_are_missing_or_twice_are_noticed_by_the_fold() {
    let (opened, events) = (ViewsFixture::new().await, history());
    let wheelchairs: Vec<_> = events.into_iter().filter(|event| event.aggregate_id == WHEELCHAIRS).collect();
    for scope in [VerifyScope::all_buckets(), VerifyScope::Totals] {
        let mut fold = opened.views.fold(&scope);
        fold.apply_event(&wheelchairs[0]).unwrap();
        fold.apply_event(&wheelchairs[1]).unwrap();
        let rows =
            |fold: &dyn projections::runtime::ReadModelFold| fold.expected_rows().into_iter().collect::<BTreeSet<_>>();
        let before = rows(&*fold);
        fold.apply_event(&wheelchairs[0]).unwrap();
        fold.apply_event(&wheelchairs[3]).unwrap_err();
        assert_eq!(rows(&*fold), before);
    }
}

/// What somebody does to a key behind our back, and the row that has to differ for it.
type TamperCase<'a> = (&'a str, String, &'a [&'a str], &'a str, String);

#[tokio::test]
async fn whatever_is_not_as_the_log_says_is_a_differing_row() {
    let (view, today) = (stream_key("opportunity", VALVES), now().date_naive());
    let board = in_shard(SHIP, &format!("top:viewed:{today}"));
    let counters = in_shard(VALVES, "counters:opportunities");
    let part = in_shard(SHIP, "watchlist_part:ann");
    let moved = format!("{{{}}}:opportunity:{VALVES}", KeyShard::for_id(SHIP));
    let harms: [TamperCase; 16] = [
        ("HSET", view.clone(), &["version", "9"], "opportunity", VALVES.to_owned()),
        ("HSET", view.clone(), &["state", r#""Undiscovered""#], "opportunity", VALVES.to_owned()),
        ("HSET", view.clone(), &["colour", "red"], "opportunity", VALVES.to_owned()),
        ("SET", view.clone(), &["text"], "opportunity", VALVES.to_owned()),
        ("DEL", view, &[], "opportunity", VALVES.to_owned()),
        ("HSET", stream_key("visit", "visit-2"), &["version", "3"], "visit", "visit-2".to_owned()),
        ("HSET", stream_key("watchlist", "ann"), &["state", "{}"], "watchlist", "ann".to_owned()),
        ("HSET", part.clone(), &["state", "{}"], "watchlist_part", in_shard(SHIP, "ann")),
        ("DEL", part, &[], "watchlist_part", in_shard(SHIP, "ann")),
        ("HSET", moved.clone(), &["version", "1"], "unknown", moved),
        ("SET", "oportunity:1".to_owned(), &["?"], "unknown", "oportunity:1".to_owned()),
        ("HSET", counters.clone(), &["total", "4"], "figures", format!("{counters} total")),
        ("ZADD", board.clone(), &["4", SHIP], "figures", format!("{board} {SHIP}")),
        ("SET", in_shard(SHIP, "generation"), &["g7"], "generation", "generation".to_owned()),
        ("DEL", in_shard("any", "generation"), &[], "generation", "generation".to_owned()),
        ("SREM", "tags".to_owned(), &["63"], "generation", "generation".to_owned()),
    ];
    let events = all_events();
    for (command, key, arguments, table, row) in harms {
        let opened = ViewsFixture::new().await;
        apply_live(&opened.views, &events).await;
        opened.on::<redis::Value>(command, &key, arguments).await;
        let mut different = BTreeSet::new();
        for scope in [VerifyScope::all_buckets(), VerifyScope::Totals] {
            let (held, expected) = (held(&opened, &scope).await, expected(&opened, &events, &scope));
            different.extend(held.symmetric_difference(&expected).map(|row| (row.table, row.key.clone())));
        }
        assert_eq!(different, BTreeSet::from([(table, row)]), "{command} {key} {arguments:?}");
    }
}

#[tokio::test]
async fn another_spelling_of_a_state_is_the_same() {
    let (opened, events) = (ViewsFixture::new().await, all_events());
    apply_live(&opened.views, &events).await;
    let key = stream_key("opportunity", VALVES);
    let stored: String = opened.on("HGET", &key, &["state"]).await;
    let value: serde_json::Value = serde_json::from_str(&stored).unwrap();
    let spelt = serde_json::to_string_pretty(&value).unwrap();
    assert_ne!(spelt, stored);
    opened.on::<u64>("HSET", &key, &["state", &spelt]).await;

    let scope = VerifyScope::all_buckets();
    assert_eq!(held(&opened, &scope).await, expected(&opened, &events, &scope));
}
