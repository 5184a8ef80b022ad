//! The monthly budget of generated texts, over Postgres.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{proposal::SectionKey, proposal_generation::GenerationId, value::TenantId};
use futures::future::join_all;
use language_models::{PaidSection, SpendingError, SpendingLedger, SpendingReservation};
use tests::database;
use uuid::Uuid;

const BUDGET: u64 = 1_000;
const LIFETIME: Duration = Duration::from_mins(10);

fn tenant(name: &str) -> TenantId {
    TenantId::try_new(name).unwrap()
}

/// Reserves for a new generation.
async fn reserve(
    ledger: &SpendingLedger,
    tenant: &TenantId,
    max_micros: u64,
    now: DateTime<Utc>,
) -> Result<SpendingReservation, SpendingError> {
    let section = SectionKey::try_new("staff").unwrap();
    let paid = PaidSection { tenant, generation: GenerationId::new(Uuid::new_v4()), section: &section };
    ledger.reserve_cost(paid, max_micros, now).await
}

fn noon() -> DateTime<Utc> {
    "2026-11-30T12:00:00Z".parse().unwrap()
}

async fn ledger() -> SpendingLedger {
    SpendingLedger::new(database().await, BUDGET, LIFETIME)
}

#[tokio::test]
async fn generations_that_run_together_stay_within_the_budget() {
    let (ledger, acme) = (ledger().await, tenant("acme"));
    let reservations = join_all((0..20).map(|_| reserve(&ledger, &acme, 300, noon()))).await;
    let (granted, refused): (Vec<_>, Vec<_>) = reservations.into_iter().partition(Result::is_ok);
    assert_eq!((granted.len(), refused.len()), (3, 17));
    for refusal in refused {
        let expected = SpendingError::BudgetExceeded { used_micros: 900, budget_micros: BUDGET };
        assert_eq!(refusal.unwrap_err().to_string(), expected.to_string());
    }
    // A failed generation costs nothing, and what it reserved is free again.
    for (reservation, cost) in granted.into_iter().zip([250, 0, 40]) {
        ledger.settle_cost(reservation.unwrap(), cost).await.unwrap();
    }
    assert_eq!(ledger.spent_micros(&acme, noon()).await.unwrap(), 290);
    reserve(&ledger, &acme, 710, noon()).await.unwrap();
    assert!(reserve(&ledger, &acme, 1, noon()).await.is_err());
    reserve(&ledger, &acme, 0, noon()).await.unwrap();
}

#[tokio::test]
async fn each_company_and_month_has_a_budget_of_its_own() {
    let ledger = ledger().await;
    let reservation = reserve(&ledger, &tenant("acme"), BUDGET, noon()).await.unwrap();
    ledger.settle_cost(reservation, BUDGET).await.unwrap();
    assert!(reserve(&ledger, &tenant("acme"), 1, noon()).await.is_err());
    reserve(&ledger, &tenant("other"), BUDGET, noon()).await.unwrap();
    reserve(&ledger, &tenant("acme"), BUDGET, noon() + TimeDelta::days(1)).await.unwrap();
}

#[tokio::test]
async fn a_reservation_that_is_never_settled_counts_as_spent() {
    let (ledger, acme) = (ledger().await, tenant("acme"));
    let abandoned = reserve(&ledger, &acme, 600, noon()).await.unwrap();
    let later = noon() + TimeDelta::minutes(11);
    assert!(reserve(&ledger, &acme, 401, later).await.is_err());
    reserve(&ledger, &acme, 400, later).await.unwrap();
    assert_eq!(ledger.spent_micros(&acme, later).await.unwrap(), 600);
    // A generation that took longer than its reservation is counted once.
    ledger.settle_cost(abandoned, 100).await.unwrap();
    assert_eq!(ledger.spent_micros(&acme, later).await.unwrap(), 100);
}

#[tokio::test]
async fn an_answer_is_stored_until_it_is_settled_and_the_cost_of_failed_attempts_is_carried() {
    let (ledger, acme, staff) = (ledger().await, tenant("acme"), SectionKey::try_new("staff").unwrap());
    let section = PaidSection { tenant: &acme, generation: GenerationId::new(Uuid::new_v4()), section: &staff };
    let failed = ledger.reserve_cost(section, 300, noon()).await.unwrap();
    ledger.carry_cost(failed, 120).await.unwrap();
    assert_eq!(ledger.unrecorded_micros(section).await.unwrap(), 120);
    // Its program dies: what it had reserved counts as spent.
    let abandoned = ledger.reserve_cost(section, 300, noon()).await.unwrap();
    assert_eq!(abandoned.earlier_micros(), 120);
    let reservation = ledger.reserve_cost(section, 300, noon()).await.unwrap();
    assert_eq!((reservation.earlier_micros(), ledger.spent_micros(&acme, noon()).await.unwrap()), (420, 420));
    assert_eq!(ledger.find_answer::<String>(section).await.unwrap(), None);

    let stored = ledger.store_answer(reservation, 70, &"an answer").await.unwrap();
    // It outlives its reservation, and costs what it has cost.
    let later = noon() + TimeDelta::minutes(11);
    let other = reserve(&ledger, &acme, 510, later).await.unwrap();
    let found = ledger.find_answer::<String>(section).await.unwrap();
    assert_eq!(found, Some((stored.clone(), "an answer".to_owned())));
    assert_eq!(ledger.find_answer::<u8>(section).await.unwrap(), None, "one of another release");
    ledger.settle_cost(stored, 70).await.unwrap();
    ledger.settle_cost(other, 0).await.unwrap();
    assert_eq!(ledger.find_answer::<String>(section).await.unwrap(), None);
    assert_eq!(
        (ledger.unrecorded_micros(section).await.unwrap(), ledger.spent_micros(&acme, noon()).await.unwrap()),
        (0, 490)
    );
}
