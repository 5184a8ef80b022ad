//! Single commands are appended in groups, and each has its own outcome, independent of the others.

mod rds_proxy;
mod snapshot;

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::{AggregateError, EventStore, persist::EventStoreAggregateContext};
use domain::{
    event_store::BatchStore,
    opportunity::{
        Agency, AmendOpportunity, Award, Notice, NoticeDetails, NoticeId, NoticeSource, NoticeType, Opportunity,
        OpportunityCommand, OpportunityError,
    },
};
use eventstore::{append::PgBatchStore, postgres::PostgresConfig, store::PgEventStore};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use sqlx::PgPool;
use tokio::{sync::Barrier, task::JoinSet};

use tests::{
    database, eventually,
    log_events::{discovered_event, insert_event},
};

type OpportunityContext = EventStoreAggregateContext<Opportunity>;
type CommitResult = Result<u64, AggregateError<OpportunityError>>;

fn create_store(pool: &PgPool, lanes: usize) -> PgEventStore<Opportunity> {
    let config = PostgresConfig { append_lanes: lanes, load_lanes: lanes, ..PostgresConfig::default() };
    PgEventStore::new(pool.clone(), &config)
}

/// A command that leads to two events: the discovery and the award.
fn discover_command() -> OpportunityCommand {
    let award = Award { number: Some("W1".to_owned()), date: None, amount: None, awardee: None };
    let details = NoticeDetails {
        solicitation_number: Some("36C10G26R0005".to_owned()),
        active: Some(true),
        ..NoticeDetails::new(
            "Patient lifts".to_owned(),
            NoticeType::try_new("Solicitation").unwrap(),
            Agency::from_name("VETERANS AFFAIRS, DEPARTMENT OF").unwrap(),
        )
    };
    OpportunityCommand::Discover(Box::new(Notice {
        notice_id: NoticeId::try_new("n1").unwrap(),
        source: NoticeSource::Manual,
        posted_at: noon_of_march_3(),
        details,
        award: Some(award),
    }))
}

/// A command that leads to two events: the amendment and the new deadline.
fn amend_command(number: u64) -> OpportunityCommand {
    let delay = TimeDelta::minutes(number.cast_signed());
    OpportunityCommand::Amend(Box::new(AmendOpportunity {
        title: Some(format!("Patient lifts, revision {number}")),
        response_deadline: Some(noon_of_march_3() + delay),
        ..AmendOpportunity::unchanged(noon_of_march_3() + delay)
    }))
}

fn noon_of_march_3() -> DateTime<Utc> {
    "2026-03-03T12:00:00Z".parse().unwrap()
}

/// Decides and commits; returns the number of events.
async fn commit_command(
    store: &PgEventStore<Opportunity>,
    context: OpportunityContext,
    command: OpportunityCommand,
) -> CommitResult {
    let events = context.aggregate.decide(command).map_err(AggregateError::UserError)?;
    let committed = store.commit(events, context, HashMap::new()).await?;
    Ok(committed.len().try_into().unwrap())
}

async fn load_and_commit(store: &PgEventStore<Opportunity>, id: &str, command: OpportunityCommand) -> CommitResult {
    commit_command(store, store.load_aggregate(id).await?, command).await
}

/// Aggregate -> (sequence, position), in the order of the sequences.
async fn read_streams(pool: &PgPool) -> HashMap<String, Vec<(i64, i64)>> {
    let rows: Vec<(String, i64, i64)> =
        sqlx::query_as("select aggregate_id, sequence, position from events order by aggregate_id, sequence")
            .fetch_all(pool)
            .await
            .unwrap();
    let mut streams: HashMap<_, Vec<_>> = HashMap::new();
    for (aggregate, sequence, position) in rows {
        streams.entry(aggregate).or_default().push((sequence, position));
    }
    streams
}

fn assert_no_gaps(aggregate: &str, stream: &[(i64, i64)]) {
    for (expected, (sequence, _)) in (1..).zip(stream) {
        assert_eq!(*sequence, expected, "{aggregate}: {stream:?}");
    }
}

/// Locks the table of events, so that appends wait until this is dropped or released.
struct AppendBarrier {
    lock: sqlx::Transaction<'static, sqlx::Postgres>,
}

impl AppendBarrier {
    async fn lock(pool: &PgPool) -> Self {
        let mut lock = pool.begin().await.unwrap();
        sqlx::query("lock table events in share mode").execute(&mut *lock).await.unwrap();
        Self { lock }
    }

    async fn wait_for_blocked_append(&self, pool: &PgPool) -> i32 {
        eventually(async || {
            let waiting = "select pid from pg_locks where not granted and relation = 'events'::regclass
                           and database = (select oid from pg_database where datname = current_database())";
            let pid: Option<i32> = sqlx::query_scalar(waiting).fetch_optional(pool).await.unwrap();
            pid.ok_or("no append waits for the lock")
        })
        .await
    }

