//! The budget of each company and month, in Postgres.
//!
//! Before a generation the most that it can cost is reserved, and afterwards the reservation is replaced by the cost:
//! generations that run at the same time, in any program, cannot exceed the budget together. A reservation that is not
//! replaced until its end, because the generation was cancelled or its program died, counts as spent: the amount that
//! the provider has billed is not known.
//!
//! A reservation also stores the answer that it has paid for until the log has it, and what earlier attempts at its
//! section have cost, so that the event of the section has the cost of all of them.

use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use domain::{
    error_chain::format_error_chain, proposal::SectionKey, proposal_generation::GenerationId, value::TenantId,
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{
    PgConnection, PgPool, Postgres, Row,
    postgres::PgArguments,
    query::Query,
    types::{Json, Uuid},
};

/// Access to the budgets.
#[derive(Debug, Clone)]
pub struct SpendingLedger {
    pool: PgPool,
    monthly_budget_micros: u64,
    reservation_lifetime: Duration,
}

/// A section of a generation that is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaidSection<'a> {
    /// The company that pays.
    pub tenant: &'a TenantId,
    /// The generation.
    pub generation: GenerationId,
    /// The section.
    pub section: &'a SectionKey,
}

/// A part of the budget that a generation may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendingReservation {
    id: Uuid,
    tenant: TenantId,
    month: NaiveDate,
    max_micros: u64,
    earlier_micros: u64,
}

impl SpendingReservation {
    /// The most that is expected to be spent; the cost, once an answer is stored.
    pub fn max_micros(&self) -> u64 {
        self.max_micros
    }

    /// What earlier attempts at the section have cost, as far as no event has it. An attempt whose program died counts with
    /// all that it had reserved.
    pub fn earlier_micros(&self) -> u64 {
        self.earlier_micros
    }
}

/// How long an answer, or the cost of a failed attempt, is stored for the next attempt beyond the lifetime of a
/// reservation.
const RETENTION: &str = "7 days";

/// Why nothing can be reserved or settled.
#[derive(Debug, thiserror::Error)]
pub enum SpendingError {
    /// The budget of the month would be exceeded.
    #[error(
        "the budget for generated texts of this month is used up: {used_micros} of {budget_micros} micro-dollars \
             are spent or reserved; it starts again on the first day of the next month (UTC)"
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

