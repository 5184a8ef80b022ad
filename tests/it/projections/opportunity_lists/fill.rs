//! A generation that is filled: rows without indexes first, then counters and indexes. It equals a generation that
//! followed the events, even if something was repeated or interrupted.

use domain::{envelope::RawEnvelope, opportunity::Notice};
use projections::{
    OpportunityCriteria,
    opportunity_lists::OpportunityLists,
    runtime::{Projection, ProjectionError, ReadModelGeneration, VerifyScope},
};
use sqlx::{Executor as _, Row as _};
use tests::opportunity_history::{MemoryLog, history, notice};

use super::{
    FACETS, apply, apply_live, apply_with_repetitions,
    pages::{all_criteria, texts, varied_history},
    seen,
    verify::{expected, read_rows},
};

/// A second generation, in which a rebuild begins.
async fn filling_lists() -> OpportunityLists {
    let first = tests::lists().await;
    let second = first.with_generation(ReadModelGeneration::try_new(2).unwrap());
    let (one, other) = tokio::join!(second.begin_fill(), second.begin_fill());
    one.and(other).unwrap();
    second
}

/// The definitions of all indexes, without the name of the schema.
async fn index_definitions(lists: &OpportunityLists) -> Vec<String> {
    let pool = tests::shared_database().await;
    let sql = "select indexdef from pg_indexes where schemaname = $1 order by indexname";
    let rows = sqlx::query(sql).bind(lists.schema()).fetch_all(&pool).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("indexdef").replace(lists.schema(), "")).collect()
}

fn record(notices: impl IntoIterator<Item = Notice>) -> Vec<RawEnvelope> {
    let mut log = MemoryLog::default();
    notices.into_iter().for_each(|notice| log.record(notice));
    log.events
}

async fn execute(lists: &OpportunityLists, statements: &str) {
    let mut connection = tests::shared_database().await.acquire().await.unwrap().detach();
    connection.execute(format!("set search_path = {}; {statements}", lists.schema()).as_str()).await.unwrap();
}

#[tokio::test]
async fn a_filled_generation_equals_one_that_followed_the_events() {
    let (followed, filled) = (tests::lists().await, filling_lists().await);
    let events = [varied_history(), history()].concat();
    apply(&followed, &events).await;

    let (before, after) = events.split_at(40);
    apply_with_repetitions(&filled, before).await;
    let last = OpportunityLists::project(&before[39]).unwrap();
    assert!(filled.is_applied(&last[0]).await.unwrap());
    let missing = OpportunityLists::project(&after[0]).unwrap();
    assert!(!filled.is_applied(&missing[0]).await.unwrap());
    // A rebuild that was interrupted begins again, and may repeat events.
    filled.begin_fill().await.unwrap();
    tokio::join!(apply(&filled, &events[30..]), apply(&filled, after));
    filled.end_fill().await.unwrap();
    filled.end_fill().await.unwrap();

    for scope in [VerifyScope::all_buckets(), VerifyScope::Totals] {
        assert_eq!(read_rows(&filled, &scope).await, expected(&filled, &events, &scope), "{scope:?}");
    }
    assert_eq!(seen(&filled).await, seen(&followed).await);
    for criteria in all_criteria() {
        let figures = async |lists: &OpportunityLists| {
            let facets = lists.fetch_facets(&criteria, None, &FACETS).await.unwrap();
            (facets, lists.fetch_statistics(&criteria, None).await.unwrap())
        };
        assert_eq!(figures(&filled).await, figures(&followed).await, "{criteria:?}");
    }
    assert_eq!(index_definitions(&filled).await, index_definitions(&followed).await);

    let later = record([notice("later", "DEPT OF DEFENSE", "Q-LATER", "Later", "6530", 9)]);
    apply_live(&filled, &later).await;
    filled.begin_fill().await.unwrap();
    let all = [events, later].concat();
    for scope in [VerifyScope::all_buckets(), VerifyScope::Totals] {
        assert_eq!(read_rows(&filled, &scope).await, expected(&filled, &all, &scope), "{scope:?}");
    }
}

#[tokio::test]
async fn the_end_of_a_filling_resumes_where_it_was_interrupted() {
    let (filled, events) = (filling_lists().await, history());
    let (before, _) = events.split_at(events.len() - 1);
    apply(&filled, before).await;
    // As if the process had ended after some indexes.
    execute(
        &filled,
        "update generation set is_completing = true; alter table opportunities add primary key (id);
        alter table awards add primary key (opportunity_id, award_key);
        create index posted on opportunities (posted_rank, id)",
    )
    .await;
    let changes = OpportunityLists::project(&events[0]).unwrap();
    let outcome = filled.apply(&changes).await;
    assert!(matches!(outcome, Err(ProjectionError::Unavailable(_))), "superseded rows were removed: {outcome:?}");

    // All events again: each row has a second one of the same key, which the indexes would refuse.
    filled.begin_fill().await.unwrap();
    apply(&filled, &events).await;
    filled.end_fill().await.unwrap();

    for scope in [VerifyScope::all_buckets(), VerifyScope::Totals] {
        assert_eq!(read_rows(&filled, &scope).await, expected(&filled, &events, &scope), "{scope:?}");
    }
    assert_eq!(index_definitions(&filled).await, index_definitions(&tests::lists().await).await);
}

#[tokio::test]
async fn values_too_long_for_an_index_are_rejected_before_the_filling_ends() {
    let mut event = history().remove(0);
    event.payload = event.payload.replace("\"036\"", &format!("\"{}\"", "0".repeat(3_000)));
    let changes = OpportunityLists::project(&event).unwrap();
    for lists in [filling_lists().await, tests::lists().await] {
        let outcome = lists.apply(&changes).await;
        assert!(matches!(outcome, Err(ProjectionError::Rejected(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_schema_of_the_release_before_is_brought_up_to_date() {
    let (lists, events) = (tests::lists().await, varied_history());
    apply(&lists, &events).await;
    let expected_indexes = index_definitions(&lists).await;
    let release_before = "
        alter table generation drop column is_filling, drop column is_completing, drop column schema_version;
        alter table generation rename column only_generation to only_row;
        drop table deferred_indexes, filled_changes, triple_counters;
        delete from counters where other_dimension = 8 or dimension = 8";
    execute(&lists, release_before).await;

    lists.prepare().await.unwrap();

    let totals = VerifyScope::Totals;
    assert_eq!(read_rows(&lists, &totals).await, expected(&lists, &events, &totals));
    assert_eq!(index_definitions(&lists).await, expected_indexes);
}

#[tokio::test]
async fn statistics_that_no_counter_has_are_bounded_and_say_so() {
    let lists = filling_lists().await;
    let valves =
        (0..10_010).map(|n| notice(&format!("n{n}"), "DEPT OF DEFENSE", &format!("N{n}"), "Valve", "6530", n % 28 + 1));
    apply(&lists, &record(valves)).await;
    lists.end_fill().await.unwrap();
    let statistics = async |agencies: &[&str], text: Option<&str>| {
        let criteria = OpportunityCriteria { agencies: texts(agencies), ..OpportunityCriteria::default() };
        let statistics = lists.fetch_statistics(&criteria, text).await.unwrap();
        (statistics.total.opportunities, statistics.is_lower_bound)
    };
    assert_eq!(statistics(&["097"], None).await, (10_010, false));
    assert_eq!(statistics(&[], Some("valve")).await, (10_001, true));
    assert_eq!(statistics(&[], Some("n10009")).await, (1, false));
}
