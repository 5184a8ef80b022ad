//! The benchmarks: that everything is measured and reported, and that they remove their data.

use nix::sys::signal::Signal;
use qdrant_client::Qdrant;
use serde_json::Value;
use tests::{ProductProcess, TestStack, WAIT_TIMEOUT, faults::bounded_wait::wait_until, json_lines, output_text};

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

/// The parts of `bench all` that the test measures. The others take longest: `rebuild` differs from `project` only in where
/// the events come from, and `documents` from `api` only in the requests.
const PARTS: [&str; 6] = ["append", "replay", "relay", "project", "latency", "api"];

/// What these parts measure, in this order.
const MEASURES: [&str; 29] = [
    "append/commands",
    "append/batches",
    "replay/read",
    "relay/publish",
    "relay/commit-to-kafka",
    "project/analytics",
    "project/search",
    "project/views",
    "latency/analytics",
    "latency/search",
    "latency/views",
    "api/health",
    "api/view",
    "api/search",
    "api/list",
    "api/list-steady",
    "api/list-later",
    "api/list-filtered",
    "api/list-crowd",
    "api/list-facets",
    "api/analytics",
    "api/analytics-filtered",
    "api/mutation",
    "api/ingest",
    "api/ingest-batch",
    "api/subscribers",
    "idle/service",
    "idle/machine",
    "api/memory",
];

/// Checks that a measure has values that are possible.
fn check_measure(measure: &Value) {
    let number = |path: &str| measure.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{measure}"));
    let name = measure["name"].as_str().unwrap();
    if name.starts_with("idle/") {
        // An idle service may use less than one tick of the kernel.
        assert!(number("/value") >= 0.0 && measure["unit"] == "cores", "{measure}");
        return;
    }
    assert!(number("/value") > 0.0, "{measure}");
    if !measure["ratio"].is_null() {
        assert!(number("/ratio") > 0.0 && number("/raw/value") > 0.0, "{measure}");
        assert_ne!(measure["raw"]["description"], "", "{measure}");
    }
    if !measure["latency"].is_null() {
        let ordered = [0.0, number("/latency/p50_ms"), number("/latency/p99_ms")];
        assert!(ordered.is_sorted() && ordered[1] > 0.0, "{measure}");
    }
    if name.starts_with("latency/") {
        assert!(number("/latency/p99_ms") <= number("/settings/max_ms"), "{measure}");
    }
    assert!(!measure["ratio"].is_null() || !measure["latency"].is_null() || name == "api/memory", "{measure}");
}

#[tokio::test]
async fn several_parts_are_measured_in_one_go_and_compared() {
    let stack = TestStack::start_with(&["--engines-only"], tests::EnvironmentVariables::new()).await;
    let file = stack.data_folder().join("report.json");
    let name = file.to_str().unwrap();

    let mut arguments = vec!["bench", "all", "--quick", "--out", name];
    arguments.extend(PARTS.iter().flat_map(|part| ["--part", part]));
    let output = stack.run_medhub(&arguments).await;

    let text = output_text(&output);
    assert!(text.contains("WARNING: this program is built with the profile `dev`"), "{text}");
    let mut report: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let failures = report["failures"].as_object().unwrap();
    // Fetched engines come without pgbench.
    let only_pgbench_is_absent =
        failures.len() == 1 && failures.get("append").is_some_and(|it| it.to_string().contains("pgbench is not on"));
    assert!(failures.is_empty() || only_pgbench_is_absent, "{failures:?}");
    assert_eq!(output.status.code(), Some(i32::from(only_pgbench_is_absent)), "{text}");
    let measures = report["measures"].as_array().unwrap();
    let names: Vec<_> = measures.iter().map(|measure| measure["name"].as_str().unwrap()).collect();
    let expected = MEASURES.into_iter().filter(|name| !only_pgbench_is_absent || !name.starts_with("append/"));
    assert_eq!(names, expected.collect::<Vec<_>>());
    measures.iter().for_each(check_measure);
    assert_eq!(report["build"]["profile"], "dev");
    for engine in ["Postgres", "ClickHouse", "Qdrant", "Redis"] {
        assert!(report["engines"][engine].is_string(), "{engine}: {}", report["engines"]);
    }
    let picture = std::fs::read_to_string(file.with_extension("svg")).unwrap();
    assert!(names.iter().all(|name| picture.contains(name)), "{picture}");
    assert_eq!(list_leftovers(&stack).await, Vec::<String>::new());

    let slower = stack.data_folder().join("slower.json");
    let relay = names.iter().position(|&name| name == "relay/publish").unwrap();
    for repetition in report["measures"][relay]["repetitions"].as_array_mut().unwrap() {
        repetition["value"] = (repetition["value"].as_f64().unwrap() / 2.0).into();
    }
    std::fs::write(&slower, report.to_string()).unwrap();
    let same = stack.run_medhub(&["bench", "compare", name, name]).await;
    assert!(same.status.success(), "{}", output_text(&same));
    let compared = stack.run_medhub(&["bench", "compare", name, slower.to_str().unwrap(), "--threshold", "40%"]).await;
    let table = output_text(&compared);
    assert!(compared.status.code() == Some(1) && table.contains("-50.0%  LOSS"), "{table}");
    check_growth(&stack).await;
}

