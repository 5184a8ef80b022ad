//! Tables on a cluster have the same content as on one server, and unsuitable clusters are refused.

use projections::{
    opportunity_analytics::VisitAction,
    runtime::{ReadModelGeneration, VerifyScope},
    storage::StorageProblem,
};
use serde_json::{Value, json};
use tests::{
    ClickHouseCluster, ClickHouseClusters, EnvironmentVariables, ProductHandle, ProductInstance, eventually,
    output_text, shared_product,
};

use crate::graphql::{DISCOVER_MUTATION, bed_opportunity_input, send_mutation};

use super::{
    super::*,
    ClickHouseConfig, OpportunityAnalytics, TestNamespace,
    analyst_guide::questions,
    engagement::everything,
    generations::{EXPERIMENT, experiment_run, generation_history},
    march, rows, seen,
};

fn open(url: &str, cluster: &str) -> OpportunityAnalytics {
    let config = ClickHouseConfig {
        url: url.to_owned(),
        database: TestNamespace::new().name().to_owned(),
        cluster: cluster.to_owned(),
        ..ClickHouseConfig::default()
    };
    OpportunityAnalytics::new(&config).unwrap()
}

/// The database that analysts query.
fn database_prefix(analytics: &OpportunityAnalytics) -> String {
    analytics.database().strip_suffix("_g1").unwrap().to_owned()
}

/// Compares what is stored with what the events say, as `medhub verify` does.
async fn assert_no_difference(analytics: &OpportunityAnalytics, events: &[RawEnvelope]) {
    for scope in [VerifyScope::Buckets(0..=99), VerifyScope::Buckets(100..=255), VerifyScope::Totals] {
        let mut fold = analytics.fold(&scope);
        for event in events {
            fold.apply_event(event).unwrap();
        }
        let (mut wanted, mut stored) = (fold.expected_rows(), analytics.read_back(&scope).await.unwrap());
        wanted.sort();
        stored.sort();
        assert!(!wanted.is_empty());
        assert_eq!(stored, wanted, "{scope:?}");
    }
}

/// Answers of the queries that no list or statistic needs.
async fn read_samples(analytics: &OpportunityAnalytics) -> (usize, usize, String, Vec<VisitAction>) {
    let run = experiment_run(march(8), Some(march(9)));
    let generations = analytics.load_generation_samples(EXPERIMENT, &run).await.unwrap();
    let sections = analytics.load_section_samples(EXPERIMENT, &run).await.unwrap();
    let visits = analytics.load_visit_samples(&run).await.unwrap();
    let actions = analytics.list_visit_actions("public", None, None, 50).await.unwrap();
    (generations.len(), sections.len(), format!("{generations:?} {sections:?} {visits:?}"), actions)
}

#[tokio::test]
async fn tables_on_a_cluster_have_the_content_of_one_server() {
    let clusters = ClickHouseClusters::start().await;
    let single = tests::analytics().await;
    let events = [everything(), generation_history()].concat();
    apply(&single, &events).await;
    single.switch_direct_readers().await.unwrap();

    two_shards_have_the_content_of_one_server(&clusters.two, &single, &events).await;
    batches_are_stored_once_and_generations_switch(&clusters.one, &single, &events).await;
    let problems = open(&clusters.engine_url, clusters.one.name).find_cluster_problems().await.unwrap();
    let is_expected = |problem: &StorageProblem| problem.harmful && problem.text.contains("the server has no Keeper");
    assert!(problems.iter().any(is_expected), "{problems:?}");
    a_product_uses_the_cluster(&clusters.one).await;
}

async fn two_shards_have_the_content_of_one_server(
    cluster: &ClickHouseCluster,
    single: &OpportunityAnalytics,
    events: &[RawEnvelope],
) {
    let analytics = open(&cluster.url, cluster.name);
    analytics.migrate().await.unwrap();
    apply_with_repetitions(&analytics, &events[..events.len() / 10]).await;
    apply(&analytics, events).await;

    let by_shard = "select _shard_num, uniqExact(event_id) from events group by _shard_num order by _shard_num";
    let by_shard = cluster.rows(&analytics.database(), by_shard).await;
    let counts: Vec<usize> = by_shard.iter().map(|row| row[1].parse().unwrap()).collect();
    assert!(counts.len() == 2 && counts[0] + counts[1] == events.len(), "{by_shard:?}");

    // Lists, figures, samples and every row are the same as on one server.
    assert_eq!(seen(&analytics).await, seen(single).await);
    assert_eq!(read_samples(&analytics).await, read_samples(single).await);
    assert_no_difference(&analytics, events).await;

    // So are the answers of analysts, who need no setting.
    analytics.switch_direct_readers().await.unwrap();
    for (heading, sql) in questions() {
        let (mut here, mut there) =
            (cluster.rows(&database_prefix(&analytics), &sql).await, rows(&database_prefix(single), &sql).await);
        here.sort();
        there.sort();
        assert_eq!(here, there, "{heading}");
    }
}

