//! Wakes a reader at the end of the log up when an event is appended (ADR 53).
//!
//! ```text
//! listener: take the lock ──▶ listen ──▶ active ──notification──▶ wake the reader
//! reader:   active or woken ──▶ read the fence ──nothing new──▶ wait
//! append:   try the lock, shared ──refused──▶ notify with the commit
//! ```
//! The listener is a task with its own session, so that a reader never waits for it. The lock belongs to that session.
//! Behind a session-sharing pooler a client keeps neither the lock nor its notifications: there the reader has to poll.

use std::{future::pending, mem, time::Duration};

use domain::error_chain::format_error_chain;
use sqlx::{
    Acquire, Connection, Executor, PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    error::{LogError, postgres_error},
    pooler::{COMPARING, shares_sessions},
    postgres::{connect, with_timeout},
};

/// `application_name` of the connection that listens.
const APPLICATION_NAME: &str = "medhub wake-ups";

/// `application_name` of the connection that the listener is compared with, to detect a pooler.
const PROBE_NAME: &str = "medhub wake-up probe";

/// The channel of `migrations/postgres/0029_append_wakeups.sql`.
const LISTEN: &str = "listen medhub_log";
const STOP_LISTENING: &str = "select log_end_waiting(); unlisten medhub_log";

/// Ends the session of a former reader that holds the lock: the server may not notice that its process is suspended or
/// cut off, and appends would notify it permanently. Only the leading relay listens, so no other reader is current.
const END_FORMER_LISTENER: &str = "select pg_terminate_backend(pid) from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and classid = 1296629760 and objid = 0 and objsubid = 1
      and mode = 'ExclusiveLock' and granted and datname = current_database() and usename = current_user
      and application_name = 'medhub wake-ups' and pid <> pg_backend_pid()";

/// Pause after a failure before the next attempt to listen.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// Pause before the next attempt to take the lock while an append is open that will not notify.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// A session that has received nothing for this long is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Time limit of a statement of the listener.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);

/// The reader's side: asks for wake-ups and waits for them. Dropping it ends the listener.
#[derive(Debug)]
pub(super) struct AppendWakeups {
    request: watch::Sender<bool>,
    /// Changes with each notification, too.
    state: watch::Receiver<ListenerState>,
    _listener: AbortOnDropHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListenerState {
    /// Appends need not notify.
    Inactive,
    /// Each append notifies, and the session has answered within the last seconds.
    Active,
}

impl AppendWakeups {
    /// Connects when wake-ups are first requested, with the options of `pool`. Must be called within a Tokio runtime.
    pub(super) fn new(pool: &PgPool) -> Self {
        let (request, requested) = watch::channel(false);
        let (state_sender, state) = watch::channel(ListenerState::Inactive);
        let listener = AppendListener { pool: pool.clone(), requested, state: state_sender };
        Self { request, state, _listener: AbortOnDropHandle::new(tokio::spawn(listener.run())) }
    }

    /// Asks that appends notify; they do so some time later, unless listening is impossible.
    pub(super) fn request(&self) {
        self.set_request(true);
    }

    /// Lets appends stop to notify: a reader that does not wait finds them without.
    pub(super) fn release(&self) {
        self.set_request(false);
    }

    fn set_request(&self, requested: bool) {
        self.request.send_if_modified(|current| mem::replace(current, requested) != requested);
    }

    /// Whether [`Self::wait`] returns for each append.
    pub(super) fn is_active(&self) -> bool {
        let is_requested = *self.request.borrow();
        let is_active = *self.state.borrow() == ListenerState::Active;
        is_requested && is_active && self.state.has_changed().is_ok()
    }

    /// Waits, if wake-ups are requested, for a notification since the last return, or for appends to begin or stop
    /// notifying; the caller then reads, since what was committed before may not have notified. Cancel-safe.
    pub(super) async fn wait(&mut self) {
        let is_requested = *self.request.borrow();
        if !is_requested || self.state.changed().await.is_err() {
            pending::<()>().await;
        }
    }
}

/// The task that listens.
struct AppendListener {
    pool: PgPool,
    requested: watch::Receiver<bool>,
    state: watch::Sender<ListenerState>,
}

impl AppendListener {
    /// Listens whenever it is requested, until the reader is gone or sessions turn out to be shared.
    async fn run(mut self) {
        while self.requested.wait_for(|requested| *requested).await.is_ok() {
            let Err(error) = self.listen_on_session().await else { return };
            self.set_state(ListenerState::Inactive);
            tracing::warn!(error = format_error_chain(&error), "appends do not wake the relay, which polls for now");
            sleep(RETRY_PAUSE).await;
        }
    }

