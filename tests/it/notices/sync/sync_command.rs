//! `medhub sync`, and the synchronisation in a running service.

use std::process::Output;

use serde_json::Value;
use sqlx::{ConnectOptions, Connection as _, PgConnection};
use tests::{
    EnvironmentVariables, ProductInstance, eventually,
    sam_gov_server::{API_KEY, ApiFault, SamGovServer, csv_extract, csv_row, generated_notice},
};
use tokio::process::Command;

use super::{SamGovFixture, notice_ids};

/// `medhub sync` with the settings of the fixture, and with no engine but Postgres.
fn build_command(fixture: &SamGovFixture, args: &[&str]) -> Command {
    let mut command = Command::new(tests::medhub_local());
    command
        .args(["product", "sync"])
        .args(args)
        .env("DATABASE_URL", fixture.pool.connect_options().to_url_lossy().as_str())
        .env("MEDHUB__SAM_GOV__API_KEY", API_KEY)
        .env("MEDHUB__SAM_GOV__API_URL", fixture.server.api_url())
        .env("MEDHUB__SAM_GOV__EXTRACT_URL", fixture.server.extract_url())
        .env("MEDHUB__SAM_GOV__PAGE_SIZE", "10")
        .env("MEDHUB__SAM_GOV__DAILY_QUOTA", "4")
        .env("KAFKA_BROKERS", "127.0.0.1:1")
        .kill_on_drop(true);
    command
}

