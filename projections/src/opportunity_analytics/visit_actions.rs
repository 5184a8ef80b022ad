//! The views and clicks of one user, or on one page.

use chrono::{DateTime, Utc};
use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use super::OpportunityAnalytics;
use crate::QueryError;

const VISIT_ACTIONS: &str = include_str!("sql/visit_actions.sql");

/// A page view or a click in a visit.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct VisitAction {
    /// Id of the event.
    #[serde(with = "clickhouse::serde::uuid")]
    pub event_id: Uuid,
    /// `view` or `click`.
    pub kind: String,
    /// Id of the opportunity that it concerns; empty for none.
    pub opportunity_id: String,
    /// Id of the visit.
    pub aggregate_id: String,
    /// Id of the user; empty for an anonymous one.
    pub user_id: String,
    /// URL of the page.
    pub page_url: String,
    /// Target of the clicked link; empty for none.
    pub target_url: String,
    /// Time of the view or click.
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros")]
    pub at: DateTime<Utc>,
}

impl OpportunityAnalytics {
    /// Returns at most `first` views and clicks of a tenant, latest first, restricted to a user and a page if these
    /// are given.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects the query.
    pub async fn list_visit_actions(
        &self,
        tenant: &str,
        user_id: Option<&str>,
        page_url: Option<&str>,
        first: u32,
    ) -> Result<Vec<VisitAction>, QueryError> {
        let query = self.reader().query(VISIT_ACTIONS).bind(tenant);
        let query = query.bind(user_id.is_none()).bind(user_id.unwrap_or_default());
        let query = query.bind(page_url.is_none()).bind(page_url.unwrap_or_default()).bind(first);
        self.store().run_statement(query.fetch_all()).await
    }
}
