//! Leases: leadership for a bounded time, recorded in Postgres with an epoch.
//!
//! ```text
//! acquire ──▶ held ──renewed six times per term──▶ held …   the epoch stays
//!               └──no answer, or acquired by another holder──▶ lost   before the term ends in Postgres
//! ```
//!
//! A session-level lock does not work behind a session-sharing pooler. A row with an expiry does; every process can
//! check it, and it needs no release. The server's clock alone decides whether it has expired. The holder counts its
//! term from before it sent the request and ends it a sixth early, so that it has stopped before the next holder can
//! start. It writes under its epoch; each later holder has a higher one, which fences it off.

use std::time::Duration;

use domain::error_chain::format_error_chain;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::{LogError, postgres_error},
    postgres::{connect, host_and_pid},
};

/// Number of renewals per term.
const RENEWALS_PER_TERM: u32 = 6;
/// The time limit of a renewal is the term divided by this number.
const RENEWAL_TIMEOUT_DIVISOR: u32 = 4;
/// Pause after a failed renewal.
const RENEWAL_RETRY_DELAY: Duration = Duration::from_millis(100);
/// `application_name` of the connection that renews.
const APPLICATION_NAME: &str = "medhub lease";

/// Outcome of an attempt to acquire a lease.
pub enum LeaseAttempt {
    /// The lease was acquired.
    Acquired(Lease),
    /// Another holder has the lease. It expires after this time, unless it is renewed.
    HeldByOther(Duration),
}

/// A lease that is renewed in the background until it is released, dropped or lost.
pub struct Lease {
    epoch: i64,
    term: LeaseTerm,
    stop: CancellationToken,
    renewer: JoinHandle<()>,
}

/// Shows whether a lease is held, for tasks that may act only while it is.
#[derive(Clone)]
pub struct LeaseTerm {
    state: watch::Receiver<LeaseState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeaseState {
    Until(Instant),
    Lost,
}

impl Lease {
    /// Tries to acquire the lease `name` for terms of `term_duration`.
    ///
    /// # Errors
    /// [`LogError::Postgres`] and [`LogError::Unresponsive`] when the database fails or does not answer.
    pub async fn try_acquire(
        pool: &PgPool,
        name: &'static str,
        term_duration: Duration,
    ) -> Result<LeaseAttempt, LogError> {
        let holder = Uuid::new_v4();
        let mut connection = connect(pool, APPLICATION_NAME).await?;
        let requested_at = Instant::now();
        let acquiring = sqlx::query_as("select taken_epoch, free_in_s from take_lease($1, $2, $3, $4)")
            .bind(name)
            .bind(holder)
            .bind(term_duration.as_secs_f64())
            .bind(host_and_pid())
            .fetch_one(&mut connection);
        let doing = "acquiring a lease";
        let (acquired_epoch, free_in_s): (Option<i64>, Option<f64>) = match timeout(term_duration, acquiring).await {
            Ok(row) => row.map_err(postgres_error(doing))?,
            Err(_elapsed) => return Err(LogError::Unresponsive { doing, waited_s: term_duration.as_secs_f64() }),
        };
        let Some(epoch) = acquired_epoch else {
            let expires_in = Duration::try_from_secs_f64(free_in_s.unwrap_or_default()).unwrap_or(term_duration);
            return Ok(LeaseAttempt::HeldByOther(expires_in));
        };
        let (state_sender, state) = watch::channel(LeaseState::Until(compute_holding_end(requested_at, term_duration)));
        let stop = CancellationToken::new();
        let renewer = LeaseRenewer {
            pool: pool.clone(),
            name,
            holder,
            epoch,
            term_duration,
            state_sender,
            connection: Some(connection),
        };
        let renewer = tokio::spawn(renewer.run(stop.clone()));
        Ok(LeaseAttempt::Acquired(Self { epoch, term: LeaseTerm { state }, stop, renewer }))
    }

    /// The epoch that the holder writes with.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Returns a handle that shows at any later time whether the lease is held.
    pub fn term(&self) -> LeaseTerm {
        self.term.clone()
    }