    /// Reserves the most that another attempt at a section can cost. Reservations of earlier attempts at it count as spent.
    ///
    /// # Errors
    /// [`SpendingError::BudgetExceeded`] when it exceeds what is left, [`SpendingError::Postgres`] when Postgres does
    /// not answer.
    pub async fn reserve_cost(
        &self,
        section: PaidSection<'_>,
        max_micros: u64,
        now: DateTime<Utc>,
    ) -> Result<SpendingReservation, SpendingError> {
        let (month, tenant) = (first_day_of_month(now), section.tenant);
        let mut transaction = self.pool.begin().await?;
        sqlx::query("insert into generation_spending (tenant_id, month) values ($1, $2) on conflict do nothing")
            .bind(tenant.as_str())
            .bind(month)
            .execute(&mut *transaction)
            .await?;
        // Reservations of one company are made one after the other.
        lock_months(&mut transaction, tenant).await?;
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
        let earlier_micros = end_reservations(&mut transaction, section).await?;
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
            "insert into generation_reservations
                 (reservation_id, tenant_id, month, max_micros, expires_at, generation_id, section, earlier_micros)
             values ($1, $2, $3, $4, $5 + make_interval(secs => $6), $7, $8, $9)",
        )
        .bind(id)
        .bind(tenant.as_str())
        .bind(month)
        .bind(to_signed(max_micros))
        .bind(now)
        .bind(self.reservation_lifetime.as_secs_f64())
        .bind(section.generation.uuid())
        .bind(section.section.as_str())
        .bind(to_signed(earlier_micros))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(SpendingReservation { id, tenant: tenant.clone(), month, max_micros, earlier_micros })
    }

    /// Stores the answer that a reservation has paid for, until it is settled: if the program dies before the log has it,
    /// the next attempt does not have to pay again. Returns the reservation, which now is the cost.
    ///
    /// # Errors
    /// [`SpendingError::Postgres`] when Postgres does not answer.
    pub async fn store_answer<T: Serialize + Sync>(
        &self,
        reservation: SpendingReservation,
        cost_micros: u64,
        answer: &T,
    ) -> Result<SpendingReservation, SpendingError> {
        let stored = sqlx::query(&format!(
            "update generation_reservations
             set answer = $2, max_micros = $3, expires_at = expires_at + interval '{RETENTION}'
             where reservation_id = $1"
        ))
        .bind(reservation.id)
        .bind(Json(answer))
        .bind(to_signed(cost_micros))
        .execute(&self.pool)
        .await?;
        // A reservation that has ended counts as spent.
        let max_micros = if stored.rows_affected() > 0 { cost_micros } else { reservation.max_micros };
        Ok(SpendingReservation { max_micros, ..reservation })
    }

    /// The answer that an earlier attempt at a section has paid for and not recorded; `None` also for one that this release
    /// cannot read.
    ///
    /// # Errors
    /// [`SpendingError::Postgres`] when Postgres does not answer.
    pub async fn find_answer<T: DeserializeOwned>(
        &self,
        section: PaidSection<'_>,
    ) -> Result<Option<(SpendingReservation, T)>, SpendingError> {
        let row = sqlx::query(
            "select reservation_id, month, max_micros, earlier_micros, answer::text as answer
             from generation_reservations
             where tenant_id = $1 and generation_id = $2 and section = $3 and answer is not null
             limit 1",
        )
        .bind(section.tenant.as_str())
        .bind(section.generation.uuid())
        .bind(section.section.as_str())
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let answer = match serde_json::from_str(row.try_get("answer")?) {
            Ok(answer) => answer,
            Err(error) => {
                let reason = format_error_chain(&error);
                tracing::warn!(generation.id = %section.generation, reason, "a stored answer cannot be read");
                return Ok(None);
            }
        };
        let reservation = SpendingReservation {
            id: row.try_get("reservation_id")?,
            tenant: section.tenant.clone(),
            month: row.try_get("month")?,
            max_micros: to_unsigned(row.try_get("max_micros")?),
            earlier_micros: to_unsigned(row.try_get("earlier_micros")?),
        };
        Ok(Some((reservation, answer)))
    }

    /// What attempts at a section have cost, as far as no event has it.
    ///
    /// # Errors
    /// [`SpendingError::Postgres`] when Postgres does not answer.
    pub async fn unrecorded_micros(&self, section: PaidSection<'_>) -> Result<u64, SpendingError> {
        let micros: i64 = sqlx::query_scalar(
            "select coalesce(sum(max_micros + earlier_micros), 0)::bigint from generation_reservations
             where tenant_id = $1 and generation_id = $2 and section = $3",
        )
        .bind(section.tenant.as_str())
        .bind(section.generation.uuid())
        .bind(section.section.as_str())
        .fetch_one(&self.pool)
        .await?;
        Ok(to_unsigned(micros))
    }

    /// Ends all reservations of a section whose cost an event has: what they had reserved counts as spent.
    ///
    /// # Errors
    /// [`SpendingError::Postgres`] when Postgres does not answer.
    pub async fn close_section(&self, section: PaidSection<'_>) -> Result<(), SpendingError> {
        let mut transaction = self.pool.begin().await?;
        lock_months(&mut transaction, section.tenant).await?;
        end_reservations(&mut transaction, section).await?;
        Ok(transaction.commit().await?)
    }

    /// Replaces a reservation by the generation's cost, even if the reservation has ended and counts as spent. The
    /// event of the section has the cost.
    ///
    /// # Errors
    /// [`SpendingError::Postgres`] when Postgres does not answer.
    pub async fn settle_cost(&self, reservation: SpendingReservation, cost_micros: u64) -> Result<(), SpendingError> {
        let statement =
            sqlx::query("delete from generation_reservations where reservation_id = $1").bind(reservation.id);
        self.replace_reservation(&reservation, cost_micros, statement).await
    }

    /// Replaces a reservation by the cost of an attempt that has failed. The event of a later attempt has the cost.
    ///
    /// # Errors
    /// [`SpendingError::Postgres`] when Postgres does not answer.
    pub async fn carry_cost(&self, reservation: SpendingReservation, cost_micros: u64) -> Result<(), SpendingError> {
        let statement = format!(
            "update generation_reservations
             set max_micros = 0, earlier_micros = earlier_micros + $2, expires_at = expires_at + interval '{RETENTION}'
             where reservation_id = $1"
        );
        let statement = sqlx::query(&statement).bind(reservation.id).bind(to_signed(cost_micros));
        self.replace_reservation(&reservation, cost_micros, statement).await
    }

    async fn replace_reservation(
        &self,
        reservation: &SpendingReservation,
        cost_micros: u64,
        statement: Query<'_, Postgres, PgArguments>,
    ) -> Result<(), SpendingError> {
        let SpendingReservation { tenant, month, max_micros, .. } = reservation;
        let mut transaction = self.pool.begin().await?;
        // Locked first, as by `reserve_cost`.
        sqlx::query("select 1 from generation_spending where tenant_id = $1 and month = $2 for update")
            .bind(tenant.as_str())
            .bind(month)
            .execute(&mut *transaction)
            .await?;
        let replaced = statement.execute(&mut *transaction).await?;
        let counted_micros = if replaced.rows_affected() > 0 { 0 } else { *max_micros };
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

/// Locks all months of a company, in their order, before any of its reservations: every transaction that changes both
/// locks in this order.
async fn lock_months(connection: &mut PgConnection, tenant: &TenantId) -> Result<(), sqlx::Error> {
    sqlx::query("select 1 from generation_spending where tenant_id = $1 order by month for update")
        .bind(tenant.as_str())
        .execute(connection)
        .await
        .map(drop)
}

/// Counts the reservations of a section as spent, and returns the cost of its attempts that no event has.
async fn end_reservations(connection: &mut PgConnection, section: PaidSection<'_>) -> Result<u64, sqlx::Error> {
    let micros: i64 = sqlx::query_scalar(
        "with ended as (
             delete from generation_reservations where tenant_id = $1 and generation_id = $2 and section = $3
             returning month, max_micros, earlier_micros
         ), counted as (
             update generation_spending set spent_micros = spent_micros + by_month.micros
             from (select month, sum(max_micros)::bigint as micros from ended group by month) as by_month
             where generation_spending.tenant_id = $1 and generation_spending.month = by_month.month
         )
         select coalesce(sum(max_micros + earlier_micros), 0)::bigint from ended",
    )
    .bind(section.tenant.as_str())
    .bind(section.generation.uuid())
    .bind(section.section.as_str())
    .fetch_one(connection)
    .await?;
    Ok(to_unsigned(micros))
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
