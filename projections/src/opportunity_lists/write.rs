//! Writes changes: rows and counters in one transaction, each change at most once.
//!
//! A transaction locks the generation, reads what is stored about the opportunities of the batch, computes what they
//! are after it, and adds the difference to the counters. A change whose sequence is not above the stored one changes
//! nothing.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row as _};

use super::{
    OpportunityLists,
    counter::{CountedValues, CounterDelta, CounterDeltas, CounterKey, CounterTable},
    list_change::{ListChange, ListedAward},
    list_entry::{AwardTotals, verify_bucket},
    search_terms::format_terms,
};
use crate::{ListEntry, QueryError, runtime::ProjectionError, storage::postgres::FillState};

/// Opportunities of one transaction: a few megabytes.
const OPPORTUNITIES_PER_TRANSACTION: usize = 2_000;

/// Bytes that the values of one row that are in indexes may have together: the server refuses longer entries, and in a
/// generation that is being filled only when its indexes are created.
const MAX_KEY_BYTES: usize = 2_400;

/// The values of an opportunity or an award do not fit into an index.
#[derive(Debug, thiserror::Error)]
#[error("codes and ids of opportunity {id} have {bytes} bytes together; an index takes {MAX_KEY_BYTES}")]
struct KeyTooLong {
    id: String,
    bytes: usize,
}

/// The newest changes of one opportunity in a batch.
#[derive(Default)]
pub(super) struct PendingChanges<'a> {
    pub(super) details: Option<&'a ListEntry>,
    pub(super) awards: BTreeMap<&'a str, &'a ListedAward>,
}

/// What is stored about an opportunity.
struct StoredEntry {
    sequence: i64,
    values: CountedValues,
}

