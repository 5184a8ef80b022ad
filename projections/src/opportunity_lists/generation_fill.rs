//! Fills a generation: rows are added by `COPY` to tables without indexes; then superseded rows are removed, counters
//! are counted, and the indexes are created.
//!
//! Nothing is read from a generation before it is complete, so nothing needs an index. A row is added for every change,
//! also for one that is repeated after an interruption: at the end the newest row remains. From then on no row can be
//! added, unless the filling is begun again, which drops the indexes that were created.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::{Executor as _, PgConnection, Row as _};

use super::{
    OpportunityLists,
    copied_rows::{AWARD_COLUMNS, CopiedRows, ENTRY_COLUMNS},
    counter::{CountedValues, CounterDeltas, CounterTable},
    list_change::ListChange,
    list_entry::AwardTotals,
    write::PendingChanges,
};
use crate::{
    QueryError,
    runtime::ProjectionError,
    storage::postgres::{FillState, RowLock},
};

/// Bytes of one message of a `COPY`.
const COPY_CHUNK_BYTES: usize = 1 << 20;

/// Indexes that are created at once. The index of words takes as long as all others together.
const INDEXES_AT_ONCE: usize = 2;

/// What of the generation decides how a filling begins, and the lock of the row.
const LOCK_GENERATION: &str = "select is_filling, is_completing from {schema}.generation for update";

/// An index that is created when the generation has been filled.
struct DeferredIndex {
    name: String,
    table: String,
    definition: String,
    is_primary_key: bool,
}