async fn batches_are_stored_once_and_generations_switch(
    cluster: &ClickHouseCluster,
    single: &OpportunityAnalytics,
    events: &[RawEnvelope],
) {
    let first = open(&cluster.url, cluster.name);
    let second = first.with_generation(ReadModelGeneration::try_new(2).unwrap());
    first.migrate().await.unwrap();
    let created = cluster.cluster_statements();
    first.migrate().await.unwrap();
    for part in [
        "engine = ReplicatedReplacingMergeTree(",
        "engine = ReplicatedAggregatingMergeTree(",
        "ttl toDateTime(recorded_at) + toIntervalDay(90)",
    ] {
        assert!(created.iter().any(|sql| sql.contains(part)), "{part}: {created:?}");
    }
    let later = cluster.cluster_statements().split_off(created.len());
    let of_events = |sql: &&String| sql.contains("table if not exists events") || sql.contains(" ttl ");
    assert_eq!(later.iter().find(of_events), None, "a migration is applied once");

    // Another retention changes the tables that exist.
    let config = |raw_ttl_days, name: &str| ClickHouseConfig {
        url: cluster.url.clone(),
        database: database_prefix(&first),
        cluster: name.to_owned(),
        raw_ttl_days,
        ..ClickHouseConfig::default()
    };
    OpportunityAnalytics::new(&config(7, cluster.name)).unwrap().migrate().await.unwrap();
    assert!(
        cluster.cluster_statements().last().unwrap().contains("modify ttl toDateTime(recorded_at) + toIntervalDay(7)")
    );

    let unnamed = OpportunityAnalytics::new(&config(90, ""));
    let problems = unnamed.unwrap().find_cluster_problems().await.unwrap();
    assert!(problems.len() == 1 && problems[0].harmful, "{problems:?}");
    assert!(problems[0].text.contains("set MEDHUB__CLICKHOUSE__CLUSTER"), "{problems:?}");

    // A shard knows a batch that is repeated: without `final`, there is no row more. Engagement is merged instead.
    apply(&first, events).await;
    cluster.rows("default", "system stop merges").await;
    let stored = async || cluster.rows(&first.database(), "select count() from opportunities").await;
    let before = stored().await;
    apply(&first, events).await;
    assert_eq!(stored().await, before);
    apply(&first, &events[1..]).await;
    assert_ne!(stored().await, before);
    cluster.rows("default", "system start merges").await;
    assert_eq!(seen(&first).await, seen(single).await);

    first.switch_direct_readers().await.unwrap();
    second.migrate().await.unwrap();
    apply(&second, &events[..1]).await;
    let count = async || cluster.rows(&database_prefix(&first), "select count() from events").await;
    assert_eq!(count().await, [[events.len().to_string()]]);
    second.switch_direct_readers().await.unwrap();
    assert_eq!(count().await, [["1"]]);
    first.discard().await.unwrap();
    assert_eq!(count().await, [["1"]]);
    second.discard().await.unwrap();
    let left = format!("select name from system.tables where startsWith(database, '{}')", database_prefix(&first));
    assert_eq!(cluster.rows("default", &left).await, [["cluster_generation"]]);
}

async fn a_product_uses_the_cluster(cluster: &ClickHouseCluster) {
    let settings = [("CLICKHOUSE_URL", &*cluster.url), ("MEDHUB__CLICKHOUSE__CLUSTER", cluster.name)];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let product = ProductInstance::start_with(EnvironmentVariables::from(settings)).await;
    send_mutation(&product, DISCOVER_MUTATION, bed_opportunity_input("sharded-1", "36C24526Q0002")).await;

    let stored = format!("select count() from {}_g1.opportunities", product.variable("MEDHUB__CLICKHOUSE__DATABASE"));
    eventually(async || match &cluster.rows("default", &stored).await[..] {
        [row] if row == &["1"] => Ok(()),
        rows => Err(format!("{rows:?}")),
    })
    .await;
    let verified = product.run_medhub(&["verify", "analytics"]).await;
    let doctor = diagnose_clickhouse(&product, &[]).await;

    assert!(verified.status.success(), "{}", output_text(&verified));
    assert_eq!(doctor["answers"], true, "{doctor}");
    assert_eq!(doctor["findings"], json!([]), "{doctor}");
}

/// What `medhub doctor` says of ClickHouse with these settings.
async fn diagnose_clickhouse(product: &ProductHandle, settings: &[(&str, &str)]) -> Value {
    let mut doctor = product.medhub_command(&["doctor", "--json"]);
    doctor.envs(settings.iter().copied());
    let output = tokio::task::spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["engines"].as_array().unwrap().iter().find(|engine| engine["engine"] == "clickhouse").unwrap().clone()
}

#[tokio::test]
async fn a_cluster_that_the_server_does_not_know_is_refused_by_variable() {
    let url = tests::engines().await.variable("CLICKHOUSE_URL").to_owned();
    let analytics = open(&url, "absent");

    let problems = analytics.find_cluster_problems().await.unwrap();
    let refused = format!("{:?}", analytics.migrate().await.unwrap_err());

    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].harmful && problems[0].text.starts_with("MEDHUB__CLICKHOUSE__CLUSTER: "), "{problems:?}");
    assert!(refused.contains("no cluster `absent`"), "{refused}");
    let database = format!("select count() from system.databases where startsWith(name, '{}')", analytics.database());
    assert_eq!(rows("default", &database).await, [["0"]]);
}

#[tokio::test]
async fn a_service_does_not_start_with_a_cluster_that_the_server_does_not_know() {
    let product = shared_product().await;
    let settings = [("MEDHUB__CLICKHOUSE__CLUSTER", "absent")];
    let mut serve = product.medhub_command(&["serve", "--role", "projections"]);
    serve.envs(settings);
    let serve = tokio::task::spawn_blocking(move || serve.output().unwrap());

    let (served, doctor) = tokio::join!(serve, diagnose_clickhouse(product, &settings));

    let served = served.unwrap();
    let reason = String::from_utf8_lossy(&served.stderr);
    assert!(
        !served.status.success() && reason.contains("MEDHUB__CLICKHOUSE__CLUSTER: the server has no cluster"),
        "{reason}"
    );
    assert_eq!(doctor["findings"][0]["harmful"], true, "{doctor}");
}
