//! Reads the stored rows, for verify.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use clickhouse::{RowOwned, RowRead, query::Query};
use serde::Deserialize;

use super::{
    OpportunityAnalytics,
    award_row::AwardRow,
    engagement_row::EngagementRow,
    event_row::EventRow,
    generation_rows::{GeneratedSectionRow, GenerationRequestRow, GenerationResultRow},
    opportunity_row::OpportunityRow,
    retention_cutoffs::RetentionCutoffs,
    verify::{HOURS, MINUTES, award_row_key, engagement_row_key},
};
use crate::{QueryError, runtime::ReadModelRow};

/// The row that `figures_1m.sql` and `figures_1h.sql` select.
#[derive(Debug, clickhouse::Row, Deserialize)]
struct FigureRow {
    tenant_id: String,
    kind: String,
    opportunity_id: String,
    #[serde(with = "clickhouse::serde::chrono::datetime")]
    time: DateTime<Utc>,
    events: u64,
    users: u64,
    visits: u64,
}

impl OpportunityAnalytics {
    /// Reads the rows that belong to the streams of these buckets.
    pub(super) async fn stream_rows(
        &self,
        buckets: &RangeInclusive<u32>,
        cutoffs: RetentionCutoffs,
    ) -> Result<Vec<ReadModelRow>, QueryError> {
        let in_buckets = |query: &str| self.client().query(query).bind(buckets.start()).bind(buckets.end());
        let from = cutoffs.raw.timestamp_micros();
        let mut rows = Vec::new();
        let events = in_buckets(include_str!("sql/events_in_buckets.sql")).bind(from);
        self.collect_rows(&mut rows, events, |row: EventRow| ReadModelRow::new(EventRow::TABLE, row.event_id(), row))
            .await?;
        let engagement = in_buckets(include_str!("sql/engagement_in_buckets.sql")).bind(from);
        self.collect_rows(&mut rows, engagement, |row: EngagementRow| {
            ReadModelRow::new(EngagementRow::TABLE, row.event_id(), row)
        })
        .await?;
        let opportunities = in_buckets(include_str!("sql/opportunities_in_buckets.sql"));
        self.collect_rows(&mut rows, opportunities, |row: OpportunityRow| {
            let (id, dates) = (row.id().to_owned(), row.queried_dates());
            ReadModelRow::new(OpportunityRow::TABLE, id, (row, dates))
        })
        .await?;
        let awards = in_buckets(include_str!("sql/awards_in_buckets.sql"));
        self.collect_rows(&mut rows, awards, |row: AwardRow| {
            let (opportunity, key) = row.key();
            ReadModelRow::new(AwardRow::TABLE, award_row_key(opportunity, key), (&row, row.queried_dates()))
        })
        .await?;
        let requests = in_buckets(include_str!("sql/generation_requests_in_buckets.sql"));
        self.collect_rows(&mut rows, requests, |row: GenerationRequestRow| {
            ReadModelRow::new(GenerationRequestRow::TABLE, row.row_key(), row)
        })
        .await?;
        let sections = in_buckets(include_str!("sql/generated_sections_in_buckets.sql"));
        self.collect_rows(&mut rows, sections, |row: GeneratedSectionRow| {
            ReadModelRow::new(GeneratedSectionRow::TABLE, row.row_key(), row)
        })
        .await?;
        let results = in_buckets(include_str!("sql/generation_results_in_buckets.sql"));
        self.collect_rows(&mut rows, results, |row: GenerationResultRow| {
            ReadModelRow::new(GenerationResultRow::TABLE, row.row_key(), row)
        })
        .await?;
        Ok(rows)
    }

    /// Reads the figures by minute and by hour over all streams.
    pub(super) async fn total_rows(&self, cutoffs: RetentionCutoffs) -> Result<Vec<ReadModelRow>, QueryError> {
        let spans = [
            (MINUTES, include_str!("sql/figures_1m.sql"), cutoffs.minutes),
            (HOURS, include_str!("sql/figures_1h.sql"), cutoffs.hours),
        ];
        let mut rows = Vec::new();
        for (table, query, from) in spans {
            let query = self.client().query(query).bind(from.timestamp());
            self.collect_rows(&mut rows, query, |row: FigureRow| {
                let name = engagement_row_key(&row.tenant_id, &row.kind, &row.opportunity_id, row.time);
                ReadModelRow::new(table, name, (row.events, row.users, row.visits))
            })
            .await?;
        }
        Ok(rows)
    }

    /// Reads rows one by one, so that only their digests are in memory.
    async fn collect_rows<R>(
        &self,
        rows: &mut Vec<ReadModelRow>,
        query: Query,
        to_row: impl Fn(R) -> ReadModelRow,
    ) -> Result<(), QueryError>
    where
        R: RowOwned + RowRead,
    {
        let mut cursor = self.store().run_statement(async { query.fetch::<R>() }).await?;
        while let Some(next) = self.store().run_statement(cursor.next()).await? {
            rows.push(to_row(next));
        }
        Ok(())
    }
}
