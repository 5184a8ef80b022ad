//! The ways to append that take more than a begin, an insert and an end.

use domain::event_store::{BatchStore as _, StoreError};
use sqlx::Executor as _;
use tokio::time::sleep;

use super::{
    AppendWriter, append_sql,
    commit_outcome::{classify_commit, classify_error},
};
use crate::faults::append_ledger::{AppendOutcome, LedgerEntry};

impl AppendWriter {
    pub(super) async fn append_autocommit(&mut self, draft: &mut LedgerEntry) -> anyhow::Result<AppendOutcome> {
        let events = self.create_events(1, draft).await?;
        let statement = append_sql::insert_statement(&events)?;
        Ok(classify_commit(self.session.connection().await?.execute(statement.as_str()).await))
    }

    pub(super) async fn append_batch(
        &mut self,
        most_each: u64,
        draft: &mut LedgerEntry,
    ) -> anyhow::Result<AppendOutcome> {
        let events = self.create_events(most_each, draft).await?;
        Ok(match self.store.append_events(events).await {
            Ok(()) => AppendOutcome::Committed,
            Err(StoreError::Conflict) => AppendOutcome::RolledBack,
            Err(StoreError::Unavailable(error)) => error.downcast_ref().map_or(AppendOutcome::Unknown, classify_error),
        })
    }

    pub(super) async fn append_copy(&mut self, draft: &mut LedgerEntry) -> anyhow::Result<AppendOutcome> {
        let events = self.create_events(5, draft).await?;
        let rows = append_sql::csv_rows(&events)?;
        let mut copy = self.session.connection().await?.copy_in_raw(&append_sql::copy_statement()).await?;
        copy.send(rows.as_bytes()).await?;
        Ok(classify_commit(copy.finish().await))
    }

    pub(super) async fn append_with_savepoints(&mut self, draft: &mut LedgerEntry) -> anyhow::Result<AppendOutcome> {
        self.execute("begin").await?;
        let mut heads = self.choose_streams().await?;
        let first = self.create_next_events(&mut heads, 1, &draft.id, &mut draft.event_marks)?;
        self.execute(&append_sql::insert_statement(&first)?).await?;
        self.execute("savepoint undone").await?;
        // The same sequences of the streams are used again after the rollback.
        let undone = self.create_next_events(
            &mut heads.clone(),
            2,
            &format!("{}-undone", draft.id),
            &mut draft.rolled_back_marks,
        )?;
        self.execute(&append_sql::insert_statement(&undone)?).await?;
        sleep(self.choices.millis_between(0, 500)).await;
        self.execute("rollback to savepoint undone").await?;
        self.execute("savepoint released").await?;
        let last = self.create_next_events(&mut heads, 1, &draft.id, &mut draft.event_marks)?;
        self.execute(&append_sql::insert_statement(&last)?).await?;
        self.execute("release savepoint released").await?;
        sleep(self.choices.millis_between(0, 300)).await;
        self.commit().await
    }

    /// Prepares a transaction, idles, and ends it, also across a crash of the server.
    pub(super) async fn append_prepared(
        &mut self,
        draft: &mut LedgerEntry,
        end: &str,
    ) -> anyhow::Result<AppendOutcome> {
        let name = format!("{}-{}", self.database, draft.id);
        self.execute("begin").await?;
        self.insert_event(draft).await?;
        if let Err(error) = self.execute(&format!("prepare transaction '{name}'")).await {
            // Whether it was prepared is read below.
            anyhow::ensure!(error.downcast_ref::<sqlx::Error>().is_some(), error);
            self.session.drop_connection();
        }
        self.sleep_randomly().await;
        let mut outcome = AppendOutcome::RolledBack;
        while self.is_prepared(&name).await? {
            if end == "commit" {
                outcome = AppendOutcome::Committed;
            }
            if self.execute(&format!("{end} prepared '{name}'")).await.is_err() {
                self.session.drop_connection();
            }
        }
        Ok(outcome)
    }

    async fn is_prepared(&mut self, name: &str) -> anyhow::Result<bool> {
        loop {
            let result = sqlx::query_scalar("select exists (select from pg_prepared_xacts where gid = $1)")
                .bind(name)
                .fetch_one(self.session.connection().await?)
                .await;
            match result {
                Ok(answer) => return Ok(answer),
                Err(_) => self.session.drop_connection(),
            }
        }
    }

    /// An append whose client hangs until the server terminates it, or whose client disappears.
    pub(super) async fn append_abandoned(
        &mut self,
        draft: &mut LedgerEntry,
        terminate: bool,
    ) -> anyhow::Result<AppendOutcome> {
        let events = self.create_events(1, draft).await?;
        let mut abandoned_connection = self.session.connect_another().await?;
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut abandoned_connection).await?;
        abandoned_connection.execute("begin").await?;
        abandoned_connection.execute(append_sql::insert_statement(&events)?.as_str()).await?;
        self.sleep_randomly().await;
        if terminate {
            let connection = self.session.connection().await?;
            sqlx::query("select pg_terminate_backend($1)").bind(pid).execute(connection).await?;
        }
        drop(abandoned_connection);
        Ok(AppendOutcome::RolledBack)
    }
}
