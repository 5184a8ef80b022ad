//! Guarantees of every command, on a real log: executed once per idempotency key, and only on the expected version.

mod dispatcher;

use std::sync::Arc;

use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandOutcome, CommandSender},
    error::CommandError,
    precondition::{CommandPreconditions, IdempotencyKey},
};
use domain::{
    clock::SystemClock,
    event_store::BatchStore,
    opportunity::{AmendOpportunity, Opportunity, OpportunityCommand, OpportunityError, OpportunityId},
    value::{TenantId, UserId},
    watchlist::{Watchlist, WatchlistCommand},
};
use eventstore::{append::PgBatchStore, postgres::PostgresConfig, store::PgEventStore};
use sqlx::PgPool;

use tests::{database, log_events::discovered_event, opportunity_history::notice};

type PgDispatcher = CommandDispatcher<PgEventStore<()>>;
type DispatchResult = Result<CommandOutcome, CommandError<OpportunityError>>;

fn new_dispatcher(pool: &PgPool) -> Arc<PgDispatcher> {
    let store = PgEventStore::new(pool.clone(), &PostgresConfig::default());
    Arc::new(CommandDispatcher::new(store, Arc::new(SystemClock)))
}

fn system_sender(tenant: &str) -> CommandSender {
    let caller = Caller::new(UserId::try_new("ann").unwrap(), TenantId::try_new(tenant).unwrap());
    CommandSender { caller, authority: CallerAuthority::System }
}

fn key_precondition(key: &str, request: &str) -> CommandPreconditions {
    CommandPreconditions {
        idempotency_key: Some(IdempotencyKey::try_new(key, request).unwrap()),
        ..CommandPreconditions::default()
    }
}

fn version_precondition(version: u64) -> CommandPreconditions {
    CommandPreconditions::with_version(Some(version))
}

async fn discover(dispatcher: &PgDispatcher) -> OpportunityId {
    let notice = notice("w1", "VETERANS AFFAIRS, DEPARTMENT OF", "W-1", "Wheelchairs", "6530", 3);
    let id = notice.opportunity_id();
    let command = OpportunityCommand::Discover(Box::new(notice));
    let unconditional = CommandPreconditions::default();
    dispatcher.dispatch::<Opportunity>(&system_sender("public"), id.as_str(), &unconditional, command).await.unwrap();
    id
}

async fn retitle(
    dispatcher: &PgDispatcher,
    id: &OpportunityId,
    title: &str,
    conditions: CommandPreconditions,
) -> DispatchResult {
    let amendment = AmendOpportunity { title: Some(title.to_owned()), ..AmendOpportunity::unchanged(dispatcher.now()) };
    let command = OpportunityCommand::Amend(Box::new(amendment));
    dispatcher.dispatch::<Opportunity>(&system_sender("public"), id.as_str(), &conditions, command).await
}

