//! The metrics for Prometheus, and the status table that is printed repeatedly.

use nix::sys::signal::Signal;
use tests::ProductProcess;

use super::*;

/// The value of one metric, read as Prometheus reads it: name, labels in any order, value.
fn read_metric(text: &str, name: &str, projection: &str) -> Option<f64> {
    let (label, live) = (format!("projection=\"{projection}\""), "generation=\"g1\"");
    let is_metric =
        |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(&label) && line.contains(live);
    text.lines().find(is_metric)?.rsplit_once(' ')?.1.parse().ok()
}

#[tokio::test]
async fn metrics_report_the_progress_of_each_projection() {
    let product = shared_product_with_notices().await;
    let events =
        json_lines(&product.run_medhub(&["status", "--json"]).await)[0]["postgres"]["events"].as_f64().unwrap();

    // Some metrics are updated only every few seconds.
    eventually(async || {
        let answer = reqwest::get(format!("{}/metrics", product.http())).await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        let text = answer.text().await.unwrap();
        let flags_age = text.lines().find_map(|line| line.strip_prefix("medhub_feature_flags_age_seconds "));
        let flags_age: f64 = flags_age.ok_or("the age of the feature flags is missing")?.parse().unwrap();
        assert!(flags_age >= 0.0, "{flags_age}");
        ["analytics", "search", "views"].iter().try_for_each(|projection| check_metrics(projection, events, &text))
    })
    .await;
}

/// Checks the metrics of a projection that has applied that many events.
fn check_metrics(projection: &str, events: f64, text: &str) -> Result<(), String> {
    for (name, at_least, at_most) in [
        // Each event is applied at least once; Kafka may deliver it again.
        ("medhub_projection_events_total", events, 2.0 * events),
        // The log may have gaps.
        ("medhub_projection_position", events, 2.0 * events),
        ("medhub_projection_up", 1.0, 1.0),
        ("medhub_projection_parked_total", 0.0, 0.0),
        ("medhub_projection_lag_events", 0.0, 0.0),
        ("medhub_projection_lag_seconds", 0.0, 600.0),
        // The last batch may have had only beacons.
        ("medhub_projection_batch_events", 0.0, 2.0 * events),
        ("medhub_projection_apply_seconds_count", 1.0, 2.0 * events),
        ("medhub_projection_apply_seconds_sum", 0.000_001, 600.0),
    ] {
        let found = read_metric(text, name, projection).ok_or_else(|| format!("{name} of {projection} is missing"))?;
        if !(at_least..=at_most).contains(&found) {
            return Err(format!("{name} of {projection} is {found}"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_watched_status_table_is_printed_until_it_is_interrupted() {
    let product = shared_product_with_notices().await;
    let logs = tempfile::tempdir().unwrap();
    let args = ["status", "--watch", "1"];
    let mut watch = ProductProcess::start(product.variables(), logs.path(), "watch", &args).unwrap();
    let printed = || std::fs::read_to_string(logs.path().join("watch.log")).unwrap();

    eventually(async || {
        let tables = printed().matches("last error").count();
        if tables >= 3 { Ok(()) } else { Err(format!("{tables} tables: {}", printed())) }
    })
    .await;
    watch.stop_with_signal(Signal::SIGINT).await.unwrap();

    let text = printed();
    for part in ["relay", "analytics g1 *", "search g1 *", "views g1 *", "log"] {
        assert!(text.lines().filter(|line| line.starts_with(part)).count() >= 3, "{part}:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no terminal codes in a file:\n{text}");
}
