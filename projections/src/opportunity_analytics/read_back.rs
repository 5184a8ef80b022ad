//! Reads the stored rows, for verify.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use clickhouse::{
    RowOwned, RowRead,
    query::{Query, RowCursor},
};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
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
use crate::{
    QueryError,
    runtime::{ReadModelRow, RowKey, RowScope, ScannedRow},
    storage::clickhouse::TIME_LIMIT_SETTING,
};

/// Rows that are read at once.
const PAGE_ROWS: usize = 1_000;

/// Keys of one query: its text is limited to 256 KiB.
const KEYS_PER_QUERY: usize = 2_000;

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

/// Rows, page by page: only their digests are in memory.
pub(super) type RowPages = BoxStream<'static, Result<Vec<ScannedRow>, QueryError>>;

/// Where the next page comes from.
enum PageSource<R> {
    Query(Query),
    Cursor(RowCursor<R>),
}

impl OpportunityAnalytics {
    /// Reads the rows that belong to the streams of these buckets.
    pub(super) fn stream_rows(&self, buckets: &RangeInclusive<u32>, cutoffs: RetentionCutoffs) -> RowPages {
        let in_buckets = |query: &str| self.streamed_query(query).bind(buckets.start()).bind(buckets.end());
        let from = cutoffs.raw.timestamp_micros();
        let events = in_buckets(include_str!("sql/events_in_buckets.sql")).bind(from);
        let engagement = in_buckets(include_str!("sql/engagement_in_buckets.sql")).bind(from);
        let opportunities = in_buckets(include_str!("sql/opportunities_in_buckets.sql"));
        let awards = in_buckets(include_str!("sql/awards_in_buckets.sql"));
        let requests = in_buckets(include_str!("sql/generation_requests_in_buckets.sql"));
        let sections = in_buckets(include_str!("sql/generated_sections_in_buckets.sql"));
        let results = in_buckets(include_str!("sql/generation_results_in_buckets.sql"));
        let tables = [
            self.read_pages(events, scan_event),
            self.read_pages(engagement, scan_engagement),
            self.read_pages(opportunities, scan_opportunity),
            self.read_pages(awards, |row| scan_award(&row)),
            self.read_pages(requests, scan_request),
            self.read_pages(sections, scan_section),
            self.read_pages(results, scan_result),
        ];
        stream::iter(tables).flatten().boxed()
    }

    /// Reads the figures by minute and by hour over all streams.
    pub(super) fn total_rows(&self, cutoffs: RetentionCutoffs) -> RowPages {
        let minutes = self.streamed_query(include_str!("sql/figures_1m.sql")).bind(cutoffs.minutes.timestamp());
        let hours = self.streamed_query(include_str!("sql/figures_1h.sql")).bind(cutoffs.hours.timestamp());
        let tables = [
            self.read_pages(minutes, |row| scan_figures(MINUTES, &row)),
            self.read_pages(hours, |row| scan_figures(HOURS, &row)),
        ];
        stream::iter(tables).flatten().boxed()
    }

    /// Reads the rows with these keys. Figures, and rows about proposal generations, are read as a whole.
    pub(super) fn rows_with_keys(&self, keys: &[RowKey], cutoffs: RetentionCutoffs) -> RowPages {
        let from = cutoffs.raw.timestamp_micros();
        let mut tables = vec![];
        let query_keys = |table: &str, query: &str| {
            let keys: Vec<&str> = keys.iter().filter(|key| key.table == table).map(|key| key.key.as_str()).collect();
            let queries = keys.chunks(KEYS_PER_QUERY).map(|keys| self.streamed_query(query).bind(keys));
            queries.collect::<Vec<_>>()
        };
        for query in query_keys(EventRow::TABLE, include_str!("sql/events_with_ids.sql")) {
            tables.push(self.read_pages(query.bind(from), scan_event));
        }
        for query in query_keys(EngagementRow::TABLE, include_str!("sql/engagement_with_ids.sql")) {
            tables.push(self.read_pages(query.bind(from), scan_engagement));
        }
        for query in query_keys(OpportunityRow::TABLE, include_str!("sql/opportunities_with_ids.sql")) {
            tables.push(self.read_pages(query, scan_opportunity));
        }
        for query in query_keys(AwardRow::TABLE, include_str!("sql/awards_with_keys.sql")) {
            tables.push(self.read_pages(query, |row| scan_award(&row)));
        }
        let has_any = |names: &[&str]| keys.iter().any(|key| names.contains(&key.table));
        if has_any(&[GenerationRequestRow::TABLE, GeneratedSectionRow::TABLE, GenerationResultRow::TABLE]) {
            let all = |query: &str| self.streamed_query(query).bind(0).bind(u32::MAX);
            let requests = all(include_str!("sql/generation_requests_in_buckets.sql"));
            let sections = all(include_str!("sql/generated_sections_in_buckets.sql"));
            let results = all(include_str!("sql/generation_results_in_buckets.sql"));
            tables.push(self.read_pages(requests, scan_request));
            tables.push(self.read_pages(sections, scan_section));
            tables.push(self.read_pages(results, scan_result));
        }
        if has_any(&[MINUTES, HOURS]) {
            tables.push(self.total_rows(cutoffs));
        }
        stream::iter(tables).flatten().boxed()
    }

