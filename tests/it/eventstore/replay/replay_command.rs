//! `medhub replay` and `medhub tail` as command-line programs, with no engine but Postgres.

use std::{
    fs,
    process::{Output, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use sqlx::{ConnectOptions, PgPool};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::{append_events, record_discovery};
use tests::{WAIT_TIMEOUT, database, eventually};

/// The product's command line on the database behind `pool`; all other engines are unavailable.
fn build_command(pool: &PgPool, args: &[&str]) -> Command {
    let mut command = Command::new(tests::medhub_local());
    command.arg("product").args(args).env("DATABASE_URL", pool.connect_options().to_url_lossy().as_str());
    for engine in ["CLICKHOUSE_URL", "QDRANT_URL"] {
        command.env(engine, "http://127.0.0.1:1");
    }
    command.env("KAFKA_BROKERS", "127.0.0.1:1").env("REDIS_URL", "redis://127.0.0.1:1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn run_command(pool: &PgPool, args: &[&str]) -> Output {
    timeout(WAIT_TIMEOUT, build_command(pool, args).output()).await.unwrap().unwrap()
}

fn parse_events(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn read_positions(output: &Output) -> Vec<u64> {
    parse_events(output).iter().map(|event| event["position"].as_u64().unwrap()).collect()
}

fn read_lines(child: &mut Child) -> Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

async fn next_position(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<u64> {
    let line = timeout(WAIT_TIMEOUT, lines.next_line()).await.unwrap().unwrap()?;
    serde_json::from_str::<Value>(&line).unwrap()["position"].as_u64()
}

async fn wait_for_exit(mut child: Child) -> (Option<i32>, String) {
    let status = timeout(WAIT_TIMEOUT, child.wait()).await.unwrap().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).await.unwrap();
    (status.code(), stderr)
}

fn send_interrupt(child: &Child) {
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGINT).unwrap();
}

/// The peak memory of a running process, in kilobytes.
fn peak_memory_kib(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()?)).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}

#[tokio::test]
async fn replay_prints_the_log_as_json_lines() {
    let pool = database().await;
    for number in 1..=3 {
        record_discovery(&pool, &format!("a{number}"), "acme", "2026-03-03T12:00:00.5Z").await;
    }
    let output = run_command(&pool, &["replay"]).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stderr, b"");
    let events = parse_events(&output);
    assert_eq!(events.len(), 3);
    let event = &events[1];
    let keys: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "position",
        "eventId",
        "tenantId",
        "aggregateType",
        "aggregateId",
        "sequence",
        "eventType",
        "version",
        "recordedAt",
        "metadata",
        "payload",
    ];
    expected.sort_unstable();
    let mut found = keys.clone();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!((&event["position"], &event["aggregateId"]), (&2.into(), &"a2".into()));
    assert_eq!(event["recordedAt"], "2026-03-03T12:00:00.500000Z");
    assert_eq!((&event["metadata"]["tenant_id"], &event["payload"]["type"]), (&"acme".into(), &"discovered".into()));
}

#[tokio::test]
async fn options_select_what_is_printed() {
    let pool = database().await;
    for number in 1..=6_u32 {
        let tenant = if number % 2 == 0 { "acme" } else { "public" };
        record_discovery(&pool, &format!("a{number}"), tenant, &format!("2026-03-0{number}T12:00:00Z")).await;
    }
    for (args, expected) in [
        (&["replay", "--from", "3", "--to", "5"][..], &[3, 4, 5][..]),
        (&["replay", "--tenant", "acme", "--limit", "2"], &[2, 4]),
        (&["replay", "--context", "opportunities", "--type", "opportunity.discovered", "--aggregate", "a4"], &[4]),
        (&["replay", "--context", "tasks"], &[]),
        (&["replay", "--since", "2026-03-02T12:00:00Z", "--until", "2026-03-04"], &[2, 3]),
        (&["tail", "--no-follow", "-n", "2"], &[5, 6]),
        (&["tail", "--no-follow", "-n", "2", "--tenant", "public"], &[3, 5]),
        (&["tail", "--no-follow", "-n", "0"], &[]),
    ] {
        let output = run_command(&pool, args).await;
        assert!(output.status.success(), "{args:?}: {output:?}");
        assert_eq!(read_positions(&output), expected, "{args:?}");
    }
}

#[tokio::test]
async fn tail_prints_new_events_until_it_is_interrupted() {
    let pool = database().await;
    for number in 1..=5 {
        record_discovery(&pool, &format!("a{number}"), "public", "2026-03-03T12:00:00Z").await;
    }
    let mut child = build_command(&pool, &["tail", "-n", "2"]).spawn().unwrap();
    let mut lines = read_lines(&mut child);
    assert_eq!((next_position(&mut lines).await, next_position(&mut lines).await), (Some(4), Some(5)));
    record_discovery(&pool, "new", "public", "2026-03-03T12:00:00Z").await;
    assert_eq!(next_position(&mut lines).await, Some(6));
    send_interrupt(&child);
    assert_eq!(next_position(&mut lines).await, None);
    assert_eq!(wait_for_exit(child).await, (Some(0), String::new()));
}

#[tokio::test]
async fn a_closed_pipe_ends_a_replay_without_a_message() {
    let pool = database().await;
    append_events(&pool, 5_000).await;
    let mut child = build_command(&pool, &["replay"]).spawn().unwrap();
    let mut lines = read_lines(&mut child);
    assert_eq!(next_position(&mut lines).await, Some(1));
    drop(lines);
    assert_eq!(wait_for_exit(child).await, (Some(141), String::new()));
}

#[tokio::test]
async fn a_replay_whose_output_is_not_read_waits_in_little_memory_and_can_be_interrupted() {
    let pool = database().await;
    append_events(&pool, 60_000).await;
    let mut child = build_command(&pool, &["replay"]).spawn().unwrap();
    let mut lines = read_lines(&mut child);
    assert_eq!(next_position(&mut lines).await, Some(1));
    // The replay has stopped reading once Postgres waits for it.
    eventually(async || {
        let waits: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and query like 'copy%' and wait_event = 'ClientWrite'",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        if waits == 1 { Ok(()) } else { Err("Postgres is still sending") }
    })
    .await;
    let held = peak_memory_kib(&child).unwrap();
    assert!(held < 100_000, "{held} kB for a log of 60 MB");
    send_interrupt(&child);
    assert_eq!(wait_for_exit(child).await, (Some(130), "interrupted\n".to_owned()));
}

#[tokio::test]
async fn a_log_ten_times_as_long_needs_no_more_memory() {
    let pool = database().await;
    append_events(&pool, 100_000).await;
    let mut peaks = vec![];
    for events in ["10000", "100000"] {
        let mut child = build_command(&pool, &["replay", "--limit", events]).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        let (mut buffer, mut held, mut bytes) = (vec![0; 1 << 16], None, 0);
        loop {
            let read = timeout(WAIT_TIMEOUT, out.read(&mut buffer)).await.unwrap().unwrap();
            if read == 0 {
                break;
            }
            bytes += read;
            held = peak_memory_kib(&child).or(held);
        }
        assert!(bytes / 1_000 > events.parse().unwrap(), "{bytes} bytes of {events} events");
        assert_eq!(wait_for_exit(child).await.0, Some(0));
        peaks.push(held.unwrap());
    }
    // The allocator's blocks of 2 MB are filled a little differently in each run; a replay that held all that it has
    // read would need 90 MB more.
    assert!(peaks[1] < peaks[0] / 2 * 3, "90 MB more of the log took {peaks:?} kB");
}