async fn count_events(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from events").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_repeated_command_has_the_first_outcome_and_appends_nothing() {
    let pool = database().await;
    let dispatcher = new_dispatcher(&pool);
    let id = discover(&dispatcher).await;
    let first = retitle(&dispatcher, &id, "Wheelchairs and lifts", key_precondition("k1", "lifts")).await.unwrap();
    let later = retitle(&dispatcher, &id, "Something else", key_precondition("k2", "else")).await.unwrap();
    let before = count_events(&pool).await;

    let repeated = retitle(&dispatcher, &id, "Wheelchairs and lifts", key_precondition("k1", "lifts")).await.unwrap();

    assert_eq!(repeated, CommandOutcome { repeated: true, ..first.clone() });
    assert!(later.version > first.version);
    assert_eq!(count_events(&pool).await, before);
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_one_command_of_one_tenant() {
    let pool = database().await;
    let dispatcher = new_dispatcher(&pool);
    let id = discover(&dispatcher).await;
    retitle(&dispatcher, &id, "One", key_precondition("k", "one")).await.unwrap();

    let other_command = retitle(&dispatcher, &id, "Two", key_precondition("k", "two")).await;
    let save = WatchlistCommand::Save { opportunity_id: id, at: dispatcher.now() };
    let other_tenant =
        dispatcher.dispatch::<Watchlist>(&system_sender("acme"), "ann", &key_precondition("k", "three"), save).await;

    assert!(matches!(other_command, Err(CommandError::KeyReused)), "{other_command:?}");
    assert!(other_tenant.is_ok(), "{other_tenant:?}");
}

#[tokio::test]
async fn concurrent_repetitions_of_a_command_are_executed_once() {
    let pool = database().await;
    let dispatcher = new_dispatcher(&pool);
    let id = discover(&dispatcher).await;
    let before = count_events(&pool).await;

    let repetitions = (0..20).map(|_| {
        let (dispatcher, id) = (Arc::clone(&dispatcher), id.clone());
        tokio::spawn(async move { retitle(&dispatcher, &id, "Lifts", key_precondition("k", "lifts")).await.unwrap() })
    });
    let answers: Vec<_> = futures::future::join_all(repetitions).await.into_iter().map(Result::unwrap).collect();

    assert_eq!(count_events(&pool).await, before + 1);
    let outcome = |answer: &CommandOutcome| (answer.version, answer.events);
    assert!(answers.iter().all(|answer| outcome(answer) == outcome(&answers[0])), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| !answer.repeated).count(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_command_on_an_outdated_or_future_version_is_refused_with_the_current_one() {
    let pool = database().await;
    let dispatcher = new_dispatcher(&pool);
    let id = discover(&dispatcher).await;

    let current = retitle(&dispatcher, &id, "Lifts", version_precondition(1)).await.unwrap();
    let outdated = retitle(&dispatcher, &id, "Ramps", version_precondition(1)).await;
    let early = retitle(&dispatcher, &id, "Ramps", version_precondition(9)).await;

    assert_eq!(current.version, 2);
    for refused in [outdated, early] {
        assert!(matches!(refused, Err(CommandError::Outdated { current: 2 })), "{refused:?}");
    }
    assert!(retitle(&dispatcher, &id, "Ramps", version_precondition(2)).await.is_ok());
}

#[tokio::test]
async fn a_key_is_looked_up_in_its_index_however_long_the_log_is() {
    let pool = database().await;
    let store = PgBatchStore::new(pool.clone());
    store.append_events((0..2_000).map(|number| discovered_event(&format!("o{number}"), 1)).collect()).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    // Statistics of a log without keys: the planner then expects many events of each key.
    for statement in ["analyze events", "set enable_seqscan = off"] {
        sqlx::query(statement).execute(&mut *connection).await.unwrap();
    }
    let plan: serde_json::Value = sqlx::query_scalar(concat!(
        "explain (analyze, buffers, format json) ",
        include_str!("../../eventstore/src/store/find_processed_commands.sql")
    ))
    .bind([0_i64])
    .bind(["public"])
    .bind(["unknown"])
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    let plan = &plan[0]["Plan"];
    let pages = plan["Shared Hit Blocks"].as_u64().unwrap() + plan["Shared Read Blocks"].as_u64().unwrap();
    assert!(pages < 10, "{pages} pages read for one key: {plan}");
}

#[tokio::test]
async fn a_new_aggregate_whose_id_is_taken_after_all_is_loaded() {
    let pool = database().await;
    let dispatcher = new_dispatcher(&pool);
    let notice = notice("w1", "VETERANS AFFAIRS, DEPARTMENT OF", "W-1", "Wheelchairs", "6530", 3);
    let conditions = CommandPreconditions { is_new_aggregate: true, ..CommandPreconditions::default() };
    let discover_as_new = async || {
        let (id, sender) = (notice.opportunity_id(), system_sender("public"));
        let command = OpportunityCommand::Discover(Box::new(notice.clone()));
        dispatcher.dispatch::<Opportunity>(&sender, id.as_str(), &conditions, command).await
    };
    let (first, second) = (discover_as_new().await.unwrap(), discover_as_new().await.unwrap());
    assert_eq!((first.version, first.events), (1, 1));
    assert_eq!((second.version, second.events), (1, 0), "it is decided again, on the loaded state");
    assert_eq!(count_events(&pool).await, 1);
}
