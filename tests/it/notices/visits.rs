//! Made-up visits beside notices: on record, on the topics and facts, and no opportunities.

use std::fs;

use serde_json::Value;
use synthetic::notice_generator;

use tests::{
    ProductInstance,
    notice_import::{agreed_counts, import},
};

#[tokio::test]
async fn simulated_visits_are_on_record_and_stores_agree_with_them() {
    let (product, folder) = (ProductInstance::start().await, tempfile::tempdir().unwrap());
    let (file, mut csv) = (folder.path().join("notices.csv"), Vec::new());
    notice_generator::write_csv(&mut csv, 20, 7, |_| {}).unwrap();
    fs::write(&file, csv).unwrap();
    import(&product, &file, &["--report", folder.path().join("report.csv").to_str().unwrap()]).await;
    let before = agreed_counts(&product).await;

    let output = product.medhub(&["simulate", "--visits", "250", "--seed", "5", "--json"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let after = agreed_counts(&product).await;

    let of = |counts: &Value, figure: &str| counts["postgres"][figure].as_u64().unwrap();
    let made = |figure: &str| summary[figure].as_u64().unwrap();
    assert_eq!((made("visits"), made("opportunities")), (250, of(&before, "opportunities")));
    assert_eq!(made("views") + made("clicks") + made("saves") + made("unsaves"), made("events"));
    assert!(made("views") >= 250 && made("clicks") > 0 && made("saves") > 0, "{summary}");
    assert_eq!(of(&after, "events"), of(&before, "events") + made("events"));
    assert_eq!(of(&after, "opportunities"), of(&before, "opportunities"));
    assert!(of(&after, "streams") > of(&before, "streams") + 250, "visits and watchlists are streams of their own");
}
