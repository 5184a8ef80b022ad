//! The benchmarks of the read models: their output, and that they remove their data.

use std::time::Instant;

use nix::sys::signal::Signal;
use tests::faults::bounded_wait::wait_until;

use qdrant_client::Qdrant;
use serde_json::Value;
use tests::{ProductProcess, TestStack, WAIT_TIMEOUT, json_lines, output_text};

const EVENT_COUNT: u64 = 1_000;

/// The names of all databases, collections and keys that benchmarks create contain this.
const BENCH_PREFIX: &str = "bench_";

/// The names of data that benchmarks have left in the stores.
async fn list_leftovers(stack: &TestStack) -> Vec<String> {
    let pool = sqlx::PgPool::connect(stack.variable("DATABASE_URL")).await.unwrap();
    let mut leftovers: Vec<String> = sqlx::query_scalar("select datname::text from pg_database where datname like $1")
        .bind(format!("%{BENCH_PREFIX}%"))
        .fetch_all(&pool)
        .await
        .unwrap();
    let databases =
        stack.query_clickhouse(&format!("select name from system.databases where name like '%{BENCH_PREFIX}%'")).await;
    leftovers.extend(databases.lines().map(str::to_owned));
    let qdrant = Qdrant::from_url(stack.variable("QDRANT_URL")).skip_compatibility_check().build().unwrap();
    let collections = qdrant.list_collections().await.unwrap().collections;
    leftovers
        .extend(collections.into_iter().map(|collection| collection.name).filter(|name| name.contains(BENCH_PREFIX)));
    let mut redis = redis::Client::open(stack.variable("REDIS_URL").to_owned()).unwrap().get_connection().unwrap();
    leftovers.extend(redis::cmd("KEYS").arg(format!("*{BENCH_PREFIX}*")).query::<Vec<String>>(&mut redis).unwrap());
    leftovers
}

#[tokio::test]
async fn read_models_are_measured_beside_plain_clients() {
    let stack = TestStack::start_with(&["--engines-only"], tests::EnvironmentVariables::new()).await;

    for bench in ["rebuild", "project"] {
        let output = stack.run_medhub(&["bench", bench, "--events", &EVENT_COUNT.to_string()]).await;
        assert!(output.status.success(), "{}", output_text(&output));
        let reports = json_lines(&output);
        let projections: Vec<_> = reports.iter().map(|report| report["projection"].as_str().unwrap()).collect();
        assert_eq!(projections, ["analytics", "search", "views"]);
        for report in &reports {
            let number =
                |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{report}"));
            assert_eq!(
                (report["bench"].as_str(), report["events"].as_u64()),
                (Some(bench), Some(EVENT_COUNT)),
                "{report}"
            );
            assert!(number("/rows") > 0.0 && number("/cpu_s") > 0.0, "{report}");
            let ratio = number("/events_per_s") / number("/raw/events_per_s");
            assert!(ratio > 0.0 && (number("/ratio") - ratio).abs() < 0.001 * ratio, "{report}");
            assert!(!report["raw_is"].as_str().unwrap().is_empty(), "{report}");
        }
        assert_eq!(list_leftovers(&stack).await, Vec::<String>::new(), "after {bench}");
    }
}

#[tokio::test]
async fn the_latency_from_a_commit_to_each_store_is_measured() {
    let stack = TestStack::start_with(&["--engines-only"], tests::EnvironmentVariables::new()).await;
    let started = Instant::now();

    let output = stack.run_medhub(&["bench", "latency", "--rate", "100", "--seconds", "2"]).await;

    assert!(output.status.success(), "{}", output_text(&output));
    let whole_ms = started.elapsed().as_secs_f64() * 1_000.0;
    let reports = json_lines(&output);
    assert_eq!(reports.len(), 3, "{reports:?}");
    for report in &reports {
        let number = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("{report}"));
        assert!(number("samples") > 0.0 && number("appended_per_s") > 0.0, "{report}");
        let ordered = [0.0, number("p50_ms"), number("p99_ms"), number("max_ms"), whole_ms];
        assert!(ordered.is_sorted() && number("p50_ms") > 0.0, "{report}");
    }
    assert_eq!(list_leftovers(&stack).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_api_is_measured_by_kind_of_request() {
    let mut environment = tests::EnvironmentVariables::new();
    environment.insert("MEDHUB__LIMITS__ENABLED".into(), "false".into());
    let stack = TestStack::start_with(&[], environment).await;
    let notices = stack.data_folder().join("notices.csv");
    let notices = notices.to_str().unwrap();
    for args in [&["generate", "--rows", "60", "--out", notices][..], &["import", notices]] {
        let output = stack.run_medhub(args).await;
        assert!(output.status.success(), "{}", output_text(&output));
    }
    wait_until(WAIT_TIMEOUT, async || {
        let answer = stack.send_graphql("{ opportunities(first: 1) { totalCount } }", serde_json::json!({})).await;
        let count = answer["data"]["opportunities"]["totalCount"].as_u64().unwrap_or_default();
        anyhow::ensure!(count > 0, "{answer}");
        Ok(())
    })
    .await
    .unwrap();

    let args = ["bench", "api", "--requests", "100", "--rate", "100", "--subscribers", "3"];
    let operator = stack.operator_token();
    let output = stack.run_medhub(&[&args[..], &["--operator", operator]].concat()).await;

    assert!(output.status.success(), "{}", output_text(&output));
    let lines = json_lines(&output);
    let events_by_kind: Vec<_> =
        lines.iter().map(|line| (line["kind"].as_str().unwrap(), line["events"].as_u64().unwrap())).collect();
    let expected = [
        ("health", 100),
        ("view", 100),
        ("list", 10),
        ("search", 10),
        ("analytics", 5),
        ("mutation", 50),
        ("ingest", 10),
        ("ingest-batch", 1_000),
        ("subscribers", 60),
    ];
    assert_eq!(events_by_kind, expected, "each of three subscribers receives twenty changes");
    for line in &lines {
        let number = |name: &str| line[name].as_f64().unwrap_or_else(|| panic!("{line}"));
        assert!(
            number("events_per_s") > 0.0 && 0.0 < number("p50_ms") && number("p50_ms") <= number("p99_ms"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn an_interrupted_benchmark_removes_its_data() {
    let stack = TestStack::start_with(&["--engines-only"], tests::EnvironmentVariables::new()).await;
    let logs = tempfile::tempdir().unwrap();
    let args = ["bench", "rebuild", "--events", "1000000"];
    let mut bench = ProductProcess::start(stack.variables(), logs.path(), "bench", &args).unwrap();
    // The read models are built one after another, the last one in Redis.
    wait_until(WAIT_TIMEOUT, async || {
        let leftovers = list_leftovers(&stack).await;
        anyhow::ensure!(leftovers.iter().any(|name| name.starts_with("bench_") && name.contains(':')), "{leftovers:?}");
        Ok(())
    })
    .await
    .unwrap();

    let ended = bench.stop_with_signal(Signal::SIGINT).await.unwrap_err();

    assert!(ended.to_string().contains("the data of the benchmark is removed"), "{ended}");
    assert_eq!(list_leftovers(&stack).await, Vec::<String>::new());
}