    async fn release(self) {
        self.lock.rollback().await.unwrap();
    }
}

/// Yields so often that all tasks of this single-threaded runtime progress as far as they can.
async fn yield_to_tasks() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_commands_decided_on_the_same_version_exactly_one_is_committed() {
    let pool = database().await;
    let store = create_store(&pool, 2);
    load_and_commit(&store, "a", discover_command()).await.unwrap();
    let start = Arc::new(Barrier::new(32));
    let mut commands = JoinSet::new();
    for number in 0..32 {
        let (store, start) = (store.clone(), Arc::clone(&start));
        commands.spawn(async move {
            let context = store.load_aggregate("a").await.unwrap();
            start.wait().await;
            commit_command(&store, context, amend_command(number)).await
        });
    }

    let outcomes = commands.join_all().await;

    let committed: Vec<_> = outcomes.iter().flatten().collect();
    assert_eq!(committed, [&2], "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(AggregateError::AggregateConflict))));
    let streams = read_streams(&pool).await;
    assert_eq!(streams["a"].len(), 4);
    assert_no_gaps("a", &streams["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_have_no_gaps_and_lose_no_event_under_many_writers_of_two_stores() {
    let pool = database().await;
    // Two stores share no state, like two processes.
    let stores = [create_store(&pool, 2), create_store(&pool, 1)];
    let mut writers = JoinSet::new();
    for seed in 0..24_u64 {
        let store = stores[usize::try_from(seed % 2).unwrap()].clone();
        writers.spawn(async move {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut committed: HashMap<String, u64> = HashMap::new();
            for step in 0..25 {
                let id = format!("a{}", random.next_u32() % 7);
                let command = if step % 5 == 0 { discover_command() } else { amend_command(seed * 1_000 + step) };
                match load_and_commit(&store, &id, command).await {
                    Ok(events) => *committed.entry(id).or_default() += events,
                    Err(AggregateError::AggregateConflict | AggregateError::UserError(_)) => {}
                    Err(error) => panic!("seed {seed}: {error}"),
                }
            }
            committed
        });
    }
    let mut acknowledged: HashMap<String, u64> = HashMap::new();
    for committed in writers.join_all().await {
        for (id, events) in committed {
            *acknowledged.entry(id).or_default() += events;
        }
    }

    let streams = read_streams(&pool).await;

    let in_log: HashMap<_, u64> =
        streams.iter().map(|(id, stream)| (id.clone(), u64::try_from(stream.len()).unwrap())).collect();
    acknowledged.retain(|_, events| *events > 0);
    assert_eq!(in_log, acknowledged);
    for (id, stream) in &streams {
        assert_no_gaps(id, stream);
    }
}

#[tokio::test]
async fn a_conflict_in_a_group_fails_only_its_own_command() {
    let pool = database().await;
    let store = create_store(&pool, 1);
    let mut contexts = vec![store.load_aggregate("late").await.unwrap()];
    for id in ["b", "c", "d"] {
        contexts.push(store.load_aggregate(id).await.unwrap());
    }
    insert_event(&mut pool.acquire().await.unwrap(), "late", 1).await;
    let barrier = AppendBarrier::lock(&pool).await;
    let first = tokio::spawn({
        let store = store.clone();
        async move { load_and_commit(&store, "first", discover_command()).await }
    });
    barrier.wait_for_blocked_append(&pool).await;
    let mut group = JoinSet::new();
    for context in contexts {
        let store = store.clone();
        group.spawn(async move {
            (context.aggregate_id.clone(), commit_command(&store, context, discover_command()).await)
        });
    }
    yield_to_tasks().await;

    barrier.release().await;

    let outcomes: HashMap<_, _> = group.join_all().await.into_iter().collect();
    assert!(matches!(outcomes["late"], Err(AggregateError::AggregateConflict)), "{outcomes:?}");
    assert_eq!(first.await.unwrap().unwrap(), 2);
    let streams = read_streams(&pool).await;
    assert_eq!(streams["late"].len(), 1);
    for id in ["b", "c", "d"] {
        assert!(matches!(outcomes[id], Ok(2)), "{outcomes:?}");
        assert_eq!(streams[id].len(), 2);
    }
}

/// Appends many discoveries of two events concurrently; stream -> the positions of its two events.
async fn discover_concurrently(lanes: usize) -> HashMap<String, (i64, i64)> {
    let pool = database().await;
    let store = create_store(&pool, lanes);
    let mut commands = JoinSet::new();
    for number in 0..40 {
        let store = store.clone();
        commands
            .spawn(async move { load_and_commit(&store, &format!("a{number}"), discover_command()).await.unwrap() });
    }
    commands.join_all().await;
    let pair = |(aggregate, stream): (String, Vec<(i64, i64)>)| {
        let [(1, first), (2, second)] = stream[..] else { panic!("{aggregate}: {stream:?}") };
        (aggregate, (first, second))
    };
    read_streams(&pool).await.into_iter().map(pair).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_follow_the_order_of_the_events_of_an_append() {
    for (aggregate, (first, second)) in discover_concurrently(2).await {
        assert!(first < second, "{aggregate}: {first}, {second}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_lane_the_positions_of_an_append_are_consecutive() {
    for (aggregate, (first, second)) in discover_concurrently(1).await {
        assert_eq!(second, first + 1, "{aggregate}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_an_error_of_unknown_outcome_and_the_store_reconnects() {
    let pool = database().await;
    let store = create_store(&pool, 1);
    load_and_commit(&store, "a", discover_command()).await.unwrap();
    let barrier = AppendBarrier::lock(&pool).await;
    let append = tokio::spawn({
        let store = store.clone();
        async move { load_and_commit(&store, "a", amend_command(1)).await }
    });
    let pid = barrier.wait_for_blocked_append(&pool).await;

    sqlx::query("select pg_terminate_backend($1)").bind(pid).execute(&pool).await.unwrap();

    let error = append.await.unwrap().unwrap_err();
    assert!(matches!(error, AggregateError::UnexpectedError(_)), "{error:?}");
    assert!(error.to_string().contains("may or may not be recorded"), "{error}");
    barrier.release().await;
    assert_eq!(load_and_commit(&store, "a", amend_command(1)).await.unwrap(), 2);
    assert_eq!(read_streams(&pool).await["a"].len(), 4);
}

#[tokio::test]
async fn a_connection_that_broke_while_idle_is_replaced_for_a_load() {
    let pool = database().await;
    let store = create_store(&pool, 1);
    load_and_commit(&store, "a", discover_command()).await.unwrap();
    let others = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                  where datname = current_database() and pid <> pg_backend_pid()";
    sqlx::query(others).execute(&pool).await.unwrap();

    assert_eq!(store.load_aggregate("a").await.unwrap().current_sequence, 2);
}

#[tokio::test]
async fn an_unreachable_server_is_an_error_for_every_waiting_caller() {
    let nowhere = PgPool::connect_lazy("postgres://medhub@127.0.0.1:1/nowhere").unwrap();
    let store = create_store(&nowhere, 1);
    let mut commands = JoinSet::new();
    for number in 0..10 {
        let store = store.clone();
        commands.spawn(async move { load_and_commit(&store, &format!("a{number}"), discover_command()).await });
    }
    for outcome in commands.join_all().await {
        assert!(matches!(outcome, Err(AggregateError::DatabaseConnectionError(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_foreign_transaction_that_locks_one_stream_fails_only_that_command() {
    let pool = database().await;
    let store = create_store(&pool, 1);
    let mut contexts = Vec::new();
    for id in ["held", "y", "z"] {
        contexts.push(store.load_aggregate(id).await.unwrap());
    }
    let mut foreign = pool.begin().await.unwrap();
    insert_event(&mut foreign, "held", 1).await;
    let mut group = JoinSet::new();
    for context in contexts {
        let store = store.clone();
        group.spawn(async move {
            (context.aggregate_id.clone(), commit_command(&store, context, discover_command()).await)
        });
    }

    let outcomes: HashMap<_, _> = group.join_all().await.into_iter().collect();

    assert!(matches!(outcomes["held"], Err(AggregateError::DatabaseConnectionError(_))), "{outcomes:?}");
    assert!(outcomes["y"].is_ok() && outcomes["z"].is_ok(), "{outcomes:?}");
}

#[tokio::test]
async fn cancelled_callers_do_not_affect_others() {
    let pool = database().await;
    let store = create_store(&pool, 1);
    let barrier = AppendBarrier::lock(&pool).await;
    let mut cancelled = JoinSet::new();
    for number in 0..10 {
        let store = store.clone();
        cancelled.spawn(async move { load_and_commit(&store, &format!("gone{number}"), discover_command()).await });
    }
    barrier.wait_for_blocked_append(&pool).await;
    cancelled.shutdown().await;

    barrier.release().await;

    assert_eq!(load_and_commit(&store, "a", discover_command()).await.unwrap(), 2);
    assert_eq!(load_and_commit(&store, "gone0", amend_command(1)).await.map_or(0, |events| events % 2), 0);
    for (id, stream) in read_streams(&pool).await {
        assert_no_gaps(&id, &stream);
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_named_with_its_stream_sequence_and_position() {
    let pool = database().await;
    let bad = domain::event_store::NewEvent { payload: r#"{"n":1}"#.to_owned(), ..discovered_event("bad", 1) };
    PgBatchStore::new(pool.clone()).append_events(vec![discovered_event("other", 1), bad]).await.unwrap();

    let error = create_store(&pool, 1).load_aggregate("bad").await.err().unwrap();

    assert!(matches!(error, AggregateError::DeserializationError(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("opportunity bad, sequence 1, position 2"), "{text}");
}
