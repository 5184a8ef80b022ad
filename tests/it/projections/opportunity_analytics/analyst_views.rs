//! The analysts' views: all of them switch at once, under running queries, and nothing of theirs is ever dropped.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use projections::runtime::ReadModelGeneration;

use super::{super::*, engagement::everything, rows};
use projections::opportunity_analytics::OpportunityAnalytics;
use tests::opportunity_history::history;

/// What one query sees of several views.
const QUERY_ACROSS_VIEWS: &str = "select (select count() from events), (select count() from opportunities), \
                    (select sum(views) from engagement_1h), (select count() from awards)";

/// Two generations with different rows; the first one is shown.
async fn two_generations() -> (OpportunityAnalytics, OpportunityAnalytics, String) {
    let first = tests::analytics().await;
    let second = first.with_generation(ReadModelGeneration::try_new(2).unwrap());
    second.migrate().await.unwrap();
    apply(&first, &history()).await;
    apply(&second, &everything()).await;
    first.switch_direct_readers().await.unwrap();
    let shown = first.database().strip_suffix("_g1").unwrap().to_owned();
    (first, second, shown)
}

#[tokio::test]
async fn all_views_switch_at_once_and_no_query_fails() {
    let (first, second, shown) = two_generations().await;
    let old = rows(&shown, QUERY_ACROSS_VIEWS).await;
    second.switch_direct_readers().await.unwrap();
    let new = rows(&shown, QUERY_ACROSS_VIEWS).await;
    assert_eq!((old[0][0].as_str(), old[0][2].as_str()), ("10", "0"), "{old:?}");
    assert_ne!(old, new);
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (done, asked, shown, old, new) = (done.clone(), asked.clone(), shown.clone(), old.clone(), new.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    let seen = rows(&shown, QUERY_ACROSS_VIEWS).await;
                    assert!(seen == old || seen == new, "{seen:?}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    let mut switches = 0;
    // On a busy machine readers may be slower than switches, which then go on until there was a query among them.
    tests::eventually(async || {
        first.switch_direct_readers().await.unwrap();
        second.switch_direct_readers().await.unwrap();
        switches += 2;
        let asked = asked.load(Ordering::Relaxed);
        if switches >= 10 && asked > 5 { Ok(()) } else { Err(format!("{asked} queries in {switches} switches")) }
    })
    .await;
    first.discard().await.unwrap();

    let after = asked.load(Ordering::Relaxed);
    tests::eventually(async || {
        if asked.load(Ordering::Relaxed) > after + 6 { Ok(()) } else { Err("no query came after the switches") }
    })
    .await;
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(rows(&shown, QUERY_ACROSS_VIEWS).await, new);
    assert!(after > 5, "{after}");
}

#[tokio::test]
async fn a_generation_that_goes_takes_its_views_along() {
    let (first, second, shown) = two_generations().await;
    let before = rows(&shown, QUERY_ACROSS_VIEWS).await;

    second.discard().await.unwrap();
    assert_eq!(rows(&shown, QUERY_ACROSS_VIEWS).await, before);
    first.discard().await.unwrap();
    first.discard().await.unwrap();

    let left = format!("select name from system.tables where database = '{shown}'");
    assert_eq!(rows("default", &left).await, [["generation"]]);
    first.migrate().await.unwrap();
    first.switch_direct_readers().await.unwrap();
    assert_eq!(rows(&shown, QUERY_ACROSS_VIEWS).await, [["0", "0", "0", "0"]]);
}

#[tokio::test]
async fn tables_of_an_earlier_release_are_moved_and_not_dropped() {
    let analytics = tests::analytics().await;
    let shown = analytics.database().strip_suffix("_g1").unwrap().to_owned();
    rows("default", &format!("create database {shown}")).await;
    rows(&shown, "create table events (n UInt8) engine = MergeTree order by n").await;
    rows(&shown, "create table mine (n UInt8) engine = MergeTree order by n").await;
    rows(&shown, "insert into events values (7)").await;

    analytics.switch_direct_readers().await.unwrap();
    analytics.switch_direct_readers().await.unwrap();

    assert_eq!(rows(&format!("{shown}_before"), "select n from events").await, [["7"]]);
    assert_eq!(rows(&shown, "select count() from events").await, [["0"]]);
    assert_eq!(rows(&shown, "select count() from mine").await, [["0"]]);
}

#[tokio::test]
async fn a_generation_may_lack_columns_that_the_next_one_has() {
    let (first, second, shown) = two_generations().await;
    rows(&second.database(), "alter table awards add column sector String default 'x'").await;

    second.switch_direct_readers().await.unwrap();
    assert_eq!(rows(&shown, "select distinct sector from awards").await, [["x"]]);
    // As it is between the making of the views and the switch.
    rows(&shown, "insert into generation select 1, max(moved) + 1 from generation").await;

    assert_eq!(rows(&shown, "select distinct sector from awards").await, [[""]]);
    assert_eq!(
        rows(&first.database(), "select count() from awards final").await,
        rows(&shown, "select count() from awards").await
    );
}
