//! What one user did, or what was done on one page.

use chrono::{DateTime, Utc};
use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use super::OpportunityAnalytics;
use crate::QueryError;

const VISIT_ACTIONS: &str = include_str!("sql/acts.sql");

/// A page that was viewed or a link that was clicked: what visits tell, and what makes kept answers old.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct VisitAction {
    /// The event's identity.
    #[serde(with = "clickhouse::serde::uuid")]
    pub event_id: Uuid,
    /// `view` or `click`.
    pub kind: String,
    /// The opportunity that it was about; empty for none.
    pub opportunity_id: String,
    /// The visit.
    pub aggregate_id: String,
    /// Who did it; empty for who is not signed in.
    pub user_id: String,
    /// The page.
    pub page_url: String,
    /// Where a clicked link leads; empty where it leads nowhere.
    pub target_url: String,
    /// When.
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros")]
    pub at: DateTime<Utc>,
}

impl OpportunityAnalytics {
    /// The last acts of a tenant's user, on a page, or of that user on that page; the last first.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away or refuses.
    pub async fn list_visit_actions(
        &self,
        tenant: &str,
        user_id: Option<&str>,
        page_url: Option<&str>,
        first: u32,
    ) -> Result<Vec<VisitAction>, QueryError> {
        let query = self.client().query(VISIT_ACTIONS).bind(tenant);
        let query = query.bind(user_id.is_none()).bind(user_id.unwrap_or_default());
        let query = query.bind(page_url.is_none()).bind(page_url.unwrap_or_default()).bind(first);
        self.run_statement(query.fetch_all()).await
    }
}
