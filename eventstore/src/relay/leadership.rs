//! Who leads: one relay at a time, for as long as its connection lives.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::time::{MissedTickBehavior, interval};

use crate::error::{LogError, postgres};

/// Key of the leader's lock: 'MHRL'.
pub(super) const LEADER_LOCK: i64 = 0x4d48_524c;
/// How often a leader makes sure that it still leads: while it waits for Kafka it reads nothing that could fail.
const PROOF_EVERY: Duration = Duration::from_millis(500);

/// The leader's connection, which holds the lock. Dropping it ends the leadership.
pub(super) struct Leadership {
    connection: PgConnection,
    /// The server process behind it.
    pid: i32,
}

impl Leadership {
    /// Takes the lead; `None` while another relay has it.
    pub(super) async fn take(pool: &PgPool) -> Result<Option<Self>, LogError> {
        // A connection of its own, not one that goes back to the pool: the lock must end with the leadership.
        let mut connection = pool.acquire().await.map_err(postgres("connecting"))?.detach();
        // A leader whose machine vanished is noticed by the server after some 4 s, not after two hours.
        connection
            .execute(include_str!("leadership/keepalive.sql"))
            .await
            .map_err(postgres("preparing the relay's connection"))?;
        let (leads, pid): (bool, i32) = sqlx::query_as("select pg_try_advisory_lock($1), pg_backend_pid()")
            .bind(LEADER_LOCK)
            .fetch_one(&mut connection)
            .await
            .map_err(postgres("asking for the relay's lock"))?;
        if leads {
            return Ok(Some(Self { connection, pid }));
        }
        connection.close().await.map_err(postgres("closing the relay's connection"))?;
        Ok(None)
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// The connection that holds the lead, and what proves from outside that it does.
    pub(super) fn into_parts(self) -> (PgConnection, Proof) {
        (self.connection, Proof { pid: self.pid })
    }

    pub(super) async fn give_up(self) -> Result<(), LogError> {
        self.connection.close().await.map_err(postgres("closing the relay's connection"))
    }
}

/// Tells whether a connection still holds the lead.
pub(super) struct Proof {
    pid: i32,
}

impl Proof {
    /// Returns when the lead is lost, or when nobody can say any more whether it is.
    pub(super) async fn lost(self, pool: &PgPool) -> LogError {
        let mut connection = match PgConnection::connect_with(&pool.connect_options()).await {
            Ok(connection) => connection,
            Err(error) => return postgres("connecting")(error),
        };
        let mut ticks = interval(PROOF_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match sqlx::query_scalar(include_str!("leadership/holds.sql"))
                .bind(self.pid)
                .bind(LEADER_LOCK)
                .fetch_one(&mut connection)
                .await
            {
                Ok(true) => {}
                Ok(false) => return LogError::LostLead,
                Err(error) => return postgres("making sure of the lead")(error),
            }
        }
    }
}
