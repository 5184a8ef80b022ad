//! The handle to the read model, and its queries.

use super::{
    FacetCount, FacetDimension, OpportunityListRequest, OpportunityPage, SelectionStats, TotalCount,
    selection::ListSelection,
};
use crate::{
    OpportunityCriteria, QueryError,
    runtime::ReadModelGeneration,
    storage::{
        count_query,
        postgres::{ListsConfig, PostgresClient},
    },
};

/// Name of the read model in metrics and errors.
const READ_MODEL: &str = "lists";

/// The lists of opportunities in one generation.
#[derive(Clone)]
pub struct OpportunityLists {
    pub(super) client: PostgresClient,
    schema_prefix: String,
    has_own_database: bool,
}

impl OpportunityLists {
    /// Creates a client of the first generation; it connects at the first statement. `event_store_url` is the database
    /// unless the settings name another.
    ///
    /// # Errors
    /// [`QueryError`] when the URL or the prefix of the schemas is invalid.
    pub fn new(config: &ListsConfig, event_store_url: &str) -> Result<Self, QueryError> {
        config.check_schema_prefix().map_err(QueryError::postgres)?;
        let url = config.database_url.as_deref().unwrap_or(event_store_url);
        let client = PostgresClient::new(config, url, READ_MODEL)?;
        let schema_prefix = config.schema_prefix.clone();
        let has_own_database = config.database_url.is_some();
        Ok(Self { client, schema_prefix, has_own_database }.with_generation(ReadModelGeneration::FIRST))
    }

    /// The same read model in another generation.
    #[must_use]
    pub fn with_generation(&self, generation: ReadModelGeneration) -> Self {
        let schema = format!("{}{generation}", self.schema_prefix);
        Self { client: self.client.with_schema(schema), ..self.clone() }
    }

    /// Whether the settings name a separate database beside the event store's.
    pub fn has_own_database(&self) -> bool {
        self.has_own_database
    }

    /// The name of this generation's schema.
    pub fn schema(&self) -> &str {
        self.client.schema()
    }

    /// Checks that the server responds.
    ///
    /// # Errors
    /// [`QueryError`] when it does not respond in time.
    pub async fn ping(&self) -> Result<(), QueryError> {
        self.client.ping().await
    }

    /// Whether this generation was marked as complete.
    ///
    /// # Errors
    /// [`QueryError`] when the server does not respond, or the schema does not exist.
    pub async fn is_marked_complete(&self) -> Result<bool, QueryError> {
        self.client.is_marked_complete().await
    }

    /// Marks this generation as complete: it has once contained everything that was on record.
    ///
    /// # Errors
    /// [`QueryError`] when the server does not respond, or the schema does not exist.
    pub async fn mark_complete(&self) -> Result<(), QueryError> {
        self.client.mark_complete().await
    }

    /// Returns one page of a list: by one statement where that can be, else in a transaction. The page and the number
    /// of opportunities, if requested, are read from one state of the list.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or refuses the query.
    pub async fn fetch_page(&self, request: &OpportunityListRequest) -> Result<OpportunityPage, QueryError> {
        let failed = |error| self.client.query_error(error);
        let query = async {
            if let Some(page) = self.fetch_page_by_statement(request).await.map_err(failed)? {
                count_query(READ_MODEL);
                return Ok(page);
            }
            let mut reader = self.begin_read().await?;
            let selection =
                reader.resolve_selection(&request.criteria, request.text.as_deref()).await.map_err(failed)?;
            reader.fetch_page(&selection, request).await.map_err(failed)
        };
        self.client.limit_wait(query).await
    }

    /// Counts the selected opportunities by the values of each dimension, the most frequent value first. An
    /// opportunity must contain all words of `text`. The restriction of a dimension applies to its own counts, too.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or refuses the query.
    pub async fn fetch_facets(
        &self,
        criteria: &OpportunityCriteria,
        text: Option<&str>,
        dimensions: &[FacetDimension],
    ) -> Result<Vec<FacetCount>, QueryError> {
        let failed = |error| self.client.query_error(error);
        let query = async {
            let mut reader = self.begin_read().await?;
            let selection = reader.resolve_selection(criteria, text).await.map_err(failed)?;
            reader.fetch_facets(&selection, dimensions).await.map_err(failed)
        };
        self.client.limit_wait(query).await
    }

    /// Returns figures over the selected opportunities.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or refuses the query.
    pub async fn fetch_statistics(
        &self,
        criteria: &OpportunityCriteria,
        text: Option<&str>,
    ) -> Result<SelectionStats, QueryError> {
        let failed = |error| self.client.query_error(error);
        let query = async {
            let mut reader = self.begin_read().await?;
            let selection = reader.resolve_selection(criteria, text).await.map_err(failed)?;
            reader.fetch_statistics(&selection).await.map_err(failed)
        };
        self.client.limit_wait(query).await
    }

    /// Counts the stored opportunities.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or refuses the query.
    pub async fn count_opportunities(&self) -> Result<u64, QueryError> {
        let query = async {
            let mut reader = self.begin_read().await?;
            let count = reader.count_selection(&ListSelection::default()).await;
            count.map(|TotalCount { count, .. }| count).map_err(|error| self.client.query_error(error))
        };
        self.client.limit_wait(query).await
    }

    async fn begin_read(&self) -> Result<ListReader<'_>, QueryError> {
        count_query(READ_MODEL);
        Ok(ListReader { client: &self.client, transaction: self.client.begin_read().await? })
    }
}

/// A transaction that reads one state of the lists.
pub(super) struct ListReader<'a> {
    pub(super) client: &'a PostgresClient,
    pub(super) transaction: sqlx::Transaction<'static, sqlx::Postgres>,
}
