//! The runtime's state in Postgres, beside the log: generations and their pointer, checkpoints, running workers.
//!
//! It is in the database of the log, so that both are lost or restored together: one is meaningless without the other.

mod checkpoint;
mod forwarding_projection;
mod generation;
mod pointer;
mod workers;

use std::sync::Arc;

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::watch;

pub use self::{
    checkpoint::{Checkpoint, PartitionCheckpoint},
    generation::{GenerationRecord, GenerationState},
    pointer::{GenerationMap, GenerationPointer},
    workers::{WorkerHeartbeat, WorkerRow},
};
use super::ReadModelGeneration;

/// Access to the runtime's tables in Postgres. Clones share the latest known version of the generation pointer.
#[derive(Debug, Clone)]
pub struct ControlStore {
    pool: PgPool,
    /// Sent with each read, also if it is the same as before.
    pointer_version: Arc<watch::Sender<u64>>,
}

/// An error of the runtime's tables, or of a precondition on them.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// A statement failed, or a row cannot be decoded.
    #[error("{doing} in Postgres")]
    Postgres {
        /// The operation, as a gerund: `reading checkpoints`.
        doing: &'static str,
        /// The error of Postgres, or of decoding.
        #[source]
        source: sqlx::Error,
    },
    /// The generation does not exist.
    #[error("projection {projection} has no generation {generation}")]
    NoGeneration {
        /// The projection.
        projection: String,
        /// The generation.
        generation: ReadModelGeneration,
    },
    /// The generation's state does not allow the transition.
    #[error("generation {generation} of {projection} cannot become {to}: it is {found}")]
    InvalidState {
        /// The projection.
        projection: String,
        /// The generation.
        generation: ReadModelGeneration,
        /// Its current state.
        found: String,
        /// The requested state.
        to: &'static str,
    },
    /// The generation is active.
    #[error("generation {generation} of {projection} is active")]
    IsActive {
        /// The projection.
        projection: String,
        /// The generation.
        generation: ReadModelGeneration,
    },
    /// Another process has ended, switched or abandoned the rebuild.
    #[error("rebuild {id} is no longer running")]
    RebuildNotRunning {
        /// The rebuild.
        id: i64,
    },
    /// Another process has taken the rebuild lease, because this one did not renew it in time.
    #[error("another process has taken the rebuild lease; nothing was changed, try again when that process is done")]
    LeaseLost,
    /// Another process holds the rebuild lease.
    #[error("another process is rebuilding, switching or rolling back; try again when it is done")]
    LeaseTaken,
}

pub(super) fn postgres_error(doing: &'static str) -> impl FnOnce(sqlx::Error) -> ControlError {
    move |source| ControlError::Postgres { doing, source }
}

/// First of the two keys of this module's advisory locks (`MHp` and a number). Locks with two keys never collide with
/// the fence's locks, which have one key.
pub(super) const LOCK_NAMESPACE: i32 = 0x4d48_7001;

/// Begins a transaction. Its wait for a lock is limited, because the server process that holds the lock may hang.
const BEGIN: &str = "begin; set local statement_timeout = '90s'; set local lock_timeout = '60s'";
/// Takes the lock of a generation in shared mode; the keys follow.
const LOCK_SHARED: &str = "select pg_advisory_xact_lock_shared";
/// The same in a transaction whose commit does not wait for the disk.
const LOCK_SHARED_FOR_BATCH: &str = "set local synchronous_commit = off; select pg_advisory_xact_lock_shared";
/// Takes the lock of a generation in exclusive mode; the keys follow.
const LOCK_EXCLUSIVE: &str = "select pg_advisory_xact_lock";

impl ControlStore {
    /// Creates a store over the tables that `medhub migrate` creates. The pool must close a connection that is returned
    /// with an open transaction, as the pools of the event store do: a transaction whose begin failed or was cancelled
    /// holds the lock of a generation.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, pointer_version: Arc::default() }
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Begins a transaction that holds the generation's lock in shared mode, as writers do. Verify and retire hold it
    /// in exclusive mode.
    pub(super) async fn begin_shared(
        &self,
        projection: &str,
        generation: ReadModelGeneration,
    ) -> Result<Transaction<'static, Postgres>, ControlError> {
        self.begin_locked(LOCK_SHARED, projection, generation).await
    }

    /// As [`Self::begin_shared`], for the checkpoints of a batch. A crash of Postgres may lose the newest ones. Then events
    /// are consumed again or backfilled, which changes nothing.
    pub(super) async fn begin_batch(
        &self,
        projection: &str,
        generation: ReadModelGeneration,
    ) -> Result<Transaction<'static, Postgres>, ControlError> {
        self.begin_locked(LOCK_SHARED_FOR_BATCH, projection, generation).await
    }

    /// Makes the commit of a transaction of [`Self::begin_batch`] wait for the disk, because it has more than
    /// checkpoints.
    pub(super) async fn commit_durably(connection: &mut PgConnection) -> Result<(), ControlError> {
        let statement = sqlx::query("set local synchronous_commit to default").execute(connection);
        statement.await.map(drop).map_err(postgres_error("parking events"))
    }

    /// Begins a transaction that holds the generation's lock in exclusive mode: no worker writes to the generation
    /// meanwhile.
    pub(super) async fn begin_exclusive(
        &self,
        projection: &str,
        generation: ReadModelGeneration,
    ) -> Result<Transaction<'static, Postgres>, ControlError> {
        self.begin_locked(LOCK_EXCLUSIVE, projection, generation).await
    }

    /// Begins and locks in one round trip, since workers do so for each batch. After a lock time-out the client library does
    /// not know that there is a transaction: the pool closes the connection, and logs that its test failed.
    async fn begin_locked(
        &self,
        lock: &'static str,
        projection: &str,
        generation: ReadModelGeneration,
    ) -> Result<Transaction<'static, Postgres>, ControlError> {
        let key = lock_key(projection, generation);
        let begin = format!("{BEGIN}; {lock}({LOCK_NAMESPACE}, {key})");
        self.pool
            .begin_with(begin)
            .await
            .map_err(postgres_error("beginning a transaction with the lock of a generation"))
    }
}

/// Second key of the advisory lock of a generation.
fn lock_key(projection: &str, generation: ReadModelGeneration) -> i32 {
    let hash = crc32fast::hash(format!("{projection}/{generation}").as_bytes());
    hash.cast_signed()
}
