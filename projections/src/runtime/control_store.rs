//! What the runtime keeps in Postgres, beside the log: generations and the pointer, checkpoints, who is at work.
//!
//! Everything here can be lost with Postgres only together with the log, and is of no use without it.

mod checkpoint;
mod generation;
mod pointer;
mod stateless_projection;
mod workers;

use sqlx::{PgPool, Postgres, Transaction};

pub use self::{
    checkpoint::{Checkpoint, PartitionCheckpoint},
    generation::{GenerationRecord, GenerationState},
    pointer::{GenerationMap, GenerationPointer},
    workers::{WorkerHeartbeat, WorkerRow},
};
use super::Generation;

/// The runtime's tables.
#[derive(Debug, Clone)]
pub struct ControlStore {
    pool: PgPool,
}

/// The tables did not answer, or hold what this program did not write.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Postgres did not do what it was asked.
    #[error("{doing} in Postgres")]
    Postgres {
        /// What was asked.
        doing: &'static str,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
    /// A name that no generation has.
    #[error("projection {projection} has no generation {generation}")]
    NoGeneration {
        /// The projection.
        projection: String,
        /// The generation.
        generation: Generation,
    },
    /// A build is not in a state from which it can be moved there.
    #[error("generation {generation} of {projection} cannot become {to}: it is {found}")]
    InvalidState {
        /// The projection.
        projection: String,
        /// The generation.
        generation: Generation,
        /// What it is.
        found: String,
        /// What it should have become.
        to: &'static str,
    },
    /// Readers see it.
    #[error("generation {generation} of {projection} is what readers see")]
    IsActive {
        /// The projection.
        projection: String,
        /// The generation.
        generation: Generation,
    },
    /// A rebuild was ended, switched or given up by somebody else.
    #[error("rebuild {id} does not run any more")]
    RebuildNotRunning {
        /// Its number.
        id: i64,
    },
    /// Another process has taken the right to change generations: this one was silent for too long.
    #[error(
        "another process has taken the turn at rebuilding meanwhile; nothing was changed, try again when it is done"
    )]
    LeaseLost,
    /// Something else is about to change the same.
    #[error("another process is rebuilding, switching or rolling back; try again when it is done")]
    LeaseTaken,
}

pub(super) fn postgres_error(doing: &'static str) -> impl FnOnce(sqlx::Error) -> ControlError {
    move |source| ControlError::Postgres { doing, source }
}

/// First key of the advisory locks of this module (`MHp` and a number); two keys, so that it never meets the fence's.
pub(super) const LOCK_NAMESPACE: i32 = 0x4d48_7001;

/// How long a transaction waits for what another one holds: that one's server process may stand still.
const LOCK_TIMEOUT: &str = "60s";
/// Take the lock of one generation, together with others or alone.
const LOCK_SHARED: &str = "select set_config('lock_timeout', $3, true), pg_advisory_xact_lock_shared($1, $2)";
const LOCK_EXCLUSIVE: &str = "select set_config('lock_timeout', $3, true), pg_advisory_xact_lock($1, $2)";

impl ControlStore {
    /// The tables behind this pool, which `medhub migrate` has made.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Begins a transaction during which nobody compares the generation's store with the log: writers share the lock,
    /// and whoever compares takes it alone.
    pub(super) async fn begin_shared(
        &self,
        projection: &str,
        generation: Generation,
    ) -> Result<Transaction<'static, Postgres>, ControlError> {
        self.begin_locked(LOCK_SHARED, projection, generation).await
    }

    /// Begins a transaction during which no worker writes to the generation's store.
    pub(super) async fn begin_exclusive(
        &self,
        projection: &str,
        generation: Generation,
    ) -> Result<Transaction<'static, Postgres>, ControlError> {
        self.begin_locked(LOCK_EXCLUSIVE, projection, generation).await
    }

    async fn begin_locked(
        &self,
        statement: &'static str,
        projection: &str,
        generation: Generation,
    ) -> Result<Transaction<'static, Postgres>, ControlError> {
        let mut transaction = self.pool.begin().await.map_err(postgres_error("beginning a transaction"))?;
        sqlx::query(statement)
            .bind(LOCK_NAMESPACE)
            .bind(lock_key(projection, generation))
            .bind(LOCK_TIMEOUT)
            .execute(&mut *transaction)
            .await
            .map_err(postgres_error("taking turns with who compares"))?;
        Ok(transaction)
    }
}

/// Second key of the lock of one generation.
fn lock_key(projection: &str, generation: Generation) -> i32 {
    let hash = crc32fast::hash(format!("{projection}/{generation}").as_bytes());
    hash.cast_signed()
}