/// What a transaction writes.
#[derive(Default)]
struct WritePlan<'a> {
    entries: Vec<(&'a ListEntry, AwardTotals)>,
    awards: Vec<&'a ListedAward>,
    award_totals: Vec<(&'a str, AwardTotals)>,
    counters: CounterDeltas,
}

/// The stored awards by opportunity and key: sequence and amount.
type StoredAwards = BTreeMap<String, BTreeMap<String, (i64, Option<i64>)>>;

impl OpportunityLists {
    /// Writes changes: to a generation that is being filled all at once, otherwise in transactions of a bounded number
    /// of opportunities.
    pub(super) async fn write_changes(&self, changes: &[ListChange]) -> Result<(), ProjectionError> {
        changes.iter().try_for_each(check_key_size)?;
        let pending = collect_pending(changes);
        if self.client.is_filling().await? {
            return self.copy_changes(changes, &pending).await;
        }
        let mut pending: Vec<_> = pending.into_iter().collect();
        while !pending.is_empty() {
            let rest = pending.split_off(pending.len().min(OPPORTUNITIES_PER_TRANSACTION));
            self.write_transaction(&pending).await?;
            pending = rest;
        }
        Ok(())
    }

    async fn write_transaction(&self, pending: &[(&str, PendingChanges<'_>)]) -> Result<(), ProjectionError> {
        let mut transaction = self.client.begin_write(FillState::Complete).await?;
        let failed = |error| self.client.classify_error(error);
        let ids: Vec<_> = pending.iter().map(|(id, _)| *id).collect();
        let stored = self.load_entries(&mut transaction, &ids).await.map_err(failed)?;
        let awards = self.load_awards(&mut transaction, &ids).await.map_err(failed)?;
        let plan = plan_writes(pending, &stored, &awards);
        self.execute_plan(&mut transaction, &plan).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn load_entries(
        &self,
        connection: &mut PgConnection,
        ids: &[&str],
    ) -> Result<BTreeMap<String, StoredEntry>, sqlx::Error> {
        let sql = self.client.in_schema(include_str!("sql/load_counted_values.sql"));
        let rows = sqlx::query(&sql).bind(ids).fetch_all(connection).await?;
        let entry = |row: &sqlx::postgres::PgRow| {
            let values = CountedValues::from_row(row)?;
            Ok((row.try_get("id")?, StoredEntry { sequence: row.try_get("sequence")?, values }))
        };
        rows.iter().map(entry).collect()
    }

    async fn load_awards(&self, connection: &mut PgConnection, ids: &[&str]) -> Result<StoredAwards, sqlx::Error> {
        let sql = self.client.in_schema(include_str!("sql/load_awards.sql"));
        let mut awards = StoredAwards::new();
        for row in sqlx::query(&sql).bind(ids).fetch_all(connection).await? {
            let of_opportunity = awards.entry(row.try_get("opportunity_id")?).or_default();
            of_opportunity.insert(row.try_get("award_key")?, (row.try_get("sequence")?, row.try_get("amount_cents")?));
        }
        Ok(awards)
    }

    async fn execute_plan(&self, connection: &mut PgConnection, plan: &WritePlan<'_>) -> Result<(), sqlx::Error> {
        if !plan.entries.is_empty() {
            self.upsert_entries(connection, &plan.entries).await?;
        }
        if !plan.award_totals.is_empty() {
            let totals = &plan.award_totals;
            sqlx::query(&self.client.in_schema(include_str!("sql/update_award_totals.sql")))
                .bind(totals.iter().map(|(id, _)| *id).collect::<Vec<_>>())
                .bind(totals.iter().map(|(_, totals)| totals.count).collect::<Vec<_>>())
                .bind(totals.iter().map(|(_, totals)| totals.cents).collect::<Vec<_>>())
                .execute(&mut *connection)
                .await?;
        }
        if !plan.awards.is_empty() {
            let awards = &plan.awards;
            sqlx::query(&self.client.in_schema(include_str!("sql/upsert_awards.sql")))
                .bind(awards.iter().map(|award| award.opportunity_id.as_str()).collect::<Vec<_>>())
                .bind(awards.iter().map(|award| award.key.as_str()).collect::<Vec<_>>())
                .bind(awards.iter().map(|award| verify_bucket(&award.opportunity_id)).collect::<Vec<_>>())
                .bind(awards.iter().map(|award| award.sequence).collect::<Vec<_>>())
                .bind(awards.iter().map(|award| award.amount_cents).collect::<Vec<_>>())
                .execute(&mut *connection)
                .await?;
        }
        let changes = plan.counters.sorted_changes();
        for table in CounterTable::ALL {
            let of_table: Vec<_> = changes.iter().filter(|(key, _)| key.table() == table).collect();
            self.change_counters(connection, table, &of_table).await?;
        }
        Ok(())
    }

    /// Changes the counters of one table.
    async fn change_counters(
        &self,
        connection: &mut PgConnection,
        table: CounterTable,
        changes: &[&(CounterKey, CounterDelta)],
    ) -> Result<(), sqlx::Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let columns = |part: usize| -> (Vec<i16>, Vec<&str>) {
            let parts = changes.iter().filter_map(|(key, _)| key.0.get(part));
            parts.map(|part| (part.dimension, part.value.as_str())).unzip()
        };
        let sql = match table {
            CounterTable::UpToTwoValues => include_str!("sql/change_counters.sql"),
            CounterTable::ThreeValues => include_str!("sql/change_triple_counters.sql"),
        };
        let sql = self.client.in_schema(sql);
        let mut query = sqlx::query(&sql);
        for part in 0..table.key_parts() {
            let (dimensions, values) = columns(part);
            query = query.bind(dimensions).bind(values);
        }
        query
            .bind(changes.iter().map(|(_, delta)| delta.opportunities).collect::<Vec<_>>())
            .bind(changes.iter().map(|(_, delta)| delta.awarded).collect::<Vec<_>>())
            .bind(changes.iter().map(|(_, delta)| delta.cents.to_string()).collect::<Vec<_>>())
            .execute(connection)
            .await
            .map(drop)
    }

    async fn upsert_entries(
        &self,
        connection: &mut PgConnection,
        entries: &[(&ListEntry, AwardTotals)],
    ) -> Result<(), sqlx::Error> {
        /// The column of one field.
        fn column<'a, T>(entries: &[(&'a ListEntry, AwardTotals)], field: impl Fn(&'a ListEntry) -> T) -> Vec<T> {
            entries.iter().map(|(entry, _)| field(entry)).collect()
        }
        let terms = |entry: &ListEntry| {
            format_terms(&entry.title, entry.solicitation_number.as_deref(), entry.description.as_deref())
        };
        sqlx::query(&self.client.in_schema(include_str!("sql/upsert_opportunities.sql")))
            .bind(column(entries, |entry| entry.id.as_str()))
            .bind(column(entries, ListEntry::bucket))
            .bind(column(entries, |entry| entry.sequence))
            .bind(column(entries, |entry| entry.notice_id.as_str()))
            .bind(column(entries, |entry| entry.notice_type.as_str()))
            .bind(column(entries, |entry| entry.title.as_str()))
            .bind(column(entries, |entry| entry.description.as_deref()))
            .bind(column(entries, |entry| entry.solicitation_number.as_deref()))
            .bind(column(entries, |entry| entry.agency_code.as_str()))
            .bind(column(entries, |entry| entry.agency_name.as_str()))
            .bind(column(entries, |entry| entry.sub_tier.as_deref()))
            .bind(column(entries, |entry| entry.office.as_deref()))
            .bind(column(entries, |entry| entry.set_aside.as_deref()))
            .bind(column(entries, |entry| entry.naics.as_deref()))
            .bind(column(entries, ListEntry::naics_sector))
            .bind(column(entries, |entry| entry.psc.as_deref()))
            .bind(column(entries, |entry| entry.posted_at))
            .bind(column(entries, ListEntry::posted_rank))
            .bind(column(entries, |entry| entry.response_deadline))
            .bind(column(entries, |entry| entry.active))
            .bind(column(entries, |entry| entry.link.as_deref()))
            .bind(column(entries, |entry| entry.place_city.as_deref()))
            .bind(column(entries, |entry| entry.place_state.as_deref()))
            .bind(entries.iter().map(|(_, awards)| awards.count).collect::<Vec<_>>())
            .bind(entries.iter().map(|(_, awards)| awards.cents).collect::<Vec<_>>())
            .bind(column(entries, terms))
            .bind(column(entries, |entry| format_array(&entry.facets())))
            .execute(connection)
            .await
            .map(drop)
    }

    /// Whether the store returns this change, or a later one.
    pub(super) async fn contains_change(&self, change: &ListChange) -> Result<bool, QueryError> {
        // Over a writer's connection: the worker asks this after each batch, and must not wait for queries.
        let mut transaction = self.client.begin_scan().await?;
        let query = match change {
            ListChange::Details(entry) => {
                let sql = include_str!("sql/contains_details.sql");
                sqlx::query(&self.client.in_schema(sql))
                    .bind(&entry.id)
                    .bind(entry.sequence)
                    .fetch_one(&mut *transaction)
                    .await
            }
            ListChange::Award(award) => {
                let sql = include_str!("sql/contains_award.sql");
                sqlx::query(&self.client.in_schema(sql))
                    .bind(&award.opportunity_id)
                    .bind(&award.key)
                    .bind(award.sequence)
                    .fetch_one(&mut *transaction)
                    .await
            }
        };
        query.and_then(|row| row.try_get(0)).map_err(|error| self.client.query_error(error))
    }
}

/// The text form of an array: `unnest` has no arrays of arrays with different lengths.
fn format_array(values: &[String]) -> String {
    let quoted = values.iter().map(|value| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

/// Whether the values that are in indexes fit there.
fn check_key_size(change: &ListChange) -> Result<(), ProjectionError> {
    let (id, bytes) = match change {
        ListChange::Details(entry) => {
            let optional = [&entry.set_aside, &entry.naics, &entry.place_state].into_iter().flatten();
            let required = [&entry.id, &entry.agency_code, &entry.notice_type].into_iter();
            (&entry.id, required.chain(optional).map(String::len).sum())
        }
        ListChange::Award(award) => (&award.opportunity_id, award.opportunity_id.len() + award.key.len()),
    };
    if bytes <= MAX_KEY_BYTES {
        return Ok(());
    }
    Err(ProjectionError::rejected(KeyTooLong { id: id.chars().take(100).collect(), bytes }))
}

/// The newest changes of each opportunity.
fn collect_pending(changes: &[ListChange]) -> BTreeMap<&str, PendingChanges<'_>> {
    let mut pending = BTreeMap::<&str, PendingChanges<'_>>::new();
    for change in changes {
        let of_opportunity = pending.entry(change.opportunity_id()).or_default();
        match change {
            ListChange::Details(entry) => {
                if of_opportunity.details.is_none_or(|known| known.sequence < entry.sequence) {
                    of_opportunity.details = Some(entry);
                }
            }
            ListChange::Award(award) => {
                let newest = of_opportunity.awards.entry(&award.key).or_insert(award);
                if newest.sequence < award.sequence {
                    *newest = award;
                }
            }
        }
    }
    pending
}

fn plan_writes<'a>(
    pending: &'a [(&'a str, PendingChanges<'a>)],
    stored_entries: &BTreeMap<String, StoredEntry>,
    stored_awards: &StoredAwards,
) -> WritePlan<'a> {
    let (mut plan, no_awards) = (WritePlan::default(), BTreeMap::new());
    for (id, changes) in pending {
        let stored = stored_entries.get(*id);
        let known_awards = stored_awards.get(*id).unwrap_or(&no_awards);
        let is_newer =
            |award: &&&ListedAward| known_awards.get(&award.key).is_none_or(|(sequence, _)| *sequence < award.sequence);
        let new_awards: Vec<_> = changes.awards.values().filter(is_newer).copied().collect();
        let entry = changes.details.filter(|entry| stored.is_none_or(|stored| stored.sequence < entry.sequence));

        let mut amounts: BTreeMap<&str, Option<i64>> =
            known_awards.iter().map(|(key, (_, amount))| (key.as_str(), *amount)).collect();
        amounts.extend(new_awards.iter().map(|award| (award.key.as_str(), award.amount_cents)));
        let totals = AwardTotals::from_amounts(amounts.into_values());

        // Awards of an opportunity without details are stored, and count when it has some.
        let after = match (entry, stored) {
            (Some(entry), _) => Some(entry.counted_values(totals)),
            (None, Some(stored)) => Some(CountedValues { awards: totals, ..stored.values.clone() }),
            (None, None) => None,
        };
        if let Some(after) = after.filter(|after| stored.is_none_or(|stored| stored.values != *after)) {
            plan.counters.add(&after);
            if let Some(stored) = stored {
                plan.counters.subtract(&stored.values);
            }
        }
        match (entry, stored) {
            (Some(entry), _) => plan.entries.push((entry, totals)),
            (None, Some(stored)) if stored.values.awards != totals => plan.award_totals.push((*id, totals)),
            (None, _) => {}
        }
        plan.awards.extend(new_awards);
    }
    plan
}