    /// Releases the lease, so that the next holder need not wait for its expiry. Takes a limited time: a lease that
    /// cannot be released expires.
    pub async fn release(mut self) {
        self.stop.cancel();
        if let Err(error) = (&mut self.renewer).await {
            tracing::error!(%error, "lease renewal task failed");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The renewal task then releases the lease.
        self.stop.cancel();
    }
}

impl LeaseTerm {
    /// Whether the lease is held now, by the holder's own clock.
    pub fn is_current(&self) -> bool {
        matches!(*self.state.borrow(), LeaseState::Until(end) if Instant::now() < end)
    }

    /// Time until the term ends if the lease is not renewed; zero once it is lost.
    pub fn remaining(&self) -> Duration {
        match *self.state.borrow() {
            LeaseState::Until(end) => end.saturating_duration_since(Instant::now()),
            LeaseState::Lost => Duration::ZERO,
        }
    }

    /// Waits until the lease is no longer held.
    pub async fn wait_until_lost(mut self) -> LogError {
        loop {
            let state = *self.state.borrow_and_update();
            let LeaseState::Until(end) = state else { return LogError::LeadershipLost };
            tokio::select! {
                () = sleep_until(end) => {
                    // It may have been renewed at the same moment.
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

/// The time when the holder has to stop, for a term that was requested at `requested_at`.
fn compute_holding_end(requested_at: Instant, term_duration: Duration) -> Instant {
    requested_at + term_duration - term_duration / RENEWALS_PER_TERM
}

/// The background task that renews a lease.
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
            let requested_at = Instant::now();
            let renewed = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    // The cancelled request may still be in progress on this connection.
                    self.connection = None;
                    return self.release_lease().await;
                }
                renewed = self.renew() => renewed,
            };
            pause = self.term_duration / RENEWALS_PER_TERM;
            match renewed {
                Ok(true) => {
                    self.state_sender
                        .send_replace(LeaseState::Until(compute_holding_end(requested_at, self.term_duration)));
                }
                Ok(false) => {
                    self.state_sender.send_replace(LeaseState::Lost);
                    return;
                }
                Err(error) => {
                    // A connection that does not answer may remain silent; a new one may work.
                    self.connection = None;
                    pause = RENEWAL_RETRY_DELAY;
                    tracing::warn!(
                        lease = self.name,
                        error = format_error_chain(&error),
                        "lease renewal failed, retrying"
                    );
                }
            }
        }
    }

    async fn renew(&mut self) -> Result<bool, LogError> {
        let doing = "renewing the relay's lease";
        let (name, holder, epoch, term_duration) = (self.name, self.holder, self.epoch, self.term_duration);
        let time_limit = term_duration / RENEWAL_TIMEOUT_DIVISOR;
        let renewing = async {
            let connection = self.connection().await?;
            sqlx::query_scalar("select renew_lease($1, $2, $3, $4)")
                .bind(name)
                .bind(holder)
                .bind(epoch)
                .bind(term_duration.as_secs_f64())
                .fetch_one(connection)
                .await
                .map_err(postgres_error(doing))
        };
        match timeout(time_limit, renewing).await {
            Ok(renewed) => renewed,
            Err(_elapsed) => Err(LogError::Unresponsive { doing, waited_s: time_limit.as_secs_f64() }),
        }
    }

    async fn release_lease(&mut self) {
        let (name, holder, epoch, time_limit) =
            (self.name, self.holder, self.epoch, self.term_duration / RENEWAL_TIMEOUT_DIVISOR);
        let releasing = async {
            let connection = self.connection().await?;
            sqlx::query("select give_lease_back($1, $2, $3)")
                .bind(name)
                .bind(holder)
                .bind(epoch)
                .execute(connection)
                .await
                .map_err(postgres_error("releasing a lease"))?;
            match self.connection.take() {
                Some(connection) => connection.close().await.map_err(postgres_error("closing a connection")),
                None => Ok(()),
            }
        };
        if !matches!(timeout(time_limit, releasing).await, Ok(Ok(()))) {
            tracing::debug!(lease = name, "lease was not released and will expire");
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
