//! A worker needs no more memory than its settings say, however much waits for it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use projections::catalog::NAMES;
use tests::{
    Environment, Stack,
    faults::{product::ProductProcess, wait::until},
};

const PATIENCE: Duration = Duration::from_mins(2);

/// Settings of the worker: 1 MiB of records fetched ahead, batches of 1 MiB.
const SMALL: u64 = 1 << 20;

/// What `runtime/config.rs` promises for them. A queue of the default size alone takes more.
const BOUND: u64 = (80 << 20) + 4 * SMALL + 6 * SMALL;

/// Notices that wait: more than it takes until a worker's memory grows no more.
const ROWS: &str = "60000";

/// Whether a projection is where the log is.
async fn caught_up(stack: &Stack, projection: &str) -> anyhow::Result<()> {
    let output = stack.medhub(&["status", "--json"]).await;
    let line = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned();
    let status: serde_json::Value = serde_json::from_str(&line).context(line)?;
    let rows = status["projections"].as_array().context("no projections")?;
    let row = rows.iter().find(|row| row["projection"] == projection).context("it is not there")?;
    ensure!(status["relay"]["lag_events"] == 0 && row["lag_records"] == 0 && row["workers"] == 1, "{status}");
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
    let peak = async |projection: &str, name: &str| {
        let mut worker = process(name, &["project", projection]);
        until(PATIENCE, async || caught_up(&stack, projection).await).await.unwrap();
        let peak = worker.peak_memory().unwrap();
        worker.stop().await.unwrap();
        peak
    };
    let mut idle = vec![];
    for projection in NAMES {
        idle.push(peak(projection, &format!("{projection}-idle")).await);
    }

    let file = stack.data().join("notices.csv");
    let generated = stack.medhub(&["generate", "--rows", ROWS, "--seed", "7", "--out", file.to_str().unwrap()]).await;
    assert!(generated.status.success(), "{}", String::from_utf8_lossy(&generated.stderr));
    let imported = stack.medhub(&["import", file.to_str().unwrap()]).await;
    assert!(imported.status.code().is_some_and(|code| code == 0 || code == 3), "{imported:?}");

    let mut over = vec![];
    for (projection, idle) in NAMES.into_iter().zip(idle) {
        let busy = peak(projection, &format!("{projection}-busy")).await;
        let line = format!("{projection}: idle {idle} bytes, busy {busy}, {} more", busy.saturating_sub(idle));
        println!("{line}");
        if busy.saturating_sub(idle) > BOUND {
            over.push(line);
        }
    }
    relay.stop().await.unwrap();
    assert_eq!(over, Vec::<String>::new(), "bound {BOUND}");
}
