//! Reads the stored rows, for verify.

use std::ops::RangeInclusive;

use futures::TryStreamExt as _;
use sqlx::{Row as _, postgres::PgRow};

use super::{
    OpportunityLists,
    count::KEY_COLUMNS,
    counter::{CounterDelta, CounterKey, CounterValue},
    list_change::ListedAward,
    list_entry::AwardTotals,
    search_terms::format_terms,
    verify::{award_row, counter_row, entry_row},
};
use crate::{ListEntry, QueryError, runtime::ReadModelRow};

impl OpportunityLists {
    /// Reads the rows of the opportunities of these buckets.
    pub(super) async fn stream_rows(&self, buckets: &RangeInclusive<u32>) -> Result<Vec<ReadModelRow>, QueryError> {
        let bound = |bucket: u32| i16::try_from(bucket).unwrap_or(i16::MAX);
        let (first, last) = (bound(*buckets.start()), bound(*buckets.end()));
        let failed = |error| self.client.query_error(error);
        let mut transaction = self.client.begin_scan().await?;
        let mut rows = Vec::new();
        let sql = self.client.in_schema(include_str!("sql/opportunities_in_buckets.sql"));
        let mut entries = sqlx::query(&sql).bind(first).bind(last).fetch(&mut *transaction);
        while let Some(row) = entries.try_next().await.map_err(failed)? {
            let (entry, awards) =
                (ListEntry::from_row(&row).map_err(failed)?, AwardTotals::from_row(&row).map_err(failed)?);
            let is_derived = has_derived_columns(&row, &entry).map_err(failed)?;
            rows.push(entry_row(&entry, awards, is_derived));
        }
        drop(entries);
        let sql = self.client.in_schema(include_str!("sql/awards_in_buckets.sql"));
        let mut awards = sqlx::query(&sql).bind(first).bind(last).fetch(&mut *transaction);
        while let Some(row) = awards.try_next().await.map_err(failed)? {
            rows.push(award_row(&read_award(&row).map_err(failed)?));
        }
        Ok(rows)
    }

    /// Reads the counters that are not zero.
    pub(super) async fn counter_rows(&self) -> Result<Vec<ReadModelRow>, QueryError> {
        let failed = |error| self.client.query_error(error);
        let mut transaction = self.client.begin_scan().await?;
        let sql = self.client.in_schema(include_str!("sql/counters_not_zero.sql"));
        let mut counters = sqlx::query(&sql).fetch(&mut *transaction);
        let mut rows = Vec::new();
        while let Some(row) = counters.try_next().await.map_err(failed)? {
            let (key, count) = read_counter(&row).map_err(failed)?;
            rows.push(counter_row(&key, &count));
        }
        Ok(rows)
    }
}

/// Whether the derived columns agree with the columns that they are derived from.
fn has_derived_columns(row: &PgRow, entry: &ListEntry) -> Result<bool, sqlx::Error> {
    let terms = format_terms(&entry.title, entry.solicitation_number.as_deref(), entry.description.as_deref());
    Ok(row.try_get::<i16, _>("bucket")? == entry.bucket()
        && row.try_get::<i64, _>("posted_rank")? == entry.posted_rank()
        && row.try_get::<Option<String>, _>("naics_sector")? == entry.naics_sector()
        && row.try_get::<Vec<String>, _>("facets")? == entry.facets()
        && row.try_get::<String, _>("terms")? == terms)
}

fn read_award(row: &PgRow) -> Result<ListedAward, sqlx::Error> {
    Ok(ListedAward {
        opportunity_id: row.try_get("opportunity_id")?,
        key: row.try_get("award_key")?,
        sequence: row.try_get("sequence")?,
        amount_cents: row.try_get("amount_cents")?,
    })
}

fn read_counter(row: &PgRow) -> Result<(CounterKey, CounterDelta), sqlx::Error> {
    let mut key = CounterKey::default();
    for (part, (dimension, value)) in key.0.iter_mut().zip(KEY_COLUMNS) {
        *part = CounterValue { dimension: row.try_get(dimension)?, value: row.try_get(value)? };
    }
    let cents: String = row.try_get("awarded_cents")?;
    let cents = cents.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok((key, CounterDelta { opportunities: row.try_get("opportunities")?, awarded: row.try_get("awarded")?, cents }))
}
