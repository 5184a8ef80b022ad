//! The budget of each company and month, in Postgres.
//!
//! Before a generation the most that it can cost is reserved, and afterwards the reservation is replaced by the cost:
//! generations that run at the same time, in any program, cannot exceed the budget together. A reservation that is not
//! replaced until its end, because the generation was cancelled or its program died, counts as spent: what the provider
//! has billed is not known.

use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use domain::value::TenantId;
use sqlx::{PgPool, types::Uuid};

/// Access to the budgets.
#[derive(Debug, Clone)]
pub struct SpendingLedger {
    pool: PgPool,
    monthly_budget_micros: u64,
    reservation_lifetime: Duration,
}

/// A part of the budget that a generation may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendingReservation {
    id: Uuid,
    tenant: TenantId,
    month: NaiveDate,
    max_micros: u64,
}

/// Why nothing can be reserved or settled.
#[derive(Debug, thiserror::Error)]
pub enum SpendingError {
    /// The budget of the month would be exceeded.
    #[error(
        "the budget for generated texts of this month is used up: {used_micros} of {budget_micros} micro-dollars \
             are spent or reserved; it starts anew on the first day of the next month (UTC)"
    )]
    BudgetExceeded {
        /// What is spent and reserved.
        used_micros: u64,
        /// The budget.
        budget_micros: u64,
    },
    /// Postgres does not answer.
    #[error("the budgets in Postgres cannot be used")]
    Postgres(#[from] sqlx::Error),
}

impl SpendingLedger {
    /// Uses the tables behind this pool. A reservation that is not settled counts as spent after `reservation_lifetime`.
    pub fn new(pool: PgPool, monthly_budget_micros: u64, reservation_lifetime: Duration) -> Self {
        Self { pool, monthly_budget_micros, reservation_lifetime }
    }

    /// Reserves the most that a generation can cost.
    ///
    /// # Errors
    /// [`SpendingError::BudgetExceeded`] when it exceeds what is left, [`SpendingError::Postgres`] when Postgres does
    /// not answer.
    pub async fn reserve_cost(
        &self,
        tenant: &TenantId,
        max_micros: u64,
        now: DateTime<Utc>,
    ) -> Result<SpendingReservation, SpendingError> {
        let month = first_day_of_month(now);
        let mut transaction = self.pool.begin().await?;
        sqlx::query("insert into generation_spending (tenant_id, month) values ($1, $2) on conflict do nothing")
            .bind(tenant.as_str())
            .bind(month)
            .execute(&mut *transaction)
            .await?;
        // Locks the row: reservations of one company are made one after the other.
        sqlx::query("select 1 from generation_spending where tenant_id = $1 and month = $2 for update")
            .bind(tenant.as_str())
            .bind(month)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "with expired as (
                 delete from generation_reservations where tenant_id = $1 and expires_at < $2 returning month, max_micros
             )
             update generation_spending set spent_micros = spent_micros + ended.micros
             from (select month, sum(max_micros)::bigint as micros from expired group by month) as ended
             where generation_spending.tenant_id = $1 and generation_spending.month = ended.month",
        )
        .bind(tenant.as_str())
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        let spent: i64 =
            sqlx::query_scalar("select spent_micros from generation_spending where tenant_id = $1 and month = $2")
                .bind(tenant.as_str())
                .bind(month)
                .fetch_one(&mut *transaction)
                .await?;
        let reserved: i64 = sqlx::query_scalar(
            "select coalesce(sum(max_micros), 0)::bigint from generation_reservations
             where tenant_id = $1 and month = $2",
        )
        .bind(tenant.as_str())
        .bind(month)
        .fetch_one(&mut *transaction)
        .await?;
        let used_micros = to_unsigned(spent).saturating_add(to_unsigned(reserved));
        if max_micros > 0 && used_micros.saturating_add(max_micros) > self.monthly_budget_micros {
            return Err(SpendingError::BudgetExceeded { used_micros, budget_micros: self.monthly_budget_micros });
        }
        let id = Uuid::new_v4();
        sqlx::query(
            "insert into generation_reservations (reservation_id, tenant_id, month, max_micros, expires_at)
             values ($1, $2, $3, $4, $5 + make_interval(secs => $6))",
        )
        .bind(id)
        .bind(tenant.as_str())
        .bind(month)
        .bind(to_signed(max_micros))
        .bind(now)
        .bind(self.reservation_lifetime.as_secs_f64())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(SpendingReservation { id, tenant: tenant.clone(), month, max_micros })
    }

    /// Replaces a reservation by what the generation has cost, also one that has ended and counts as spent.
    ///
    /// # Errors
    /// [`SpendingError::Postgres`] when Postgres does not answer.
    pub async fn settle_cost(&self, reservation: SpendingReservation, cost_micros: u64) -> Result<(), SpendingError> {
        let SpendingReservation { id, tenant, month, max_micros } = reservation;
        let mut transaction = self.pool.begin().await?;
        // Locked first, as by `reserve_cost`.
        sqlx::query("select 1 from generation_spending where tenant_id = $1 and month = $2 for update")
            .bind(tenant.as_str())
            .bind(month)
            .execute(&mut *transaction)
            .await?;
        let deleted = sqlx::query("delete from generation_reservations where reservation_id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        let counted_micros = if deleted > 0 { 0 } else { max_micros };
        sqlx::query(
            "update generation_spending set spent_micros = greatest(spent_micros - $4 + $3, 0)
             where tenant_id = $1 and month = $2",
        )
        .bind(tenant.as_str())
        .bind(month)
        .bind(to_signed(cost_micros))
        .bind(to_signed(counted_micros))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// What a company has spent in the month of `now`, in micro-dollars, without reservations.
    ///
    /// # Errors
    /// [`SpendingError::Postgres`] when Postgres does not answer.
    pub async fn spent_micros(&self, tenant: &TenantId, now: DateTime<Utc>) -> Result<u64, SpendingError> {
        let spent: Option<i64> =
            sqlx::query_scalar("select spent_micros from generation_spending where tenant_id = $1 and month = $2")
                .bind(tenant.as_str())
                .bind(first_day_of_month(now))
                .fetch_optional(&self.pool)
                .await?;
        Ok(spent.map(to_unsigned).unwrap_or_default())
    }
}

/// The first day of the month.
fn first_day_of_month(now: DateTime<Utc>) -> NaiveDate {
    let day = now.date_naive();
    day.with_day(1).unwrap_or(day)
}

fn to_unsigned(micros: i64) -> u64 {
    u64::try_from(micros).unwrap_or_default()
}

fn to_signed(micros: u64) -> i64 {
    // Far beyond any budget, and far from an overflow of the sum.
    i64::try_from(micros).unwrap_or(i64::MAX).min(i64::MAX / 1_000_000)
}
