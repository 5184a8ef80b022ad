//! The handle to the read model, its keys and its queries.

use projections::{
    QueryError,
    runtime::Projection as _,
    storage::redis::{RedisClient, RedisConfig, StateKey, StateStoreOptions, VersionedStateStore},
};

/// Prefix of the names of states.
pub(super) const OPPORTUNITY: &str = "opportunity:";
/// Name of an agency's figures, and its fields.
pub(super) const FIGURES: &str = "figures";
pub(super) const OPPORTUNITIES: &str = "opportunities";
pub(super) const NOTICES: &str = "notices";

/// Figures of agencies in one generation. The state of an opportunity is its number of notices.
#[derive(Clone)]
pub struct AgencyFigures {
    pub(super) store: VersionedStateStore<i64>,
}

/// Figures of one agency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AgencyTotals {
    /// Number of its opportunities.
    pub opportunities: u64,
    /// Number of notices about them, with every new wording.
    pub notices: u64,
}

impl AgencyFigures {
    /// Creates a client of the first generation; it connects at the first command. Requires a Tokio runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is invalid.
    pub fn new(config: &RedisConfig) -> Result<Self, QueryError> {
        let options = StateStoreOptions {
            read_model: Self::NAME,
            prefix: format!("{}agencies:", config.key_prefix),
            // Agencies are added with their first event.
            fixed_tags: vec![],
            cache_mb: config.cache_mb,
        };
        Ok(Self { store: VersionedStateStore::new(RedisClient::new(config)?, options) })
    }

    /// Returns the figures of an agency by its code; zeros for an unknown one.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn totals(&self, agency: &str) -> Result<AgencyTotals, QueryError> {
        let key = self.figures_key(agency);
        let mut pipeline = redis::pipe();
        pipeline.hget(&key, OPPORTUNITIES).hget(&key, NOTICES);
        let (opportunities, notices): (Option<u64>, Option<u64>) = self.store.run_pipeline(&pipeline).await?;
        Ok(AgencyTotals { opportunities: opportunities.unwrap_or_default(), notices: notices.unwrap_or_default() })
    }

    pub(super) fn state_key(&self, stream: &str) -> StateKey {
        self.store.state_key(agency_code(stream), &format!("{OPPORTUNITY}{stream}"))
    }

    pub(super) fn figures_key(&self, agency: &str) -> String {
        self.store.key(agency, FIGURES)
    }
}

/// The agency of an opportunity's stream.
pub(super) fn agency_code(stream: &str) -> &str {
    stream.split_once(':').map_or(stream, |(agency, _)| agency)
}
