//! Who leads: one relay at a time, for as long as its connection lives.

use sqlx::{Connection, Executor, PgConnection, PgPool};

use crate::error::{LogError, postgres};

/// Key of the leader's lock: 'MHRL'.
const LEADER_LOCK: i64 = 0x4d48_524c;

/// The leader's connection. Dropping it ends the leadership.
pub(super) struct Leadership {
    connection: PgConnection,
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
        let leads: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(LEADER_LOCK)
            .fetch_one(&mut connection)
            .await
            .map_err(postgres("asking for the relay's lock"))?;
        if leads {
            return Ok(Some(Self { connection }));
        }
        connection.close().await.map_err(postgres("closing the relay's connection"))?;
        Ok(None)
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    pub(super) async fn give_up(self) -> Result<(), LogError> {
        self.connection.close().await.map_err(postgres("closing the relay's connection"))
    }
}
