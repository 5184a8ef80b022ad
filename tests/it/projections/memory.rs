//! A worker needs no more memory than its settings say, however much waits for it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tests::{
    Environment, Stack,
    faults::{product::ProductProcess, wait::until},
};

const PATIENCE: Duration = Duration::from_mins(2);

/// Settings of the worker: 1 MiB of records fetched ahead, batches of 1 MiB.
const SMALL: u64 = 1 << 20;

/// What `runtime/config.rs` promises for them. A queue of the default size alone takes more.
const BOUND: u64 = (80 << 20) + 4 * SMALL + 6 * SMALL;

/// Notices that wait: twice as many as it takes until a worker's memory grows no more.
const ROWS: &str = "60000";

/// Whether the views are where the log is.
async fn caught_up(stack: &Stack) -> anyhow::Result<()> {
    let output = stack.medhub(&["status", "--json"]).await;
    let line = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned();
    let status: serde_json::Value = serde_json::from_str(&line).context(line)?;
    let rows = status["projections"].as_array().context("no projections")?;
    let views = rows.iter().find(|row| row["projection"] == "views").context("no views")?;
    ensure!(status["relay"]["lag_events"] == 0 && views["lag_records"] == 0 && views["workers"] == 1, "{status}");
    Ok(())
}

#[tokio::test]
async fn a_worker_with_a_long_way_to_go_stays_within_its_memory() {
    let stack = Stack::with(&["--engines-only"], Environment::new()).await;
    let migrated = stack.medhub(&["migrate"]).await;
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    let mut variables = stack.urls();
    for key in ["QUEUE_BYTES", "BATCH_BYTES"] {
        variables.insert(format!("MEDHUB__WORKER__{key}"), SMALL.to_string());
    }
    let logs = tempfile::tempdir().unwrap();
    let process = |name: &str, args: &[&str]| ProductProcess::start(&variables, logs.path(), name, args).unwrap();
    let mut relay = process("relay", &["serve", "--role", "relay"]);

    let mut worker = process("idle", &["project", "views"]);
    until(PATIENCE, async || caught_up(&stack).await).await.unwrap();
    let idle = worker.peak_memory().unwrap();
    worker.stop().await.unwrap();

    let file = stack.data().join("notices.csv");
    let generated = stack.medhub(&["generate", "--rows", ROWS, "--seed", "7", "--out", file.to_str().unwrap()]).await;
    assert!(generated.status.success(), "{}", String::from_utf8_lossy(&generated.stderr));
    let imported = stack.medhub(&["import", file.to_str().unwrap()]).await;
    assert!(imported.status.code().is_some_and(|code| code == 0 || code == 3), "{imported:?}");
    let mut worker = process("busy", &["project", "views"]);
    until(PATIENCE, async || caught_up(&stack).await).await.unwrap();
    let busy = worker.peak_memory().unwrap();
    worker.stop().await.unwrap();
    relay.stop().await.unwrap();

    println!("idle {idle} bytes, busy {busy} bytes, {} of {BOUND} more", busy.saturating_sub(idle));
    assert!(busy.saturating_sub(idle) <= BOUND, "{idle} bytes idle, {busy} bytes busy, bound {BOUND}");
}