fn messages(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn the_command_reads_both_sources_and_says_what_it_did() {
    let fixture = SamGovFixture::start().await;
    let folder = tempfile::tempdir().unwrap();
    {
        let mut state = fixture.server.state();
        state.notices = (0..12).map(generated_notice).collect();
        state.notices.push(serde_json::json!({ "title": "no id" }));
        let rows = [csv_row(100, "Surgical beds"), csv_row(101, "Surgical beds"), csv_row(102, "")];
        state.extract = (csv_extract(&rows), "\"v1\"".to_owned());
    }
    let run_command =
        async |args: &[&str]| build_command(&fixture, args).current_dir(folder.path()).output().await.unwrap();
    let output = run_command(&["--json", "--report", "rejected.csv"]).await;
    assert_eq!(output.status.code(), Some(3), "a row was rejected: {}", messages(&output));
    let results: Vec<Value> = tests::json_lines(&output);
    let shown =
        |result: &Value| ["source", "outcome", "imported", "rejected"].map(|key| result[key].to_string()).join(" ");
    let shown: Vec<_> = results.iter().map(shown).collect();
    assert_eq!(shown, [r#""extract" "complete" 2 1"#, r#""api" "complete" 12 1"#]);
    let report_lines = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap().lines().count();
    assert_eq!((report_lines("rejected.extract.csv"), report_lines("rejected.api.csv")), (2, 2), "a file for each");
    assert_eq!(fixture.discovered_notices().await.len(), 14);
    assert!(!messages(&output).contains(API_KEY));

    // The quota of four requests allows two more.
    let output = run_command(&["api", "--from", "2026-01-01", "--to", "2026-02-28"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", messages(&output));
    assert_eq!(report_lines("sync-api.rejected.csv"), 2);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("api: 13 rows in ") && text.contains("12 unchanged, 1 rejected"), "{text}");
    let output = run_command(&["api"]).await;
    assert_eq!(output.status.code(), Some(4), "{}", messages(&output));
    assert!(messages(&output).contains("the daily quota is used up until"), "{}", messages(&output));
}

#[tokio::test]
async fn wrong_arguments_and_missing_settings_say_what_to_do() {
    let fixture = SamGovFixture::start().await;
    for (args, expected) in [
        (vec!["extract", "--from", "2026-01-01"], "--from and --to are for `medhub sync api`"),
        (vec!["api", "--from", "2026-02-01", "--to", "2026-01-01"], "--from 2026-02-01 is after --to 2026-01-01"),
        (vec!["feed"], "expected api or extract"),
        (vec!["--to", "2026-01-01"], "--from"),
    ] {
        let output = build_command(&fixture, &args).output().await.unwrap();
        assert!(!output.status.success() && messages(&output).contains(expected), "{args:?}: {}", messages(&output));
    }
    let mut command = build_command(&fixture, &[]);
    let unset = command.env("MEDHUB__SAM_GOV__API_KEY", "").env("MEDHUB__SAM_GOV__EXTRACT_URL", "");
    let output = unset.output().await.unwrap();
    assert!(messages(&output).contains("set MEDHUB__SAM_GOV__API_KEY to a key"), "{}", messages(&output));
}

#[tokio::test]
async fn a_killed_command_is_continued_and_a_second_one_at_a_time_is_refused() {
    let fixture = SamGovFixture::start().await;
    {
        let mut state = fixture.server.state();
        state.notices = (0..35).map(generated_notice).collect();
        state.api_faults.extend([ApiFault::Total(35), ApiFault::Stall]);
    }
    let mut command = build_command(&fixture, &["api"]).spawn().unwrap();
    eventually(async || {
        let requests = fixture.server.state().requests.len();
        if requests == 2 { Ok(()) } else { Err(format!("{requests} requests")) }
    })
    .await;
    let output = build_command(&fixture, &["api"]).output().await.unwrap();
    assert!(messages(&output).contains("another process synchronises with SAM.gov"), "{}", messages(&output));

    command.kill().await.unwrap();
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..10));
    // The lease of the killed process ends.
    sqlx::query("update leases set expires_at = now() where name = 'sam-gov-sync'")
        .execute(&fixture.pool)
        .await
        .unwrap();
    fixture.server.take_requests();
    let mut command = build_command(&fixture, &["api"]);
    let output = command.env("MEDHUB__SAM_GOV__DAILY_QUOTA", "50").output().await.unwrap();
    assert!(output.status.success(), "{}", messages(&output));
    assert_eq!(fixture.discovered_notices().await, notice_ids(0..35));
    assert_eq!(fixture.event_counts().await.values().sum::<i64>(), 35);
    assert_eq!(fixture.server.take_requests()[0].parameter("offset"), "10");
}

#[tokio::test]
async fn a_running_service_reads_both_sources_at_intervals() {
    let server = SamGovServer::start().await;
    {
        let mut state = server.state();
        state.notices = (0..12).map(generated_notice).collect();
        state.extract = (csv_extract(&[csv_row(100, "Surgical beds")]), "\"v1\"".to_owned());
    }
    let settings = [
        ("MEDHUB__SAM_GOV__API_KEY", API_KEY.to_owned()),
        ("MEDHUB__SAM_GOV__API_URL", server.api_url()),
        ("MEDHUB__SAM_GOV__EXTRACT_URL", server.extract_url()),
        ("MEDHUB__SAM_GOV__API_INTERVAL_S", "1".to_owned()),
        ("MEDHUB__SAM_GOV__EXTRACT_INTERVAL_S", "1".to_owned()),
        ("MEDHUB__SAM_GOV__DAILY_QUOTA", "1000".to_owned()),
    ];
    let environment: EnvironmentVariables =
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let product = ProductInstance::start_with(environment).await;
    let mut database = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    let mut wait_for_events = async |expected: i64| {
        eventually(async || {
            let events: i64 = sqlx::query_scalar("select count(*) from events").fetch_one(&mut database).await.unwrap();
            if events == expected { Ok(()) } else { Err(format!("{events} events instead of {expected}")) }
        })
        .await;
    };
    wait_for_events(13).await;
    server.state().notices.push(generated_notice(12));
    server.state().extract = (csv_extract(&[csv_row(100, "Surgical beds and rails")]), "\"v2\"".to_owned());
    wait_for_events(15).await;
    check_reports(&product).await;
    check_lag_beside_a_hanging_run(&server, &product).await;
}

/// The lag grows also while an answer of SAM.gov does not end.
async fn check_lag_beside_a_hanging_run(server: &SamGovServer, product: &ProductInstance) {
    server.state().api_faults.push_back(ApiFault::Stall);
    eventually(async || if server.state().api_faults.is_empty() { Ok(()) } else { Err("no request") }).await;
    let hanging = SamGovGauges::read(product).await.value("lag_seconds", "api").unwrap();
    eventually(async || {
        let lag = SamGovGauges::read(product).await.value("lag_seconds", "api");
        if lag > Some(hanging) { Ok(()) } else { Err(format!("{lag:?} after {hanging}")) }
    })
    .await;
}

/// The text of `/metrics`.
struct SamGovGauges(String);

impl SamGovGauges {
    async fn read(product: &ProductInstance) -> Self {
        Self(reqwest::get(format!("{}/metrics", product.http())).await.unwrap().text().await.unwrap())
    }

    fn value(&self, name: &str, source: &str) -> Option<f64> {
        let line = format!("medhub_sam_gov_{name}{{source=\"{source}\"}} ");
        self.0.lines().find_map(|found| found.strip_prefix(&line))?.parse().ok()
    }
}

/// The state of the sources, as metrics and `medhub status` show it.
async fn check_reports(product: &ProductInstance) {
    // Set after each look at whether a run is due.
    eventually(async || {
        let gauges = SamGovGauges::read(product).await;
        let value = |name: &str, source: &str| gauges.value(name, source);
        let quota_left = value("quota_left", "api").ok_or("no quota")?;
        let lags = [value("lag_seconds", "api"), value("lag_seconds", "extract")];
        let failures = [value("last_run_failed", "api"), value("last_run_failed", "extract")];
        let are_recent = lags.iter().all(|lag| lag.is_some_and(|lag| lag < 120.0));
        if (1.0..1_000.0).contains(&quota_left) && are_recent && failures == [Some(0.0); 2] {
            Ok(())
        } else {
            Err(format!("{quota_left} {lags:?} {failures:?}"))
        }
    })
    .await;
    let status = product.run_medhub(&["status"]).await;
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    for expected in
        ["SAM.gov extract: read completely at ", "SAM.gov api: read completely at ", " of 1000 requests left today"]
    {
        assert!(text.contains(expected), "{text}");
    }
}
