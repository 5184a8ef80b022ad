//! The monthly budget of generated texts, over Postgres.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::value::TenantId;
use futures::future::join_all;
use language_models::{SpendingError, SpendingLedger};
use tests::database;

const BUDGET: u64 = 1_000;
const LIFETIME: Duration = Duration::from_mins(10);

fn tenant(name: &str) -> TenantId {
    TenantId::try_new(name).unwrap()
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
    let reservations = join_all((0..20).map(|_| ledger.reserve_cost(&acme, 300, noon()))).await;
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
    ledger.reserve_cost(&acme, 710, noon()).await.unwrap();
    assert!(ledger.reserve_cost(&acme, 1, noon()).await.is_err());
    ledger.reserve_cost(&acme, 0, noon()).await.unwrap();
}

#[tokio::test]
async fn each_company_and_month_has_a_budget_of_its_own() {
    let ledger = ledger().await;
    let reservation = ledger.reserve_cost(&tenant("acme"), BUDGET, noon()).await.unwrap();
    ledger.settle_cost(reservation, BUDGET).await.unwrap();
    assert!(ledger.reserve_cost(&tenant("acme"), 1, noon()).await.is_err());
    ledger.reserve_cost(&tenant("other"), BUDGET, noon()).await.unwrap();
    ledger.reserve_cost(&tenant("acme"), BUDGET, noon() + TimeDelta::days(1)).await.unwrap();
}

#[tokio::test]
async fn a_reservation_that_is_never_settled_counts_as_spent() {
    let (ledger, acme) = (ledger().await, tenant("acme"));
    let abandoned = ledger.reserve_cost(&acme, 600, noon()).await.unwrap();
    let later = noon() + TimeDelta::minutes(11);
    assert!(ledger.reserve_cost(&acme, 401, later).await.is_err());
    ledger.reserve_cost(&acme, 400, later).await.unwrap();
    assert_eq!(ledger.spent_micros(&acme, later).await.unwrap(), 600);
    // A generation that took longer than its reservation is counted once.
    ledger.settle_cost(abandoned, 100).await.unwrap();
    assert_eq!(ledger.spent_micros(&acme, later).await.unwrap(), 100);
}
