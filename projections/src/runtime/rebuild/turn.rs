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

use crate::runtime::{Control, ControlError, control::postgres, error::chain, worker::host_and_pid};

/// The lease of whoever changes which generations there are.
pub(super) const LEASE: &str = "rebuild";

/// Its term: so long nobody can go on with a rebuild whose process was killed.
const TERM: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// How long Postgres may take to prolong it or to take it back.
const PATIENCE: Duration = Duration::from_secs(5);

/// The right, until it is given back, dropped or lost.
pub(super) struct RebuildTurn {
    control: Control,
    epoch: i64,
    stop: CancellationToken,
    keeper: Option<JoinHandle<()>>,
    lost: CancellationToken,
}

impl RebuildTurn {
    /// Takes it, unless another process has it.
    pub(super) async fn take(control: &Control) -> Result<Self, ControlError> {
        let holder = Uuid::new_v4();
        let taken: (Option<i64>, Option<f64>) =
            sqlx::query_as("select taken_epoch, free_in_s from take_lease($1, $2, $3, $4)")
                .bind(LEASE)
                .bind(holder)
                .bind(TERM.as_secs_f64())
                .bind(host_and_pid())
                .fetch_one(control.pool())
                .await
                .map_err(postgres("taking turns at rebuilding"))?;
        let (Some(epoch), _) = taken else { return Err(ControlError::Busy) };
        let (stop, lost) = (CancellationToken::new(), CancellationToken::new());
        let keeper = TurnKeeper { control: control.clone(), holder, epoch, stop: stop.clone(), lost: lost.clone() };
        let keeper = Some(tokio::spawn(keeper.run()));
        Ok(Self { control: control.clone(), epoch, stop, keeper, lost })
    }

    /// Begins a transaction in which something is moved: nobody else takes the turn before it ends.
    ///
    /// # Errors
    /// [`ControlError::LostTurn`] when somebody else has taken it.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Postgres>, ControlError> {
        let doing = || postgres("making sure whose turn it is");
        let mut transaction = self.control.pool().begin().await.map_err(doing())?;
        let ours: bool = sqlx::query_scalar("select holds_lease($1, $2)")
            .bind(LEASE)
            .bind(self.epoch)
            .fetch_one(&mut *transaction)
            .await
            .map_err(doing())?;
        if ours { Ok(transaction) } else { Err(ControlError::LostTurn) }
    }

    /// Is cancelled when somebody else has taken the turn.
    pub(super) fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Lets others have it at once.
    pub(super) async fn give_back(mut self) {
        self.stop.cancel();
        if let Some(keeper) = self.keeper.take()
            && let Err(broken) = keeper.await
        {
            tracing::error!(error = %broken, "keeping the turn at rebuilding broke off");
        }
    }
}

impl Drop for RebuildTurn {
    fn drop(&mut self) {
        // The keeper gives it back on its own.
        self.stop.cancel();
    }
}

/// The task that prolongs it.
struct TurnKeeper {
    control: Control,
    holder: Uuid,
    epoch: i64,
    stop: CancellationToken,
    lost: CancellationToken,
}

impl TurnKeeper {
    async fn run(self) {
        let mut ticks = interval(RENEW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return self.give_back().await,
                _ = ticks.tick() => {}
            }
            match self.renew().await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!("another process has taken the turn at rebuilding");
                    return self.lost.cancel();
                }
                // Whatever is moved asks for the epoch, so that a turn that is over does no harm.
                Err(error) => tracing::warn!(reason = chain(&error), "the turn at rebuilding was not prolonged"),
            }
        }
    }

    async fn renew(&self) -> Result<bool, ControlError> {
        let renewing = sqlx::query_scalar("select renew_lease($1, $2, $3, $4)")
            .bind(LEASE)
            .bind(self.holder)
            .bind(self.epoch)
            .bind(TERM.as_secs_f64())
            .fetch_one(self.control.pool());
        let silent = || Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
        let renewed = timeout(PATIENCE, renewing).await.unwrap_or_else(|_elapsed| silent());
        renewed.map_err(postgres("prolonging the turn at rebuilding"))
    }

    async fn give_back(&self) {
        let giving = sqlx::query("select give_lease_back($1, $2, $3)")
            .bind(LEASE)
            .bind(self.holder)
            .bind(self.epoch)
            .execute(self.control.pool());
        if !matches!(timeout(PATIENCE, giving).await, Ok(Ok(_))) {
            tracing::debug!("the turn at rebuilding was not given back and ends by itself");
        }
    }
}
