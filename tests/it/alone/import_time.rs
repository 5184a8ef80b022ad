//! The time until imported notices are visible in every store.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{
    ProductInstance,
    notice_import::{ExpectedCounts, find_real_csv, import_file, wait_for_agreed_counts},
    run_alone,
};

/// Limit for the time from the start of an import until all of its notices are visible in every store.
const VISIBILITY_LIMIT: Duration = Duration::from_mins(1);

#[tokio::test]
async fn real_notices_reach_every_store_within_a_minute_and_a_second_import_adds_nothing() {
    run_alone();
    let Some(csv) = find_real_csv() else { return };
    let expected = ExpectedCounts::from_file(&csv);
    let product = ProductInstance::start().await;

    let started = Instant::now();
    let summary = import_file(&product, &csv, &[]).await;
    let counts = wait_for_agreed_counts(&product).await;
    let visible_after = started.elapsed();

    assert_eq!(summary["rows"], expected.rows);
    let outcomes = ["imported", "unchanged", "rejected"].map(|part| summary[part].as_u64().unwrap());
    assert_eq!(outcomes.iter().sum::<u64>(), expected.rows);
    assert_eq!(summary["rejected"], 0);
    expected.assert_equal_to(&counts);
    assert!(visible_after < VISIBILITY_LIMIT, "visible in every store after {visible_after:?}");
    println!("{} rows visible in every store after {visible_after:?}", expected.rows);

    let repeated = import_file(&product, &csv, &[]).await;
    assert_eq!((&repeated["events"], &repeated["unchanged"]), (&json!(0), &json!(expected.rows)));
    expected.assert_equal_to(&wait_for_agreed_counts(&product).await);
}
