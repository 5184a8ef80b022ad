//! A worker needs no more memory than its settings say, however much waits for it.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use commands::sam::{HEADER, generate::Generator};
use projections::catalog::NAMES;
use tests::{Environment, PATIENCE, ProductProcess, Stack, faults::wait::until};

/// Settings of the worker: 1 MiB of records fetched ahead, batches of 1 MiB.
const SMALL: u64 = 1 << 20;

/// What `runtime/config.rs` promises for them. A queue of the default size alone takes more.
const BOUND: u64 = (80 << 20) + 4 * SMALL + 6 * SMALL;

/// Notices that wait, and how long the link of each is: together more than a worker may hold. They are few and large, so
/// that the time of the test is not that of working through many.
const ROWS: u64 = 12_000;
const LINK_BYTES: usize = 8_000;

/// Whether a projection is where the log is.
async fn caught_up(stack: &Stack, projection: &str) -> anyhow::Result<()> {
    // Each look is a process, and takes time from the worker.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let output = stack.medhub(&["status", "--json"]).await;
    let line = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned();
    let status: serde_json::Value = serde_json::from_str(&line).context(line)?;
    let rows = status["projections"].as_array().context("no projections")?;
    let row = rows.iter().find(|row| row["projection"] == projection).context("it is not there")?;
    ensure!(status["relay"]["lag_events"] == 0 && row["lag_records"] == 0 && row["workers"] == 1, "{status}");
    Ok(())
}

/// Generated notices in the format of SAM.gov's CSV extract, each with a long link.
fn write_large_notices(file: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    let link = HEADER.iter().position(|name| *name == "Link").unwrap();
    writeln!(out, "{}", HEADER.join(","))?;
    for record in Generator::new(ROWS, 7) {
        let long_link = format!("https://sam.gov/{}", "x".repeat(LINK_BYTES));
        let fields = record.iter().enumerate().map(|(at, field)| if at == link { &long_link } else { field });
        let quoted: Vec<_> = fields.map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
        writeln!(out, "{}", quoted.join(","))?;
    }
    out.flush()
}

#[tokio::test]
async fn a_worker_with_a_long_way_to_go_stays_within_its_memory() {
    let stack = Stack::with(&["--engines-only"], Environment::new()).await;
    let migrated = stack.medhub(&["migrate"]).await;
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    let mut variables = stack.variables().clone();
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
    write_large_notices(&file).unwrap();
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