    fn set_state(&self, new: ListenerState) {
        self.state.send_modify(|state| *state = new);
    }

    async fn listen_on_session(&mut self) -> Result<(), LogError> {
        let Some(mut session) = self.open_session().await? else { return Ok(()) };
        while self.requested.wait_for(|requested| *requested).await.is_ok() {
            if !take_lock(&mut session).await? {
                sleep(LOCK_PAUSE).await;
                continue;
            }
            self.set_state(ListenerState::Active);
            let outcome = self.forward_notifications(&mut session).await;
            // Before the lock is released: from now on the reader polls.
            self.set_state(ListenerState::Inactive);
            outcome?;
            execute(&mut session, "ending the wait for appends", STOP_LISTENING).await?;
        }
        Ok(())
    }

    /// Connects; `None` behind a session-sharing pooler.
    async fn open_session(&self) -> Result<Option<PgListener>, LogError> {
        let doing = || postgres_error("connecting to listen for appends");
        let options = self.pool.connect_options().as_ref().clone().application_name(APPLICATION_NAME);
        // A pool for each session: one whose session hangs has no free connection for the next attempt.
        let session_pool = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(self.pool.options().get_acquire_timeout())
            .connect_lazy_with(options);
        let mut session = PgListener::connect_with(&session_pool).await.map_err(doing())?;
        // A lost connection has to be noticed: its lock is lost, too.
        session.eager_reconnect(false);
        let mut probe = connect(&self.pool, PROBE_NAME).await?;
        let connection = session.acquire().await.map_err(doing())?;
        let comparing = async { shares_sessions(connection, &mut probe).await.map_err(postgres_error(COMPARING)) };
        let is_shared = with_timeout(STATEMENT_TIMEOUT, "detecting a pooler", comparing).await?;
        // The result is known: an error while closing does not matter.
        drop(timeout(STATEMENT_TIMEOUT, probe.close()).await);
        if is_shared {
            tracing::info!("a pooler shares sessions between clients: the log is polled for new events");
            return Ok(None);
        }
        Ok(Some(session))
    }

    /// Wakes the reader for each notification, until it no longer requests that.
    async fn forward_notifications(&mut self, session: &mut PgListener) -> Result<(), LogError> {
        let doing = || postgres_error("waiting for appends");
        loop {
            let requested = &mut self.requested;
            let released = async { drop(requested.wait_for(|requested| !*requested).await) };
            let received = tokio::select! {
                received = session.try_recv() => Some(received.map_err(doing())?),
                () = sleep(CHECK_INTERVAL) => None,
                () = released => return Ok(()),
            };
            match received {
                Some(Some(_notification)) => self.set_state(ListenerState::Active),
                // The lock is gone with its session.
                Some(None) => return Err(doing()(sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into()))),
                // A network that has dropped an idle connection informs neither side.
                None => execute(session, "checking the session that waits for appends", "select 1").await?,
            }
        }
    }
}

/// Takes the lock and listens; `false` if the lock is taken. Notifications before the session listens are not missed:
/// the reader reads once more when it learns that appends notify.
async fn take_lock(session: &mut PgListener) -> Result<bool, LogError> {
    let doing = "beginning to wait for appends";
    let locking = async {
        let locking = sqlx::query_scalar("select log_begin_waiting()").fetch_one(&mut *session);
        locking.await.map_err(postgres_error(doing))
    };
    let has_lock: bool = with_timeout(STATEMENT_TIMEOUT, doing, locking).await?;
    execute(session, doing, if has_lock { LISTEN } else { END_FORMER_LISTENER }).await?;
    Ok(has_lock)
}

async fn execute(session: &mut PgListener, doing: &'static str, statement: &'static str) -> Result<(), LogError> {
    let executing = async { session.execute(statement).await.map_err(postgres_error(doing)) };
    with_timeout(STATEMENT_TIMEOUT, doing, executing).await?;
    Ok(())
}
