//! The store holds what the log says; every difference is reported.

use std::collections::BTreeSet;

use domain::envelope::RawEnvelope;
use projections::{
    opportunity_lists::OpportunityLists,
    runtime::{Projection, ReadModelRow, VerifyScope},
};
use sqlx::Executor as _;
use tests::opportunity_history::{VALVES, WHEELCHAIRS, history};

use super::apply_live;

pub(super) async fn read_rows(lists: &OpportunityLists, scope: &VerifyScope) -> BTreeSet<ReadModelRow> {
    let rows = lists.read_back(scope).await.unwrap();
    let count = rows.len();
    let rows: BTreeSet<_> = rows.into_iter().collect();
    assert_eq!(rows.len(), count, "a row twice");
    rows
}

pub(super) fn expected(
    lists: &OpportunityLists,
    events: &[RawEnvelope],
    scope: &VerifyScope,
) -> BTreeSet<ReadModelRow> {
    let mut fold = lists.fold(scope);
    for event in events {
        fold.apply_event(event).unwrap();
        // Verify may see an event twice.
        fold.apply_event(event).unwrap();
    }
    fold.expected_rows().into_iter().collect()
}

#[tokio::test]
async fn what_is_held_is_what_the_log_says() {
    let (lists, events) = (tests::lists().await, history());
    apply_live(&lists, &events).await;

    let all = read_rows(&lists, &VerifyScope::all_buckets()).await;
    assert_eq!(all, expected(&lists, &events, &VerifyScope::all_buckets()));
    // Three opportunities and three awards.
    assert_eq!(all.len(), 6);
    let totals = read_rows(&lists, &VerifyScope::Totals).await;
    assert_eq!(totals, expected(&lists, &events, &VerifyScope::Totals));
    assert!(totals.len() > 20);
    let mut parts = BTreeSet::new();
    for range in [0..=99, 100..=255] {
        let scope = VerifyScope::Buckets(range);
        let part = read_rows(&lists, &scope).await;
        assert_eq!(part, expected(&lists, &events, &scope));
        parts.extend(part);
    }
    assert_eq!(parts, all);
}

#[tokio::test]
async fn whatever_is_not_as_the_log_says_is_a_differing_row() {
    let pool = tests::shared_database().await;
    for (statement, table, key) in [
        (format!("update opportunities set title = 'X' where id = '{VALVES}'"), "opportunities", VALVES),
        (format!("update opportunities set posted_rank = 0 where id = '{VALVES}'"), "opportunities", VALVES),
        (format!("update opportunities set terms = '' where id = '{VALVES}'"), "opportunities", VALVES),
        (format!("update opportunities set facets = '{{}}' where id = '{VALVES}'"), "opportunities", VALVES),
        (format!("update opportunities set naics_sector = null where id = '{VALVES}'"), "opportunities", VALVES),
        (
            format!("update opportunities set awarded_cents = 5 where id = '{WHEELCHAIRS}'"),
            "opportunities",
            WHEELCHAIRS,
        ),
        (format!("delete from opportunities where id = '{VALVES}'"), "opportunities", VALVES),
        (format!("update awards set amount_cents = 5 where opportunity_id = '{WHEELCHAIRS}'"), "awards", WHEELCHAIRS),
        ("update counters set opportunities = 4 where dimension = 0".to_owned(), "counters", "0= 0= 0="),
        ("delete from counters where value = '097' and other_dimension = 0".to_owned(), "counters", "1=097 0= 0="),
        (
            "update counters set awarded_cents = 1 where value = '097' and other_dimension = 2".to_owned(),
            "counters",
            "1=097 2=",
        ),
    ] {
        let (lists, events) = (tests::lists().await, history());
        apply_live(&lists, &events).await;
        let search_path = format!("set search_path = {}", lists.schema());
        let mut connection = pool.acquire().await.unwrap().detach();
        connection.execute(search_path.as_str()).await.unwrap();
        let changed = connection.execute(statement.as_str()).await.unwrap();
        assert!(changed.rows_affected() > 0, "{statement}");

        let mut differing = BTreeSet::new();
        for scope in [VerifyScope::all_buckets(), VerifyScope::Totals] {
            let (stored, expected) = (read_rows(&lists, &scope).await, expected(&lists, &events, &scope));
            differing.extend(stored.symmetric_difference(&expected).map(|row| (row.table, row.key.clone())));
        }
        assert!(!differing.is_empty(), "{statement}");
        let is_expected = |(found, name): &(&str, String)| *found == table && name.starts_with(key);
        assert!(differing.iter().all(is_expected), "{statement}: {differing:?}");
    }
}