/// Checks that costs are measured at two sizes.
async fn check_growth(stack: &TestStack) {
    let size = ["bench", "growth", "--events", "400", "--opportunities", "200", "--requests", "200"];
    let parts = ["--projection", "lists", "--part", "replay", "--part", "rebuild", "--part", "requests"];
    let output = stack.run_medhub(&[size.as_slice(), parts.as_slice()].concat()).await;
    let measures = json_lines(&output);
    for name in ["fill", "replay", "rebuild/lists", "requests/list-filtered", "requests/analytics"] {
        let measure = measures.iter().find(|measure| measure["measure"] == name);
        let is_compared = measure.is_some_and(|measure| {
            let number = |field: &str| measure[field].as_f64().unwrap_or_default();
            (number("at_all") / number("at_a_tenth") - number("growth")).abs() < 0.001 * number("growth")
        });
        assert!(is_compared, "{name}: {}", output_text(&output));
    }
    assert_eq!(list_leftovers(stack).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_interrupted_benchmark_removes_its_data_and_reports_what_was_measured() {
    let stack = TestStack::start_with(&["--engines-only"], tests::EnvironmentVariables::new()).await;
    let single = stack.run_medhub(&["bench", "replay", "--events", "1000", "--rounds", "1"]).await;
    let figures = json_lines(&single).remove(0);
    let number = |path: &str| figures.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{figures}"));
    let ratio = number("/events_per_s") / number("/raw/events_per_s");
    assert!(figures["events"] == 1_000 && (number("/ratio") - ratio).abs() < 0.001 * ratio, "{figures}");

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

    let file = logs.path().join("report.json");
    let read_report = || -> anyhow::Result<Value> { Ok(serde_json::from_str(&std::fs::read_to_string(&file)?)?) };
    let parts = ["replay", "rebuild", "project", "latency"].map(|part| ["--part", part]);
    let args = [&["bench", "all", "--quick", "--out", file.to_str().unwrap()][..], parts.as_flattened()].concat();
    let mut bench = ProductProcess::start(stack.variables(), logs.path(), "all", &args).unwrap();
    wait_until(WAIT_TIMEOUT, async || {
        let report = read_report()?;
        anyhow::ensure!(report["measures"][0]["name"] == "replay/read", "{report}");
        Ok(())
    })
    .await
    .unwrap();

    let ended = bench.stop_with_signal(Signal::SIGTERM).await.unwrap_err();

    let report = read_report().unwrap();
    assert!(ended.to_string().contains("exit status: 130"), "{ended}");
    assert!(report["complete"] == false && report["measures"][0]["name"] == "replay/read", "{report}");
    assert_eq!(list_leftovers(&stack).await, Vec::<String>::new());
}