    /// A query whose rows are read for as long as they come.
    fn streamed_query(&self, query: &str) -> Query {
        self.reader().query(query).with_setting(TIME_LIMIT_SETTING, "0")
    }

    fn read_pages<R>(&self, query: Query, to_row: impl Fn(R) -> ScannedRow + Send + 'static) -> RowPages
    where
        R: RowOwned + RowRead + Send + 'static,
    {
        let start = (self.store().clone(), PageSource::<R>::Query(query));
        let pages = stream::try_unfold(start, |(store, source)| async move {
            let mut cursor = match source {
                PageSource::Query(query) => store.run_statement(async { query.fetch::<R>() }).await?,
                PageSource::Cursor(cursor) => cursor,
            };
            let mut rows = Vec::new();
            store
                .run_statement(async {
                    while rows.len() < PAGE_ROWS
                        && let Some(row) = cursor.next().await?
                    {
                        rows.push(row);
                    }
                    Ok(())
                })
                .await?;
            let is_end = rows.is_empty();
            Ok((!is_end).then(|| (rows, (store, PageSource::Cursor(cursor)))))
        });
        pages.map_ok(move |rows: Vec<R>| rows.into_iter().map(&to_row).collect()).boxed()
    }
}

fn scan_event(row: EventRow) -> ScannedRow {
    let (scope, id) = (RowScope::of_stream(row.aggregate_id()), row.event_id());
    ScannedRow { scope, row: ReadModelRow::new(EventRow::TABLE, id, row) }
}

fn scan_engagement(row: EngagementRow) -> ScannedRow {
    let (scope, id) = (RowScope::of_stream(row.aggregate_id()), row.event_id());
    ScannedRow { scope, row: ReadModelRow::new(EngagementRow::TABLE, id, row) }
}

fn scan_opportunity(row: OpportunityRow) -> ScannedRow {
    let (scope, id, dates) = (RowScope::of_stream(row.id()), row.id().to_owned(), row.queried_dates());
    ScannedRow { scope, row: ReadModelRow::new(OpportunityRow::TABLE, id, (row, dates)) }
}

fn scan_award(row: &AwardRow) -> ScannedRow {
    let (opportunity, key) = row.key();
    let (scope, key) = (RowScope::of_stream(opportunity), award_row_key(opportunity, key));
    ScannedRow { scope, row: ReadModelRow::new(AwardRow::TABLE, key, (row, row.queried_dates())) }
}

fn scan_request(row: GenerationRequestRow) -> ScannedRow {
    let scope = RowScope::of_stream(row.aggregate_id());
    ScannedRow { scope, row: ReadModelRow::new(GenerationRequestRow::TABLE, row.row_key(), row) }
}

fn scan_section(row: GeneratedSectionRow) -> ScannedRow {
    let scope = RowScope::of_stream(row.aggregate_id());
    ScannedRow { scope, row: ReadModelRow::new(GeneratedSectionRow::TABLE, row.row_key(), row) }
}

fn scan_result(row: GenerationResultRow) -> ScannedRow {
    let scope = RowScope::of_stream(row.aggregate_id());
    ScannedRow { scope, row: ReadModelRow::new(GenerationResultRow::TABLE, row.row_key(), row) }
}

fn scan_figures(table: &'static str, row: &FigureRow) -> ScannedRow {
    let name = engagement_row_key(&row.tenant_id, &row.kind, &row.opportunity_id, row.time);
    let row = ReadModelRow::new(table, name, (row.events, row.users, row.visits));
    ScannedRow { scope: RowScope::Totals, row }
}
