//! How soon imported notices are visible everywhere.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{
    ProductInstance,
    notice_import::{ExpectedCounts, agreed_counts, import, real_csv},
    run_alone,
};

/// Until when everything imported is visible everywhere, from the start of the import.
const VISIBLE_WITHIN: Duration = Duration::from_mins(1);

#[tokio::test]
async fn real_notices_reach_every_store_within_a_minute_and_a_second_import_adds_nothing() {
    run_alone();
    let Some(csv) = real_csv() else { return };
    let expected = ExpectedCounts::of(&csv);
    let product = ProductInstance::start().await;

    let started = Instant::now();
    let summary = import(&product, &csv, &[]).await;
    let counts = agreed_counts(&product).await;
    let visible_after = started.elapsed();

    assert_eq!(summary["rows"], expected.rows);
    let accounted = ["imported", "unchanged", "rejected"].map(|part| summary[part].as_u64().unwrap());
    assert_eq!(accounted.iter().sum::<u64>(), expected.rows);
    assert_eq!(summary["rejected"], 0);
    expected.assert_held(&counts);
    assert!(visible_after < VISIBLE_WITHIN, "visible everywhere after {visible_after:?}");
    println!("{} rows visible in every store after {visible_after:?}", expected.rows);

    let again = import(&product, &csv, &[]).await;
    assert_eq!((&again["events"], &again["unchanged"]), (&json!(0), &json!(expected.rows)));
    expected.assert_held(&agreed_counts(&product).await);
}
