//! Simulated visits beside notices: they are in the log, on the topics and in the facts, and add no opportunities.

use std::fs;

use serde_json::Value;
use synthetic::notice_generator;

use tests::{
    ProductInstance,
    notice_import::{import_file, wait_for_agreed_counts},
};

#[tokio::test]
async fn simulated_visits_are_recorded_and_the_stores_agree() {
    let (product, folder) = (ProductInstance::start().await, tempfile::tempdir().unwrap());
    let (file, mut csv) = (folder.path().join("notices.csv"), Vec::new());
    notice_generator::write_csv(&mut csv, 20, 7, |_| {}).unwrap();
    fs::write(&file, csv).unwrap();
    import_file(&product, &file, &["--report", folder.path().join("report.csv").to_str().unwrap()]).await;
    let before = wait_for_agreed_counts(&product).await;

    let output = product.run_medhub(&["simulate", "--visits", "250", "--seed", "5", "--json"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let after = wait_for_agreed_counts(&product).await;

    let in_log = |counts: &Value, figure: &str| counts["postgres"][figure].as_u64().unwrap();
    let simulated = |figure: &str| summary[figure].as_u64().unwrap();
    assert_eq!((simulated("visits"), simulated("opportunities")), (250, in_log(&before, "opportunities")));
    assert_eq!(
        simulated("views") + simulated("clicks") + simulated("saves") + simulated("unsaves"),
        simulated("events")
    );
    assert!(simulated("views") >= 250 && simulated("clicks") > 0 && simulated("saves") > 0, "{summary}");
    assert_eq!(in_log(&after, "events"), in_log(&before, "events") + simulated("events"));
    assert_eq!(in_log(&after, "opportunities"), in_log(&before, "opportunities"));
    assert!(
        in_log(&after, "streams") > in_log(&before, "streams") + 250,
        "visits and watchlists are streams of their own"
    );
}
