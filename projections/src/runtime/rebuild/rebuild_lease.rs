//! The lease that a process holds while it rebuilds, switches, rolls back or drops generations.
//!
//! It is a row in Postgres, like the relay's lease (ADR 0026): it does not depend on a server session, which a pooler
//! may share, and a process that was suspended notices that another one holds it. Every change is made in a transaction
//! that checks the lease's epoch first.

use std::time::Duration;

use sqlx::{Postgres, Transaction};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::runtime::{
    ControlError, ControlStore, control_store::postgres_error, error::format_limited_chain, worker::host_and_pid,
};

/// Name of the lease.
pub(super) const LEASE_NAME: &str = "rebuild";

/// Term of the lease. A rebuild whose process was killed cannot be resumed before the term ends.
const LEASE_TERM: Duration = Duration::from_secs(10);
const RENEW_INTERVAL: Duration = Duration::from_secs(2);
/// How long Postgres may take to renew or release it.
const LEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// The lease, held until it is released, dropped or lost.
pub(super) struct RebuildLease {
    control: ControlStore,
    epoch: i64,
    stop: CancellationToken,
    renewal_task: Option<JoinHandle<()>>,
    lost: CancellationToken,
}

impl RebuildLease {
    /// Acquires the lease.
    ///
    /// # Errors
    /// [`ControlError::LeaseTaken`] when another process holds it.
    pub(super) async fn acquire(control: &ControlStore) -> Result<Self, ControlError> {
        let holder = Uuid::new_v4();
        let acquired: (Option<i64>, Option<f64>) =
            sqlx::query_as("select taken_epoch, free_in_s from take_lease($1, $2, $3, $4)")
                .bind(LEASE_NAME)
                .bind(holder)
                .bind(LEASE_TERM.as_secs_f64())
                .bind(host_and_pid())
                .fetch_one(control.pool())
                .await
                .map_err(postgres_error("acquiring the rebuild lease"))?;
        let (Some(epoch), _) = acquired else { return Err(ControlError::LeaseTaken) };
        let (stop, lost) = (CancellationToken::new(), CancellationToken::new());
        let renewal =
            RebuildLeaseRenewal { control: control.clone(), holder, epoch, stop: stop.clone(), lost: lost.clone() };
        let renewal_task = Some(tokio::spawn(renewal.run()));
        Ok(Self { control: control.clone(), epoch, stop, renewal_task, lost })
    }

    /// Begins a transaction that holds the lease: no other process can take it before the transaction ends.
    ///
    /// # Errors
    /// [`ControlError::LeaseLost`] when another process has taken it.
    pub(super) async fn begin_transaction(&self) -> Result<Transaction<'static, Postgres>, ControlError> {
        let control_error = || postgres_error("checking the rebuild lease");
        let mut transaction = self.control.pool().begin().await.map_err(control_error())?;
        let is_held: bool = sqlx::query_scalar("select holds_lease($1, $2)")
            .bind(LEASE_NAME)
            .bind(self.epoch)
            .fetch_one(&mut *transaction)
            .await
            .map_err(control_error())?;
        if is_held { Ok(transaction) } else { Err(ControlError::LeaseLost) }
    }

    /// A token that is cancelled when another process has taken the lease.
    pub(super) fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Releases the lease, so that another process can take it at once.
    pub(super) async fn release(mut self) {
        self.stop.cancel();
        if let Some(renewal_task) = self.renewal_task.take()
            && let Err(join_error) = renewal_task.await
        {
            tracing::error!(error = %join_error, "renewal task of the rebuild lease failed");
        }
    }
}

impl Drop for RebuildLease {
    fn drop(&mut self) {
        // The renewal task releases the lease.
        self.stop.cancel();
    }
}

/// Renews the lease, and releases it at the end.
struct RebuildLeaseRenewal {
    control: ControlStore,
    holder: Uuid,
    epoch: i64,
    stop: CancellationToken,
    lost: CancellationToken,
}

impl RebuildLeaseRenewal {
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
                    tracing::warn!("another process has taken the rebuild lease");
                    return self.lost.cancel();
                }
                // An expired lease is harmless: every change checks the epoch.
                Err(error) => {
                    tracing::warn!(reason = format_limited_chain(&error), "renewing the rebuild lease failed");
                }
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
        let timed_out = || Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
        let renewed = timeout(LEASE_TIMEOUT, renewing).await.unwrap_or_else(|_elapsed| timed_out());
        renewed.map_err(postgres_error("renewing the rebuild lease"))
    }

    async fn release(&self) {
        let releasing = sqlx::query("select give_lease_back($1, $2, $3)")
            .bind(LEASE_NAME)
            .bind(self.holder)
            .bind(self.epoch)
            .execute(self.control.pool());
        if !matches!(timeout(LEASE_TIMEOUT, releasing).await, Ok(Ok(_))) {
            tracing::debug!("releasing the rebuild lease failed, it expires after its term");
        }
    }
}
