//! Leases: the right to do something that one process does at a time, written down in Postgres with an epoch.
//!
//! ```text
//! take ──▶ held ──renewed six times in each term──▶ held …   the epoch stays
//!            └──nobody answers, or somebody else took it──▶ lost   before the term is over in Postgres
//! ```
//!
//! A lock of a session is none behind a pooler that gives one session to many clients. A row with an end can be
//! checked by everybody and is free again by itself. Only the server's clock is asked; the holder counts its own time
//! from before it asked, and ends a sixth of the term early, so that it has stopped when the next one may begin. What
//! it writes it writes under its epoch: the next holder's is higher.

use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::{LogError, format_error_chain, postgres_error},
    postgres::{connect, host_and_pid},
};

/// A term is renewed so often.
const RENEWALS_PER_TERM: u32 = 6;
/// How long one try to renew may take, in parts of a term.
const RENEWAL_TIMEOUT_DIVISOR: u32 = 4;
/// Pause after a try that failed.
const RENEWAL_RETRY_DELAY: Duration = Duration::from_millis(100);
/// What the connection that renews calls itself.
const APPLICATION_NAME: &str = "medhub lease";

/// What an attempt to take a lease came to.
pub(crate) enum LeaseAttempt {
    /// It is ours.
    Acquired(Lease),
    /// Somebody has it, for so long unless it is renewed.
    HeldByOther(Duration),
}

/// A lease that is renewed in the background until it is given back, dropped or lost.
pub(crate) struct Lease {
    epoch: i64,
    term: LeaseTerm,
    stop: CancellationToken,
    renewer: JoinHandle<()>,
}

/// Whether a lease is held, for those who act under it.
#[derive(Clone)]
pub(crate) struct LeaseTerm {
    state: watch::Receiver<LeaseState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeaseState {
    Until(Instant),
    Lost,
}

impl Lease {
    /// Takes the lease of that name for terms of `time`, unless somebody has it.
    ///
    /// # Errors
    /// [`LogError::Postgres`] and [`LogError::Unresponsive`] when the database does not say who has it.
    pub(crate) async fn try_acquire(
        pool: &PgPool,
        name: &'static str,
        time: Duration,
    ) -> Result<LeaseAttempt, LogError> {
        let holder = Uuid::new_v4();
        let mut connection = connect(pool, APPLICATION_NAME).await?;
        let asked = Instant::now();
        let taking = sqlx::query_as("select taken_epoch, free_in_s from take_lease($1, $2, $3, $4)")
            .bind(name)
            .bind(holder)
            .bind(time.as_secs_f64())
            .bind(host_and_pid())
            .fetch_one(&mut connection);
        let doing = "taking the lease of who leads";
        let taken: (Option<i64>, Option<f64>) = match timeout(time, taking).await {
            Ok(taken) => taken.map_err(postgres_error(doing))?,
            Err(_elapsed) => return Err(LogError::Unresponsive { doing, waited_s: time.as_secs_f64() }),
        };
        let (Some(epoch), _) = taken else {
            let left = Duration::try_from_secs_f64(taken.1.unwrap_or_default()).unwrap_or(time);
            return Ok(LeaseAttempt::HeldByOther(left));
        };
        let (told, held) = watch::channel(LeaseState::Until(end_of_term(asked, time)));
        let stop = CancellationToken::new();
        let keeper = LeaseRenewer {
            pool: pool.clone(),
            name,
            holder,
            epoch,
            term_duration: time,
            state_sender: told,
            connection: Some(connection),
        };
        let keeper = tokio::spawn(keeper.run(stop.clone()));
        Ok(LeaseAttempt::Acquired(Self { epoch, term: LeaseTerm { state: held }, stop, renewer: keeper }))
    }

    /// The epoch to write under.
    pub(crate) fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Whether it is held, also later.
    pub(crate) fn term(&self) -> LeaseTerm {
        self.term.clone()
    }

    /// Lets the next one take it at once. Bounded in time: a lease that cannot be given back ends by itself.
    pub(crate) async fn release(mut self) {
        self.stop.cancel();
        if let Err(broken) = (&mut self.renewer).await {
            tracing::error!(error = %broken, "keeping a lease broke off");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The keeper gives it back on its own.
        self.stop.cancel();
    }
}

impl LeaseTerm {
    /// Whether the lease is held now, as far as its holder can know.
    pub(crate) fn is_current(&self) -> bool {
        matches!(*self.state.borrow(), LeaseState::Until(end) if Instant::now() < end)
    }

