//! The limit of running generations of a company, which holds for requests at the same time too.

use domain::{
    proposal_generation::{GenerationId, SectionPlanError, check_running_generations},
    value::{ProposalId, TenantId},
};
use sqlx::{PgPool, types::Uuid};

/// How long a slot is held for a generation that has no event: its request may still be appended.
const REQUEST_TIME_S: f64 = 60.0;

/// The slots of running generations, in Postgres. Clones share the pool.
#[derive(Debug, Clone)]
pub(crate) struct GenerationSlots {
    pool: PgPool,
}

/// A held slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeldSlot {
    /// The generation.
    pub(crate) generation: GenerationId,
    /// Whether its request must be on record by now.
    pub(crate) is_overdue: bool,
}

impl GenerationSlots {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Takes a slot for the generation, or keeps the one that it has. The inner result is the refusal.
    ///
    /// # Errors
    /// [`sqlx::Error`] when Postgres does not answer.
    pub(crate) async fn take_slot(
        &self,
        tenant: &TenantId,
        generation: GenerationId,
        proposal: ProposalId,
        max: usize,
    ) -> Result<Result<(), SectionPlanError>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        // Requests of one company are checked one after the other. Nothing else is waited for while the lock is held.
        sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(format!("generation_slots:{tenant}"))
            .execute(&mut *transaction)
            .await?;
        let slots: Vec<(Uuid, Uuid)> = sqlx::query_as(
            "select generation_id, proposal_id from generation_slots where tenant_id = $1 and generation_id <> $2
             order by taken_at",
        )
        .bind(tenant.as_str())
        .bind(generation.uuid())
        .fetch_all(&mut *transaction)
        .await?;
        let slots = slots.into_iter();
        let running: Vec<_> = slots.map(|(id, about)| (GenerationId::new(id), ProposalId::new(about))).collect();
        let checked = check_running_generations(&running, proposal, max);
        if checked.is_ok() {
            sqlx::query(
                "insert into generation_slots (tenant_id, generation_id, proposal_id) values ($1, $2, $3)
                 on conflict (tenant_id, generation_id) do nothing",
            )
            .bind(tenant.as_str())
            .bind(generation.uuid())
            .bind(proposal.uuid())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(checked)
    }

    /// The slots of a company.
    ///
    /// # Errors
    /// [`sqlx::Error`] when Postgres does not answer.
    pub(crate) async fn list_slots(&self, tenant: &TenantId) -> Result<Vec<HeldSlot>, sqlx::Error> {
        let rows: Vec<(Uuid, bool)> = sqlx::query_as(
            "select generation_id, taken_at < now() - make_interval(secs => $2) from generation_slots
             where tenant_id = $1",
        )
        .bind(tenant.as_str())
        .bind(REQUEST_TIME_S)
        .fetch_all(&self.pool)
        .await?;
        let slots = rows.into_iter();
        Ok(slots.map(|(id, is_overdue)| HeldSlot { generation: GenerationId::new(id), is_overdue }).collect())
    }

    /// Frees the slot of a generation that has ended, or was not requested.
    ///
    /// # Errors
    /// [`sqlx::Error`] when Postgres does not answer.
    pub(crate) async fn free_slot(&self, tenant: &TenantId, generation: GenerationId) -> Result<(), sqlx::Error> {
        let free = "delete from generation_slots where tenant_id = $1 and generation_id = $2";
        sqlx::query(free).bind(tenant.as_str()).bind(generation.uuid()).execute(&self.pool).await.map(drop)
    }
}
