//! One relay leads, by a lease that works through any pooler between it and Postgres.

use std::time::Duration;

use domain::event_store::BatchStore as _;
use eventstore::{
    append::PgBatchStore,
    pooler::{self, SessionSharingPooler},
    relay,
};
use rdkafka::{
    admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier},
    client::DefaultClientContext,
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tests::{
    RunningRelay, TransactionPooler, database, eventually, log_events::discovered_event, read_positions_by_aggregate,
    topics,
};

fn count_leaders(relays: &[RunningRelay]) -> usize {
    relays.iter().filter(|relay| relay.status.borrow().leading).count()
}

/// The same database through a pooler that assigns its sessions to all clients in turn.
async fn connect_through_pooler(pool: &PgPool) -> (TransactionPooler, PgPool) {
    let options = pool.connect_options();
    let (host, port) = (options.get_host(), options.get_port());
    let (user, database) = (options.get_username(), options.get_database().unwrap());
    let pooler = TransactionPooler::start(&format!("postgres://{user}@{host}:{port}/{database}")).await.unwrap();
    let pool = PgPoolOptions::new().max_connections(8).connect(pooler.url()).await.unwrap();
    (pooler, pool)
}

#[tokio::test]
async fn behind_a_pooler_that_shares_sessions_one_of_three_leads_and_another_takes_over() {
    let (direct, kafka) = (database().await, topics().await);
    let (_pooler, pool) = connect_through_pooler(&direct).await;
    let store = PgBatchStore::new(direct.clone());
    let mut relays = vec![];
    for _ in 0..3 {
        relays.push(RunningRelay::start(&pool, &kafka).await);
    }
    for sequence in 1..=20 {
        store.append_events((0..10).map(|n| discovered_event(&format!("a{n}"), sequence)).collect()).await.unwrap();
        let leaders = count_leaders(&relays);
        assert!(leaders <= 1, "{leaders} relays lead at once");
    }
    let leader = eventually(async || {
        let leader = relays.iter().position(|relay| relay.status.borrow().position >= 200);
        leader.ok_or("no relay has published all events".to_owned())
    })
    .await;

    relays.remove(leader).stop().await;
    store.append_events(vec![discovered_event("a0", 21)]).await.unwrap();
    eventually(async || {
        let took_over = relays.iter().any(|relay| relay.status.borrow().position >= 201);
        if took_over { Ok(()) } else { Err("no relay took over".to_owned()) }
    })
    .await;
    for relay in relays {
        relay.stop().await;
    }

    let found = read_positions_by_aggregate(&kafka).await;
    assert_eq!(found.values().map(Vec::len).sum::<usize>(), 201, "each event once: {found:?}");
    assert!(found.values().all(|positions| positions.is_sorted()), "{found:?}");
}

#[tokio::test]
async fn a_session_sharing_pooler_is_detected() {
    let direct = database().await;
    let (_pooler, pool) = connect_through_pooler(&direct).await;

    assert_eq!(pooler::detect_pooler(&direct).await.unwrap(), None);
    assert_eq!(
        pooler::detect_pooler(&pool).await.unwrap(),
        Some(SessionSharingPooler { allows_transactions: true, keeps_prepared_statements: true })
    );
}

#[tokio::test]
async fn migrations_through_a_pooler_leave_no_lock_behind() {
    let direct = database().await;
    let (_pooler, pool) = connect_through_pooler(&direct).await;

    for _ in 0..3 {
        eventstore::schema_migration::migrate(&pool).await.unwrap();
    }

    let held = "select count(*) from pg_locks where locktype = 'advisory' and granted
                and database = (select oid from pg_database where datname = current_database())";
    assert_eq!(sqlx::query_scalar::<_, i64>(held).fetch_one(&direct).await.unwrap(), 0);
}

#[tokio::test]
async fn the_lease_of_a_dead_relay_expires_and_the_next_leader_has_a_higher_epoch() {
    let (pool, kafka) = (database().await, topics().await);
    PgBatchStore::new(pool.clone()).append_events(vec![discovered_event("a", 1)]).await.unwrap();
    let dead = "select taken_epoch from take_lease('relay', gen_random_uuid(), 1.5, 'dead:1')";
    let before: i64 = sqlx::query_scalar(dead).fetch_one(&pool).await.unwrap();
    let relay = RunningRelay::start(&pool, &kafka).await;
    assert!(relay::load_progress(&pool).await.unwrap().leads);

    relay.wait_until_published(1).await;

    let epoch = eventually(async || {
        let epoch: Option<i64> =
            sqlx::query_scalar("select epoch from relay_checkpoints").fetch_optional(&pool).await.unwrap();
        epoch.ok_or("no checkpoint yet".to_owned())
    })
    .await;
    assert!(epoch > before, "{epoch} after {before}");
    relay.stop().await;
    assert!(!relay::load_progress(&pool).await.unwrap().leads, "a relay that stops releases its lease");
}