impl OpportunityLists {
    /// Makes an empty generation one that is filled, and one whose completion was interrupted one that is filled again.
    /// Idempotent; a generation that followed the events stays as it is.
    pub(super) async fn defer_indexes(&self) -> Result<(), QueryError> {
        let failed = |error| self.client.query_error(error);
        let mut transaction = self.client.begin_maintenance().await?;
        // Before anything else is locked: who waits for this row must not have a lock that its owner waits for.
        let lock = self.client.in_schema(LOCK_GENERATION);
        let row = transaction.fetch_one(lock.as_str()).await.map_err(failed)?;
        let is_filling: bool = row.try_get("is_filling").map_err(failed)?;
        let is_completing: bool = row.try_get("is_completing").map_err(failed)?;
        if is_filling && !is_completing {
            return Ok(());
        }
        if !is_filling {
            let has_rows = "select exists (select from {schema}.opportunities) or exists (select from {schema}.awards)";
            let row = transaction.fetch_one(self.client.in_schema(has_rows).as_str()).await.map_err(failed)?;
            let is_followed: bool = row.try_get(0).map_err(failed)?;
            if is_followed {
                return Ok(());
            }
            let defer = self.client.in_schema(include_str!("sql/defer_indexes.sql"));
            transaction.execute(defer.as_str()).await.map_err(failed)?;
        }
        let begin = self.client.in_schema(include_str!("sql/begin_filling.sql"));
        transaction.execute(begin.as_str()).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Adds the rows of changes to a generation that is being filled.
    pub(super) async fn copy_changes(
        &self,
        changes: &[ListChange],
        pending: &BTreeMap<&str, PendingChanges<'_>>,
    ) -> Result<(), ProjectionError> {
        let failed = |error| self.client.classify_error(error);
        let Some(last) = changes.last() else { return Ok(()) };
        // Encoded before the transaction: writers wait for each other.
        let (mut entries, mut awards) = (CopiedRows::new(), CopiedRows::new());
        for of_opportunity in pending.values() {
            of_opportunity.awards.values().for_each(|award| awards.push_award(award));
            if let Some(entry) = of_opportunity.details {
                // Often all awards of an opportunity are in one batch; the end of the filling corrects the others.
                let amounts = of_opportunity.awards.values().map(|award| award.amount_cents);
                entries.push_entry(entry, AwardTotals::from_amounts(amounts));
            }
        }
        let mut transaction = self.client.begin_write(FillState::Filling).await?;
        for (table, columns, rows) in [("opportunities", ENTRY_COLUMNS, entries), ("awards", AWARD_COLUMNS, awards)] {
            if !rows.is_empty() {
                let copy = format!("copy {}.{table} ({columns}) from stdin (format binary)", self.client.schema());
                copy_rows(&mut transaction, &copy, &rows.finish()).await.map_err(failed)?;
            }
        }
        let (id, key, sequence) = match last {
            ListChange::Details(entry) => (&entry.id, "", entry.sequence),
            ListChange::Award(award) => (&award.opportunity_id, award.key.as_str(), award.sequence),
        };
        sqlx::query(&self.client.in_schema(include_str!("sql/save_filled_change.sql")))
            .bind(id)
            .bind(key)
            .bind(sequence)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Completes a generation that was filled. Idempotent, and resumes where it was interrupted.
    pub(super) async fn complete_generation(&self) -> Result<(), QueryError> {
        let failed = |error| self.client.query_error(error);
        if !self.client.is_filling().await.map_err(QueryError::postgres)? {
            return Ok(());
        }
        let mut transaction = self.client.begin_maintenance().await?;
        let lock = self.client.in_schema(LOCK_GENERATION);
        transaction.fetch_one(lock.as_str()).await.map_err(failed)?;
        // Before rows are removed: a lane that is still at work would add rows that have been removed already.
        let mark_completing =
            self.client.in_schema("update {schema}.generation set is_completing = true where is_filling");
        let begun = transaction.execute(mark_completing.as_str()).await.map_err(failed)?;
        if begun.rows_affected() == 0 {
            // Another program has completed it meanwhile.
            return Ok(());
        }
        let remove = self.client.in_schema(include_str!("sql/remove_superseded.sql"));
        transaction.execute(remove.as_str()).await.map_err(failed)?;
        self.count_counters(&mut transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;

        let indexes = self.load_deferred_indexes().await.map_err(failed)?;
        let creations: Vec<_> = indexes.iter().map(|index| self.create_index(index)).collect();
        futures::stream::iter(creations).buffer_unordered(INDEXES_AT_ONCE).try_collect::<()>().await?;
        for table in ["opportunities", "awards", "counters", "triple_counters"] {
            self.client.analyze(table).await?;
        }

        let mut transaction = self.client.begin_maintenance().await?;
        self.client.check_completing(&mut transaction, RowLock::Exclusive).await?;
        let end = "delete from {schema}.deferred_indexes; delete from {schema}.filled_changes; \
                   update {schema}.generation set is_filling = false, is_completing = false";
        transaction.execute(self.client.in_schema(end).as_str()).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Recounts all counters, in the program: the server takes ten times as long for forty groupings.
    pub(super) async fn count_counters(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut counters = CounterDeltas::default();
        let select = self.client.in_schema(include_str!("sql/counted_values.sql"));
        let mut rows = sqlx::query(&select).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            counters.add(&CountedValues::from_row(&row)?);
        }
        drop(rows);
        // Rows only: readers see the previous counters until all is committed, and no query waits for a lock.
        for table in CounterTable::ALL {
            let (schema, name, columns) = (self.client.schema(), table.name(), table.copied_columns());
            connection.execute(format!("delete from {schema}.{name}").as_str()).await?;
            let copy = format!("copy {schema}.{name} ({columns}) from stdin (format binary)");
            let mut copy = connection.copy_in_raw(&copy).await?;
            let mut rows = CopiedRows::new();
            for (key, delta) in counters.changed() {
                if key.table() != table {
                    continue;
                }
                rows.push_counter(&key, delta);
                if rows.size_bytes() >= COPY_CHUNK_BYTES {
                    copy.send(rows.take_bytes()).await?;
                }
            }
            copy.send(rows.finish()).await?;
            copy.finish().await?;
        }
        Ok(())
    }

    /// The deferred indexes, the largest first.
    async fn load_deferred_indexes(&self) -> Result<Vec<DeferredIndex>, sqlx::Error> {
        let select = "select name, of_table, definition, is_primary_key from {schema}.deferred_indexes \
                      order by name <> 'terms', name";
        let rows = self.client.fetch_all(&self.client.in_schema(select)).await?;
        let index = |row: &sqlx::postgres::PgRow| {
            Ok(DeferredIndex {
                name: row.try_get("name")?,
                table: row.try_get("of_table")?,
                definition: row.try_get("definition")?,
                is_primary_key: row.try_get("is_primary_key")?,
            })
        };
        rows.iter().map(index).collect()
    }

    /// Creates an index, unless it exists.
    async fn create_index(&self, index: &DeferredIndex) -> Result<(), QueryError> {
        let failed = |error| self.client.query_error(error);
        let DeferredIndex { name, table, definition, is_primary_key } = index;
        let mut transaction = self.client.begin_maintenance().await?;
        // A program that begins the filling again waits for this transaction, and drops what it has created.
        self.client.check_completing(&mut transaction, RowLock::Shared).await?;
        if *is_primary_key {
            let exists = self.client.in_schema(include_str!("sql/primary_key_exists.sql"));
            let row = sqlx::query(&exists).bind(name).fetch_one(&mut *transaction).await.map_err(failed)?;
            let exists: bool = row.try_get(0).map_err(failed)?;
            if exists {
                return Ok(());
            }
        }
        let create = definition.replacen(" INDEX ", " INDEX IF NOT EXISTS ", 1);
        let add_key = format!("alter table {}.{table} add primary key using index {name}", self.client.schema());
        let statements = if *is_primary_key { format!("{create}; {add_key}") } else { create };
        transaction.execute(statements.as_str()).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }
}

async fn copy_rows(connection: &mut PgConnection, statement: &str, data: &[u8]) -> Result<(), sqlx::Error> {
    let mut copy = connection.copy_in_raw(statement).await?;
    for chunk in data.chunks(COPY_CHUNK_BYTES) {
        copy.send(chunk).await?;
    }
    copy.finish().await.map(drop)
}