    /// How long it is held yet if nobody renews it.
    pub(crate) fn remaining(&self) -> Duration {
        match *self.state.borrow() {
            LeaseState::Until(end) => end.saturating_duration_since(Instant::now()),
            LeaseState::Lost => Duration::ZERO,
        }
    }

    /// Returns when it is held no longer.
    pub(crate) async fn wait_until_lost(mut self) -> LogError {
        loop {
            let held = *self.state.borrow_and_update();
            let LeaseState::Until(end) = held else { return LogError::LeadershipLost };
            tokio::select! {
                () = sleep_until(end) => {
                    // It may have been renewed at this very moment.
                    if !self.is_current() {
                        return LogError::LeadershipLost;
                    }
                }
                changed = self.state.changed() => {
                    if changed.is_err() {
                        return LogError::LeadershipLost;
                    }
                }
            }
        }
    }
}

/// What its holder may count on of a term that was asked for at that time.
fn end_of_term(asked: Instant, time: Duration) -> Instant {
    asked + time - time / RENEWALS_PER_TERM
}

/// The task that renews.
struct LeaseRenewer {
    pool: PgPool,
    name: &'static str,
    holder: Uuid,
    epoch: i64,
    term_duration: Duration,
    state_sender: watch::Sender<LeaseState>,
    connection: Option<PgConnection>,
}

impl LeaseRenewer {
    async fn run(mut self, stop: CancellationToken) {
        let mut pause = self.term_duration / RENEWALS_PER_TERM;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.release_lease().await,
                () = sleep(pause) => {}
            }
            let asked = Instant::now();
            let renewed = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    // What was asked last may be under way on it.
                    self.connection = None;
                    return self.release_lease().await;
                }
                renewed = self.renew() => renewed,
            };
            pause = self.term_duration / RENEWALS_PER_TERM;
            match renewed {
                Ok(true) => {
                    self.state_sender.send_replace(LeaseState::Until(end_of_term(asked, self.term_duration)));
                }
                Ok(false) => {
                    self.state_sender.send_replace(LeaseState::Lost);
                    return;
                }
                Err(error) => {
                    // A connection that is silent may stay so; the next one need not.
                    self.connection = None;
                    pause = RENEWAL_RETRY_DELAY;
                    tracing::warn!(
                        lease = self.name,
                        error = format_error_chain(&error),
                        "a lease was not renewed, trying again"
                    );
                }
            }
        }
    }

    async fn renew(&mut self) -> Result<bool, LogError> {
        let doing = "renewing the lease of who leads";
        let (name, holder, epoch, time) = (self.name, self.holder, self.epoch, self.term_duration);
        let within = time / RENEWAL_TIMEOUT_DIVISOR;
        let renewing = async {
            let connection = self.connection().await?;
            sqlx::query_scalar("select renew_lease($1, $2, $3, $4)")
                .bind(name)
                .bind(holder)
                .bind(epoch)
                .bind(time.as_secs_f64())
                .fetch_one(connection)
                .await
                .map_err(postgres_error(doing))
        };
        match timeout(within, renewing).await {
            Ok(renewed) => renewed,
            Err(_elapsed) => Err(LogError::Unresponsive { doing, waited_s: within.as_secs_f64() }),
        }
    }

    async fn release_lease(&mut self) {
        let (name, holder, epoch, within) =
            (self.name, self.holder, self.epoch, self.term_duration / RENEWAL_TIMEOUT_DIVISOR);
        let giving = async {
            let connection = self.connection().await?;
            sqlx::query("select give_lease_back($1, $2, $3)")
                .bind(name)
                .bind(holder)
                .bind(epoch)
                .execute(connection)
                .await
                .map_err(postgres_error("giving a lease back"))?;
            match self.connection.take() {
                Some(connection) => connection.close().await.map_err(postgres_error("closing a connection")),
                None => Ok(()),
            }
        };
        if !matches!(timeout(within, giving).await, Ok(Ok(()))) {
            tracing::debug!(lease = name, "a lease was not given back and ends by itself");
        }
        self.state_sender.send_replace(LeaseState::Lost);
    }

    async fn connection(&mut self) -> Result<&mut PgConnection, LogError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.pool, APPLICATION_NAME).await?,
        };
        Ok(self.connection.insert(connection))
    }
}