#[tokio::test]
async fn the_relay_replaces_a_session_that_hangs() {
    let (pool, kafka) = (database().await, topics().await);
    let store = PgBatchStore::new(pool.clone());
    let config = relay::RelayConfig { answer_ms: 1_000, ..RunningRelay::quick_config() };
    let relay = RunningRelay::start_with(&pool, &kafka, config).await;
    store.append_events(vec![discovered_event("a", 1)]).await.unwrap();
    relay.wait_until_published(1).await;
    let reading = "select pid from pg_stat_activity where application_name = 'medhub relay'
                   and datname = current_database()";
    let paused: Vec<i32> = sqlx::query_scalar(reading).fetch_all(&pool).await.unwrap();
    assert!(!paused.is_empty());
    let signal = |signal| {
        for pid in &paused {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), signal).unwrap();
        }
    };

    signal(nix::sys::signal::Signal::SIGSTOP);
    store.append_events(vec![discovered_event("a", 2)]).await.unwrap();
    let reached = tokio::time::timeout(Duration::from_mins(1), relay.wait_until_published(2)).await;
    signal(nix::sys::signal::Signal::SIGCONT);

    reached.unwrap();
    relay.stop().await;
    assert_eq!(read_positions_by_aggregate(&kafka).await["a"], [1, 2]);
}

#[tokio::test]
async fn a_compacted_topic_is_reported_and_publishing_continues_once_it_is_fixed() {
    let (pool, kafka) = (database().await, topics().await);
    let topic = domain::context::BoundedContext::Opportunities.topic(&kafka.topic_prefix);
    let admin: AdminClient<DefaultClientContext> = kafka.client_config().create().unwrap();
    let set = async |policy: &str| {
        let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("cleanup.policy", policy);
        let answers = admin.alter_configs(&[change], &AdminOptions::new()).await.unwrap();
        answers.into_iter().next().unwrap().expect(policy);
    };
    let is_compacted = async || {
        let findings = eventstore::topic::diagnose_topics(&kafka).await.unwrap();
        findings.iter().any(|(text, harmful)| *harmful && text.contains("compact")).then_some(()).ok_or(findings)
    };
    set("compact").await;
    // A broker applies such a change some time after it has acknowledged it: until then it would accept the event.
    eventually(async || is_compacted().await.map_err(|findings| format!("{findings:?}"))).await;
    PgBatchStore::new(pool.clone()).append_events(vec![discovered_event("a", 1)]).await.unwrap();
    let relay = RunningRelay::start(&pool, &kafka).await;

    let error = eventually(async || {
        let progress = relay::load_progress(&pool).await.unwrap();
        let error = progress.last_error.clone().filter(|error| error.contains("cleanup.policy=compact"));
        error.ok_or(format!("{progress:?}"))
    })
    .await;
    assert!(error.contains(&topic), "{error}");
    is_compacted().await.unwrap();

    set("delete").await;
    relay.wait_until_published(1).await;
    relay.stop().await;
}

#[tokio::test]
async fn partitions_added_later_are_reported_and_get_no_events() {
    let (pool, kafka) = (database().await, topics().await);
    let topic = domain::context::BoundedContext::Opportunities.topic(&kafka.topic_prefix);
    let admin: AdminClient<DefaultClientContext> = kafka.client_config().create().unwrap();
    let more = rdkafka::admin::NewPartitions::new(&topic, 8);
    let answers = admin.create_partitions(&[more], &AdminOptions::new()).await.unwrap();
    answers.into_iter().next().unwrap().unwrap();
    let store = PgBatchStore::new(pool.clone());
    store.append_events((0..40).map(|n| discovered_event(&format!("a{n}"), 1)).collect()).await.unwrap();

    let relay = RunningRelay::start(&pool, &kafka).await;
    relay.wait_until_published(40).await;
    relay.stop().await;

    assert_eq!(eventstore::count::count_published(&kafka).await.unwrap(), 40);
    eventually(async || {
        let findings = eventstore::topic::diagnose_topics(&kafka).await.unwrap();
        let named = findings.iter().any(|(text, harmful)| !harmful && text.contains("has 8 partitions"));
        if named { Ok(()) } else { Err(format!("{findings:?}")) }
    })
    .await;
}
