//! The right to rebuild, switch, roll back or drop; one process has it at a time.
//!
//! A lease in Postgres, as the relay's (ADR 0026): a pooler cannot break it, and a process that stood still finds out
//! that somebody else has it. Whatever is moved is moved in a transaction that asks for the lease's epoch first.

use std::time::Duration;

use sqlx::{Postgres, Transaction};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::runtime::{
    ControlError, ControlStore, control_store::postgres_error, error::error_chain, worker::host_and_pid,
};

/// The lease of whoever changes which generations there are.
pub(super) const LEASE_NAME: &str = "rebuild";

/// Its term: so long nobody can go on with a rebuild whose process was killed.
const LEASE_TERM: Duration = Duration::from_secs(10);
const RENEW_INTERVAL: Duration = Duration::from_secs(2);
/// How long Postgres may take to prolong it or to take it back.
const LEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// The right, until it is given back, dropped or lost.
pub(super) struct RebuildLease {
    control: ControlStore,
    epoch: i64,
    stop: CancellationToken,
    keeper: Option<JoinHandle<()>>,
    lost: CancellationToken,
}

impl RebuildLease {
    /// Takes it, unless another process has it.
    pub(super) async fn acquire(control: &ControlStore) -> Result<Self, ControlError> {
        let holder = Uuid::new_v4();
        let taken: (Option<i64>, Option<f64>) =
            sqlx::query_as("select taken_epoch, free_in_s from take_lease($1, $2, $3, $4)")
                .bind(LEASE_NAME)
                .bind(holder)
                .bind(LEASE_TERM.as_secs_f64())
                .bind(host_and_pid())
                .fetch_one(control.pool())
                .await
                .map_err(postgres_error("taking turns at rebuilding"))?;
        let (Some(epoch), _) = taken else { return Err(ControlError::LeaseTaken) };
        let (stop, lost) = (CancellationToken::new(), CancellationToken::new());
        let keeper =
            RebuildLeaseKeeper { control: control.clone(), holder, epoch, stop: stop.clone(), lost: lost.clone() };
        let keeper = Some(tokio::spawn(keeper.run()));
        Ok(Self { control: control.clone(), epoch, stop, keeper, lost })
    }

    /// Begins a transaction in which something is moved: nobody else takes the turn before it ends.
    ///
    /// # Errors
    /// [`ControlError::LeaseLost`] when somebody else has taken it.
    pub(super) async fn begin_transaction(&self) -> Result<Transaction<'static, Postgres>, ControlError> {
        let doing = || postgres_error("making sure whose turn it is");
        let mut transaction = self.control.pool().begin().await.map_err(doing())?;
        let ours: bool = sqlx::query_scalar("select holds_lease($1, $2)")
            .bind(LEASE_NAME)
            .bind(self.epoch)
            .fetch_one(&mut *transaction)
            .await
            .map_err(doing())?;
        if ours { Ok(transaction) } else { Err(ControlError::LeaseLost) }
    }

    /// Is cancelled when somebody else has taken the turn.
    pub(super) fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Lets others have it at once.
    pub(super) async fn release(mut self) {
        self.stop.cancel();
        if let Some(keeper) = self.keeper.take()
            && let Err(broken) = keeper.await
        {
            tracing::error!(error = %broken, "keeping the turn at rebuilding broke off");
        }
    }
}

impl Drop for RebuildLease {
    fn drop(&mut self) {
        // The keeper gives it back on its own.
        self.stop.cancel();
    }
}

/// The task that prolongs it.
struct RebuildLeaseKeeper {
    control: ControlStore,
    holder: Uuid,
    epoch: i64,
    stop: CancellationToken,
    lost: CancellationToken,
}

impl RebuildLeaseKeeper {
    async fn run(self) {
        let mut ticks = interval(RENEW_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return self.release().await,
                _ = ticks.tick() => {}
            }
            match self.renew().await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!("another process has taken the turn at rebuilding");
                    return self.lost.cancel();
                }
                // Whatever is moved asks for the epoch, so that a turn that is over does no harm.
                Err(error) => tracing::warn!(reason = error_chain(&error), "the turn at rebuilding was not prolonged"),
            }
        }
    }

    async fn renew(&self) -> Result<bool, ControlError> {
        let renewing = sqlx::query_scalar("select renew_lease($1, $2, $3, $4)")
            .bind(LEASE_NAME)
            .bind(self.holder)
            .bind(self.epoch)
            .bind(LEASE_TERM.as_secs_f64())
            .fetch_one(self.control.pool());
        let silent = || Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
        let renewed = timeout(LEASE_TIMEOUT, renewing).await.unwrap_or_else(|_elapsed| silent());
        renewed.map_err(postgres_error("prolonging the turn at rebuilding"))
    }

    async fn release(&self) {
        let giving = sqlx::query("select give_lease_back($1, $2, $3)")
            .bind(LEASE_NAME)
            .bind(self.holder)
            .bind(self.epoch)
            .execute(self.control.pool());
        if !matches!(timeout(LEASE_TIMEOUT, giving).await, Ok(Ok(_))) {
            tracing::debug!("the turn at rebuilding was not given back and ends by itself");
        }
    }
}
