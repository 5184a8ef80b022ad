//! A worker stays within the memory that its settings allow, however many records wait for it.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use projections::read_models::projection_names;
use sam_gov::CSV_HEADER;
use sqlx::{Connection as _, PgConnection};
use synthetic::notice_generator::NoticeGenerator;
use tests::{EnvironmentVariables, ProductProcess, TestStack, faults::bounded_wait::wait_until};

/// Settings of the worker: 1 MiB of records fetched ahead, batches of 1 MiB.
const WORKER_BUFFER_BYTES: u64 = 1 << 20;

/// The limit that `runtime/consumer_config.rs` documents for them. A queue of the default size alone exceeds it.
const MEMORY_LIMIT: u64 = (80 << 20) + 4 * WORKER_BUFFER_BYTES + 12 * WORKER_BUFFER_BYTES;

/// The number of notices that wait, and the length of each one's description: together more than a worker may hold. They
/// are few and large, because processing many would take long.
const NOTICE_COUNT: u64 = 2_000;
const DESCRIPTION_BYTES: usize = 50_000;

/// How long all workers together may take on a busy machine; nothing is promised about it.
const CATCH_UP_TIMEOUT: Duration = Duration::from_mins(5);

/// Pause between two probes of the workers' progress: each is a process that takes 0.2 s of processor time.
const PROBE_PAUSE: Duration = Duration::from_secs(3);

/// Checks that every projection has one worker, which has reached the end of the log.
async fn check_caught_up(stack: &TestStack) -> anyhow::Result<()> {
    let output = stack.run_medhub(&["status", "--json"]).await;
    let line = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned();
    let status: serde_json::Value = serde_json::from_str(&line).context(line)?;
    let rows = status["projections"].as_array().context("no projections")?;
    for projection in projection_names() {
        let row = rows.iter().find(|row| row["projection"] == projection).context("a projection is missing")?;
        ensure!(row["lag_records"] == 0 && row["workers"] == 1, "{projection}: {status}");
    }
    ensure!(status["relay"]["lag_events"] == 0, "{status}");
    Ok(())
}

/// Runs a process with the worker of each projection, all at the same time, until all have reached the end of the log, and
/// returns the peak memory of each process. Together they wait as long as the slowest one, and what a process holds does not
/// depend on the others.
async fn measure_peaks(stack: &TestStack, variables: &EnvironmentVariables, logs: &Path) -> Vec<u64> {
    let start =
        |projection: &str| ProductProcess::start(variables, logs, projection, &["project", projection]).unwrap();
    let mut workers: Vec<_> = projection_names().into_iter().map(start).collect();
    let probe = async || {
        tokio::time::sleep(PROBE_PAUSE).await;
        check_caught_up(stack).await
    };
    wait_until(CATCH_UP_TIMEOUT, probe).await.unwrap();
    let mut peaks = vec![];
    for worker in &mut workers {
        peaks.push(worker.peak_memory().unwrap());
        worker.stop().await.unwrap();
    }
    peaks
}

/// Writes generated notices in the format of SAM.gov's CSV extract, each with a long description.
fn write_large_notices(file: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    let description = CSV_HEADER.iter().position(|name| *name == "Description").unwrap();
    let long_text = "x".repeat(DESCRIPTION_BYTES);
    writeln!(out, "{}", CSV_HEADER.join(","))?;
    for record in NoticeGenerator::new(NOTICE_COUNT, 7) {
        let fields = record.iter().enumerate().map(|(at, field)| if at == description { &long_text } else { field });
        let quoted: Vec<_> = fields.map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
        writeln!(out, "{}", quoted.join(","))?;
    }
    out.flush()
}

/// Sums the lengths of all events' payloads.
async fn count_log_bytes(stack: &TestStack) -> u64 {
    let mut connection = PgConnection::connect(stack.variable("DATABASE_URL")).await.unwrap();
    let query = sqlx::query_scalar("select coalesce(sum(octet_length(payload::text)), 0)::bigint from events");
    query.fetch_one(&mut connection).await.map(i64::unsigned_abs).unwrap()
}

#[tokio::test]
async fn a_worker_far_behind_the_log_stays_within_its_memory_limit() {
    let stack = TestStack::start_with(&["--engines-only"], EnvironmentVariables::new()).await;
    let migrated = stack.run_medhub(&["migrate"]).await;
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    let mut variables = stack.variables().clone();
    for key in ["QUEUE_BYTES", "BATCH_BYTES"] {
        variables.insert(format!("MEDHUB__WORKER__{key}"), WORKER_BUFFER_BYTES.to_string());
    }
    let logs = tempfile::tempdir().unwrap();
    let mut relay = ProductProcess::start(&variables, logs.path(), "relay", &["serve", "--role", "relay"]).unwrap();
    let idle = measure_peaks(&stack, &variables, logs.path()).await;

    let file = stack.data_folder().join("notices.csv");
    write_large_notices(&file).unwrap();
    let imported = stack.run_medhub(&["import", file.to_str().unwrap()]).await;
    assert!(imported.status.code().is_some_and(|code| code == 0 || code == 3), "{imported:?}");
    let waiting = count_log_bytes(&stack).await;
    assert!(waiting > MEMORY_LIMIT, "{waiting} bytes wait, which a worker may hold");

    let busy = measure_peaks(&stack, &variables, logs.path()).await;
    let mut over = vec![];
    for (projection, (idle, busy)) in projection_names().into_iter().zip(idle.into_iter().zip(busy)) {
        let line = format!("{projection}: idle {idle} bytes, busy {busy}, {} more", busy.saturating_sub(idle));
        println!("{line}");
        if busy.saturating_sub(idle) > MEMORY_LIMIT {
            over.push(line);
        }
    }
    relay.stop().await.unwrap();
    assert_eq!(over, Vec::<String>::new(), "limit {MEMORY_LIMIT}");
}
