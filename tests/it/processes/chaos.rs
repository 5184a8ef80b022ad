//! Processes are killed at random points, and each effect is recorded once.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use commands::{dispatcher::CommandDispatcher, precondition::CommandPreconditions};
use domain::{clock::SystemClock, document::Document};
use eventstore::{postgres::PostgresConfig, store::PgEventStore};
use futures::{StreamExt as _, stream};
use sqlx::PgPool;
use tests::{
    ProductInstance, ProductProcess, WAIT_TIMEOUT, eventually, eventually_within,
    faults::{run_seed, seeded_choices::SeededChoices},
};
use uuid::Uuid;

use super::document_fixture::{
    DocumentDispatcher, TENANT, program_sender, program_sender_as, stage_results, upload_command,
};

/// The variable with the number of documents of a long run; `docs/faults.md` says how to start one.
const DOCUMENTS_VARIABLE: &str = "PROCESS_CHAOS_DOCUMENTS";
const DOCUMENTS: usize = 100;
const MIN_KILLS: usize = 4;
/// Between two results that are recorded, so that the processes keep up.
const RESULT_PAUSE: Duration = Duration::from_millis(5);
/// For so many documents there is one more who uploads and records at the same time.
const DOCUMENTS_PER_UPLOADER: usize = 1_000;
const MAX_UPLOADERS: usize = 8;

/// Who uploads a document. As in a company, a few users do most: of ten documents, one user has three, one has two and
/// one has one; the rest is spread over a tenth as many users as there are documents.
fn uploader(number: usize, documents: usize) -> String {
    match number % 10 {
        0..3 => "ann".to_owned(),
        3..5 => "bob".to_owned(),
        5 => "eve".to_owned(),
        _ => format!("user-{}", number / 10 % documents.div_ceil(10)),
    }
}

fn document_count() -> usize {
    let chosen = std::env::vars().find(|(name, _)| name == DOCUMENTS_VARIABLE);
    chosen.map_or(DOCUMENTS, |(_, count)| count.parse().expect("a number of documents"))
}

/// Records the result of a document's stage, as a worker does; how often does not matter.
async fn record_stage(dispatcher: &DocumentDispatcher, id: &Uuid, stage: usize) {
    let sender = program_sender(TENANT);
    let command = stage_results(dispatcher, &sender)[stage].clone();
    let none = CommandPreconditions::default();
    dispatcher.dispatch::<Document>(&sender, &id.to_string(), &none, command).await.unwrap();
}

/// The number of effects of each kind that the process recorded.
async fn count_effects(pool: &PgPool) -> BTreeMap<String, i64> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select event_type, count(*) from events where metadata ->> 'user_id' = 'system:document-analysis' group by 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    rows.into_iter().collect()
}

#[tokio::test]
async fn each_effect_is_recorded_once_although_both_programs_are_killed_again_and_again() {
    let mut product = ProductInstance::start().await;
    let args = ["serve", "--role", "processes"];
    let second = ProductProcess::start(product.variables(), product.folder(), "processes", &args);
    let mut second = second.unwrap();
    let mut choices = SeededChoices::new(run_seed::read_or_draw_seed().unwrap(), 7);
    let config = PostgresConfig {
        url: product.variable("DATABASE_URL").to_owned().into(),
        max_connections: 4,
        ..PostgresConfig::default()
    };
    let pool = eventstore::postgres::open_pool(&config).unwrap();
    let event_store = PgEventStore::new(pool.clone(), &config);
    let dispatcher = Arc::new(CommandDispatcher::new(event_store, Arc::new(SystemClock)));

    let documents = document_count();
    let patience = WAIT_TIMEOUT + RESULT_PAUSE * 5 * u32::try_from(documents).unwrap();
    let load = tokio::spawn({
        let dispatcher = Arc::clone(&dispatcher);
        async move {
            let none = CommandPreconditions::default();
            let ids: Vec<_> = (0..documents).map(|_| Uuid::new_v4()).collect();
            let uploaders = documents.div_ceil(DOCUMENTS_PER_UPLOADER).min(MAX_UPLOADERS);
            let upload = async |(number, id): (usize, &Uuid)| {
                let sender = program_sender_as(&uploader(number, documents), TENANT);
                let command = upload_command(&dispatcher, &sender, &format!("acme/{id}"));
                dispatcher.dispatch::<Document>(&sender, &id.to_string(), &none, command).await.unwrap();
            };
            stream::iter(ids.iter().enumerate()).for_each_concurrent(uploaders, upload).await;
            for stage in 0..3 {
                let record = async |id| {
                    record_stage(&dispatcher, id, stage).await;
                    tokio::time::sleep(RESULT_PAUSE).await;
                };
                stream::iter(&ids).for_each_concurrent(uploaders, record).await;
            }
        }
    });
    let (mut kills, started) = (0, Instant::now());
    while kills < MIN_KILLS || !load.is_finished() {
        // A long run has pauses, so that the processes get far ahead of a kill.
        tokio::time::sleep(choices.millis_between(100, 1_500 + 500 * (kills % 16) as u64)).await;
        kills += 1;
        let kill = kills;
        if kill % 2 == 0 {
            product.restart().await;
        } else {
            second.kill9().unwrap();
            second.launch().unwrap();
        }
    }
    load.await.unwrap();

    let documents = i64::try_from(documents).unwrap();
    let expected =
        BTreeMap::from([("task.requested".to_owned(), 3 * documents), ("inbox.notified".to_owned(), documents)]);
    let loaded = started.elapsed();
    println!("{documents} documents and their results are recorded after {loaded:.0?}, with {kills} kills");
    // Small tables: to count the effects, the whole log is read.
    let ended = "select (select count(*) from process_instances where status = 'finished'),
                        (select count(*) from process_commands)";
    eventually_within(patience, async || {
        let found: (i64, i64) = sqlx::query_as(ended).fetch_one(&pool).await.unwrap();
        if found == (documents, 0) { Ok(()) } else { Err(format!("{found:?} instances ended, commands pending")) }
    })
    .await;
    assert_eq!(count_effects(&pool).await, expected);
    let (instances, events): (i64, i64) =
        sqlx::query_as("select (select count(*) from process_instances), (select count(*) from events)")
            .fetch_one(&pool)
            .await
            .unwrap();
    println!("{instances} instances have ended after {:.0?}, {events} events", started.elapsed());
    assert_eq!(instances, documents);
    second.kill9().unwrap();
    readiness_names_a_fault_of_the_runner(&product, &pool).await;
}

/// Takes a table away from the running program, and gives it back.
async fn readiness_names_a_fault_of_the_runner(product: &ProductInstance, pool: &PgPool) {
    let wait_for = async |expected: &str| {
        eventually(async || {
            let report: serde_json::Value =
                reqwest::get(format!("{}/ready", product.http())).await.unwrap().json().await.unwrap();
            let state = &report["parts"]["process-runner"]["state"];
            if state == expected { Ok(()) } else { Err(report.to_string()) }
        })
        .await;
    };
    wait_for("running").await;
    sqlx::query("alter table process_timers rename to process_timers_away").execute(pool).await.unwrap();
    wait_for("retrying").await;
    sqlx::query("alter table process_timers_away rename to process_timers").execute(pool).await.unwrap();
    wait_for("running").await;
}
