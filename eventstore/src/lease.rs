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
    error::{LogError, chain, postgres},
    postgres::{connect, host_and_pid},
};

/// A term is renewed so often.
const RENEWALS: u32 = 6;
/// How long one try to renew may take, in parts of a term.
const TRY_WITHIN: u32 = 4;
/// Pause after a try that failed.
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// What the connection that renews calls itself.
const APPLICATION: &str = "medhub lease";

/// What an attempt to take a lease came to.
pub(crate) enum LeaseAttempt {
    /// It is ours.
    Mine(Lease),
    /// Somebody has it, for so long unless it is renewed.
    HeldFor(Duration),
}

/// A lease that is renewed in the background until it is given back, dropped or lost.
pub(crate) struct Lease {
    epoch: i64,
    term: LeaseTerm,
    stop: CancellationToken,
    keeper: JoinHandle<()>,
}

/// Whether a lease is held, for those who act under it.
#[derive(Clone)]
pub(crate) struct LeaseTerm {
    held: watch::Receiver<LeaseState>,
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
    /// [`LogError::Postgres`] and [`LogError::Silent`] when the database does not say who has it.
    pub(crate) async fn take(pool: &PgPool, name: &'static str, time: Duration) -> Result<LeaseAttempt, LogError> {
        let holder = Uuid::new_v4();
        let mut connection = connect(pool, APPLICATION).await?;
        let asked = Instant::now();
        let taking = sqlx::query_as("select taken_epoch, free_in_s from take_lease($1, $2, $3, $4)")
            .bind(name)
            .bind(holder)
            .bind(time.as_secs_f64())
            .bind(host_and_pid())
            .fetch_one(&mut connection);
        let doing = "taking the lease of who leads";
        let taken: (Option<i64>, Option<f64>) = match timeout(time, taking).await {
            Ok(taken) => taken.map_err(postgres(doing))?,
            Err(_elapsed) => return Err(LogError::Silent { doing, waited_s: time.as_secs_f64() }),
        };
        let (Some(epoch), _) = taken else {
            let left = Duration::try_from_secs_f64(taken.1.unwrap_or_default()).unwrap_or(time);
            return Ok(LeaseAttempt::HeldFor(left));
        };
        let (told, held) = watch::channel(LeaseState::Until(end_of_term(asked, time)));
        let stop = CancellationToken::new();
        let keeper = LeaseKeeper { pool: pool.clone(), name, holder, epoch, time, told, connection: Some(connection) };
        let keeper = tokio::spawn(keeper.run(stop.clone()));
        Ok(LeaseAttempt::Mine(Self { epoch, term: LeaseTerm { held }, stop, keeper }))
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
    pub(crate) async fn give_back(mut self) {
        self.stop.cancel();
        if let Err(broken) = (&mut self.keeper).await {
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
        matches!(*self.held.borrow(), LeaseState::Until(end) if Instant::now() < end)
    }

    /// How long it is held yet if nobody renews it.
    pub(crate) fn left(&self) -> Duration {
        match *self.held.borrow() {
            LeaseState::Until(end) => end.saturating_duration_since(Instant::now()),
            LeaseState::Lost => Duration::ZERO,
        }
    }

    /// Returns when it is held no longer.
    pub(crate) async fn lost(mut self) -> LogError {
        loop {
            let held = *self.held.borrow_and_update();
            let LeaseState::Until(end) = held else { return LogError::LostLead };
            tokio::select! {
                () = sleep_until(end) => {
                    // It may have been renewed at this very moment.
                    if !self.is_current() {
                        return LogError::LostLead;
                    }
                }
                changed = self.held.changed() => {
                    if changed.is_err() {
                        return LogError::LostLead;
                    }
                }
            }
        }
    }
}

/// What its holder may count on of a term that was asked for at that time.
fn end_of_term(asked: Instant, time: Duration) -> Instant {
    asked + time - time / RENEWALS
}

/// The task that renews.
struct LeaseKeeper {
    pool: PgPool,
    name: &'static str,
    holder: Uuid,
    epoch: i64,
    time: Duration,
    told: watch::Sender<LeaseState>,
    connection: Option<PgConnection>,
}

impl LeaseKeeper {
    async fn run(mut self, stop: CancellationToken) {
        let mut pause = self.time / RENEWALS;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.give_back().await,
                () = sleep(pause) => {}
            }
            let asked = Instant::now();
            let renewed = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    // What was asked last may be under way on it.
                    self.connection = None;
                    return self.give_back().await;
                }
                renewed = self.renew() => renewed,
            };
            pause = self.time / RENEWALS;
            match renewed {
                Ok(true) => {
                    self.told.send_replace(LeaseState::Until(end_of_term(asked, self.time)));
                }
                Ok(false) => {
                    self.told.send_replace(LeaseState::Lost);
                    return;
                }
                Err(error) => {
                    // A connection that is silent may stay so; the next one need not.
                    self.connection = None;
                    pause = TRY_AGAIN;
                    tracing::warn!(lease = self.name, error = chain(&error), "a lease was not renewed, trying again");
                }
            }
        }
    }

    async fn renew(&mut self) -> Result<bool, LogError> {
        let doing = "renewing the lease of who leads";
        let (name, holder, epoch, time) = (self.name, self.holder, self.epoch, self.time);
        let within = time / TRY_WITHIN;
        let renewing = async {
            let connection = self.connection().await?;
            sqlx::query_scalar("select renew_lease($1, $2, $3, $4)")
                .bind(name)
                .bind(holder)
                .bind(epoch)
                .bind(time.as_secs_f64())
                .fetch_one(connection)
                .await
                .map_err(postgres(doing))
        };
        match timeout(within, renewing).await {
            Ok(renewed) => renewed,
            Err(_elapsed) => Err(LogError::Silent { doing, waited_s: within.as_secs_f64() }),
        }
    }

    async fn give_back(&mut self) {
        let (name, holder, epoch, within) = (self.name, self.holder, self.epoch, self.time / TRY_WITHIN);
        let giving = async {
            let connection = self.connection().await?;
            sqlx::query("select give_lease_back($1, $2, $3)")
                .bind(name)
                .bind(holder)
                .bind(epoch)
                .execute(connection)
                .await
                .map_err(postgres("giving a lease back"))?;
            match self.connection.take() {
                Some(connection) => connection.close().await.map_err(postgres("closing a connection")),
                None => Ok(()),
            }
        };
        if !matches!(timeout(within, giving).await, Ok(Ok(()))) {
            tracing::debug!(lease = name, "a lease was not given back and ends by itself");
        }
        self.told.send_replace(LeaseState::Lost);
    }

    async fn connection(&mut self) -> Result<&mut PgConnection, LogError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.pool, APPLICATION).await?,
        };
        Ok(self.connection.insert(connection))
    }
}
