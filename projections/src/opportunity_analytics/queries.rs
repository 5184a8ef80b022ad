//! The handle to the read model, and its queries.

use std::collections::HashMap;

use clickhouse::Client;

use super::{
    AnalyticsCursor, AnalyticsItem, AnalyticsPage, OpportunitySelection, SelectionStats,
    analytics_page::{AwardTotalsRow, OpportunityIdRow},
    opportunity_row::OpportunityRow,
    retention_cutoffs::{ComparisonClock, RetentionCutoffs},
    stats::StatsRow,
};
use crate::{
    QueryError,
    runtime::ReadModelGeneration,
    storage::clickhouse::{ClickHouseClient, ClickHouseConfig},
};

const PAGE_IDS: &str = include_str!("sql/page_ids.sql");
const OPPORTUNITIES_BY_ID: &str = include_str!("sql/opportunities_by_id.sql");
const AWARD_TOTALS: &str = include_str!("sql/award_totals.sql");
const COUNT: &str = include_str!("sql/count.sql");
const STATS: &str = include_str!("sql/stats.sql");

/// The analysts' read model in one generation.
#[derive(Clone)]
pub struct OpportunityAnalytics {
    store: ClickHouseClient,
    config: ClickHouseConfig,
    generation: ReadModelGeneration,
    comparison_clock: ComparisonClock,
}

impl OpportunityAnalytics {
    /// Creates a client of the first generation; it connects at the first statement.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is invalid.
    pub fn new(config: &ClickHouseConfig) -> Result<Self, QueryError> {
        let store = ClickHouseClient::new(config, "analytics")?;
        Ok(Self::with_store(&store, config.clone(), ReadModelGeneration::FIRST))
    }

    /// The same read model in another generation.
    #[must_use]
    pub fn with_generation(&self, generation: ReadModelGeneration) -> Self {
        Self::with_store(&self.store, self.config.clone(), generation)
    }

    fn with_store(store: &ClickHouseClient, config: ClickHouseConfig, generation: ReadModelGeneration) -> Self {
        let store = store.with_database(config.database_name(generation));
        Self { store, config, generation, comparison_clock: ComparisonClock::default() }
    }

    /// Checks that the server responds.
    ///
    /// # Errors
    /// [`QueryError`] when it does not respond within the timeout.
    pub async fn ping(&self) -> Result<(), QueryError> {
        self.store.run_statement(self.server().query("select 1").fetch_one::<u8>()).await.map(drop)
    }

    /// Returns at most `first` of the selected opportunities after the cursor, newest first, and the total of the
    /// selection.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the query.
    pub async fn list_opportunities(
        &self,
        selection: &OpportunitySelection,
        after: Option<&AnalyticsCursor>,
        first: u32,
    ) -> Result<AnalyticsPage, QueryError> {
        let (posted_at, id) = after.map_or((i64::MAX, ""), |cursor| (cursor.posted_at_micros(), cursor.id()));
        let query = selection
            .build_query(self.reader(), PAGE_IDS)
            .bind(posted_at)
            .bind(posted_at)
            .bind(id)
            // One more row than the page has shows whether another page follows.
            .bind(u64::from(first) + 1);
        let rows: Vec<OpportunityIdRow> = self.store.run_statement(query.fetch_all()).await?;
        let total = match (rows.first(), after) {
            (Some(row), _) => row.total,
            (None, None) => 0,
            // The page is empty, so no row has the total, but there may be items before the cursor.
            (None, Some(_)) => {
                self.store.run_statement(selection.build_query(self.reader(), COUNT).fetch_one()).await?
            }
        };
        let has_next = rows.len() > first as usize;
        let ids: Vec<_> = rows.into_iter().take(first as usize).map(|row| row.id).collect();
        let items = if ids.is_empty() { vec![] } else { self.load_items(&ids).await? };
        Ok(AnalyticsPage { items, total, has_next })
    }

    /// Loads the opportunities with these ids, newest first.
    async fn load_items(&self, ids: &[String]) -> Result<Vec<AnalyticsItem>, QueryError> {
        let opportunities = self.reader().query(OPPORTUNITIES_BY_ID).bind(ids);
        let opportunities: Vec<OpportunityRow> = self.store.run_statement(opportunities.fetch_all()).await?;
        let totals = self.reader().query(AWARD_TOTALS).bind(ids);
        let totals: Vec<AwardTotalsRow> = self.store.run_statement(totals.fetch_all()).await?;
        let totals: HashMap<_, _> = totals.iter().map(|row| (row.opportunity_id.as_str(), row)).collect();
        let to_item = |row: OpportunityRow| {
            let awards = totals.get(row.id()).copied();
            row.into_item(awards)
        };
        Ok(opportunities.into_iter().map(to_item).collect())
    }

    /// Returns figures over the selected opportunities.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the query.
    pub async fn load_stats(&self, selection: &OpportunitySelection) -> Result<SelectionStats, QueryError> {
        let query = selection.build_query(self.reader(), STATS);
        Ok(SelectionStats::from_rows(self.store.run_statement(query.fetch_all::<StatsRow>()).await?))
    }

    /// Counts the stored events; an event that was written several times counts once.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the query.
    pub async fn count_events(&self) -> Result<u64, QueryError> {
        self.store.run_statement(self.reader().query("select count() from events final").fetch_one()).await
    }

    /// Counts the stored opportunities.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the query.
    pub async fn count_opportunities(&self) -> Result<u64, QueryError> {
        self.store.run_statement(self.reader().query("select count() from opportunities final").fetch_one()).await
    }

    pub(super) fn store(&self) -> &ClickHouseClient {
        &self.store
    }

    /// The client without a database.
    pub(super) fn server(&self) -> &Client {
        self.store.server()
    }

    /// The client of this generation's database, for what writes.
    pub(super) fn client(&self) -> &Client {
        self.store.client()
    }

    /// The client of this generation's database for queries.
    pub(super) fn reader(&self) -> &Client {
        self.store.reader()
    }

    /// The name of this generation's database.
    pub fn database(&self) -> String {
        self.store.database().to_owned()
    }

    /// The database that analysts query.
    pub(super) fn analyst_database(&self) -> &str {
        &self.config.database
    }

    pub(super) fn generation(&self) -> ReadModelGeneration {
        self.generation
    }

    pub(super) fn config(&self) -> &ClickHouseConfig {
        &self.config
    }

    /// The cutoffs of the comparison that this handle is for.
    pub(super) fn comparison_cutoffs(&self) -> RetentionCutoffs {
        RetentionCutoffs::from_config(self.comparison_clock.started_at(), &self.config)
    }
}
