//! Guarantees of every command, on a real log: executed once per idempotency key, and only on the expected version.

mod dispatcher;

use std::sync::Arc;

use commands::{
    caller::Caller,
    error::CommandError,
    opportunity::{OpportunityAmendment, OpportunityCommandOutcome, OpportunityService},
    precondition::{CommandPreconditions, IdempotencyKey},
};
use domain::{
    clock::SystemClock,
    opportunity::{Opportunity, OpportunityError, OpportunityId},
    value::{TenantId, UserId},
};
use eventstore::{postgres::PostgresConfig, store::PgEventStore};
use sqlx::PgPool;

use tests::{database, opportunity_history::notice};

type OpportunityDispatcher = OpportunityService<PgEventStore<Opportunity>>;
type DispatchResult = Result<OpportunityCommandOutcome, CommandError<OpportunityError>>;

fn create_dispatcher(pool: &PgPool) -> Arc<OpportunityDispatcher> {
    Arc::new(OpportunityDispatcher::new(
        PgEventStore::new(pool.clone(), &PostgresConfig::default()),
        Arc::new(SystemClock),
    ))
}

fn create_caller(tenant: &str) -> Caller {
    Caller::new(UserId::try_new("ann").unwrap(), TenantId::try_new(tenant).unwrap())
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

async fn discover_opportunity(commands: &OpportunityDispatcher) -> OpportunityId {
    let notice = notice("w1", "VETERANS AFFAIRS, DEPARTMENT OF", "W-1", "Wheelchairs", "6530", 3);
    commands.discover_opportunity(&create_caller("public"), notice, &CommandPreconditions::default()).await.unwrap().id
}

async fn change_title(
    commands: &OpportunityDispatcher,
    tenant: &str,
    id: &OpportunityId,
    title: &str,
    conditions: CommandPreconditions,
) -> DispatchResult {
    let amendment = OpportunityAmendment { title: Some(title.to_owned()), ..OpportunityAmendment::default() };
    commands.amend_opportunity(&create_caller(tenant), id, amendment, &conditions).await
}

async fn count_events(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from events").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_repeated_command_has_the_first_outcome_and_appends_nothing() {
    let pool = database().await;
    let commands = create_dispatcher(&pool);
    let id = discover_opportunity(&commands).await;
    let first =
        change_title(&commands, "public", &id, "Wheelchairs and lifts", key_precondition("k1", "lifts")).await.unwrap();
    let later = change_title(&commands, "public", &id, "Something else", key_precondition("k2", "else")).await.unwrap();
    let before = count_events(&pool).await;

    let repeated =
        change_title(&commands, "public", &id, "Wheelchairs and lifts", key_precondition("k1", "lifts")).await.unwrap();

    assert_eq!(repeated, first);
    assert!(later.version > first.version);
    assert_eq!(count_events(&pool).await, before);
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_one_command_of_one_tenant() {
    let pool = database().await;
    let commands = create_dispatcher(&pool);
    let id = discover_opportunity(&commands).await;
    change_title(&commands, "public", &id, "One", key_precondition("k", "one")).await.unwrap();

    let other_command = change_title(&commands, "public", &id, "Two", key_precondition("k", "two")).await;
    let other_tenant = change_title(&commands, "acme", &id, "Three", key_precondition("k", "three")).await;

    assert!(matches!(other_command, Err(CommandError::KeyReused)), "{other_command:?}");
    assert!(other_tenant.is_ok(), "{other_tenant:?}");
}

#[tokio::test]
async fn concurrent_repetitions_of_a_command_are_executed_once() {
    let pool = database().await;
    let commands = create_dispatcher(&pool);
    let id = discover_opportunity(&commands).await;
    let before = count_events(&pool).await;

    let repetitions = (0..20).map(|_| {
        let (commands, id) = (Arc::clone(&commands), id.clone());
        tokio::spawn(async move {
            change_title(&commands, "public", &id, "Lifts", key_precondition("k", "lifts")).await.unwrap()
        })
    });
    let answers: Vec<_> = futures::future::join_all(repetitions).await.into_iter().map(Result::unwrap).collect();

    assert_eq!(count_events(&pool).await, before + 1);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn a_command_on_an_outdated_or_future_version_is_refused_with_the_current_one() {
    let pool = database().await;
    let commands = create_dispatcher(&pool);
    let id = discover_opportunity(&commands).await;

    let current = change_title(&commands, "public", &id, "Lifts", version_precondition(1)).await.unwrap();
    let outdated = change_title(&commands, "public", &id, "Ramps", version_precondition(1)).await;
    let early = change_title(&commands, "public", &id, "Ramps", version_precondition(9)).await;

    assert_eq!(current.version, 2);
    for refused in [outdated, early] {
        assert!(matches!(refused, Err(CommandError::Outdated { current: 2 })), "{refused:?}");
    }
    assert!(change_title(&commands, "public", &id, "Ramps", version_precondition(2)).await.is_ok());
}
