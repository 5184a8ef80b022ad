//! The projection of events to `ClickHouse` rows.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use domain::{
    context::BoundedContext,
    envelope::RawEnvelope,
    opportunity::{Opportunity, OpportunityContent, OpportunityEvent},
};

use super::{
    analytics_scan::{AnalyticsScan, collect_rows},
    award_row::AwardRow,
    engagement_row::{EngagementRow, is_engagement},
    event_row::EventRow,
    generation_rows::{
        GeneratedSectionRow, GenerationRequestRow, GenerationResultRow, is_generation_event, project_generation,
    },
    opportunity_row::OpportunityRow,
    queries::OpportunityAnalytics,
    retention_cutoffs::{self, RetentionCutoffs},
    verify::{AnalyticsStreamFold, AnalyticsTotalsFold},
};
use crate::{
    QueryError,
    runtime::{
        BatchLimits, Projection, ProjectionError, ReadModelFold, ReadModelGeneration, ReadModelRow, RowScan,
        ScopeSelection, VerifyScope,
    },
};

/// One row to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnalyticsChange {
    /// A row of `events`: every event has one.
    Event(Box<EventRow>),
    /// A row of `opportunities`: the details of the current notice.
    Opportunity(Box<OpportunityRow>),
    /// A row of `awards`.
    Award(Box<AwardRow>),
    /// A row of `engagement`: a view, a click, a save or an unsave.
    Engagement(Box<EngagementRow>),
    /// A row of `generation_requests`.
    GenerationRequest(Box<GenerationRequestRow>),
    /// A row of `generated_sections`.
    GeneratedSection(Box<GeneratedSectionRow>),
    /// A row of `generation_results`: the end or a rating.
    GenerationResult(Box<GenerationResultRow>),
}

impl Projection for OpportunityAnalytics {
    const NAME: &'static str = "analytics";

    const STORE: &'static str = "clickhouse";

    // Every row belongs to one event or one stream.
    const CONCURRENT_WRITES: usize = 2;

    type Change = AnalyticsChange;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &BoundedContext::ALL
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 10_000, linger: Duration::from_millis(50), rebuild_events: 40_000 }
    }

    fn with_generation(&self, generation: ReadModelGeneration) -> Self {
        self.with_generation(generation)
    }

    fn project(event: &RawEnvelope) -> Result<Vec<AnalyticsChange>, ProjectionError> {
        let mut changes = Vec::with_capacity(2);
        if event.aggregate_type == <Opportunity as cqrs_es::Aggregate>::TYPE {
            changes.extend(project_opportunity(event)?);
        } else if is_engagement(event) {
            let row = EngagementRow::from_event(event).map_err(ProjectionError::poison)?;
            changes.push(AnalyticsChange::Engagement(Box::new(row)));
        } else if is_generation_event(event) {
            changes.push(project_generation(event)?);
        }
        // Last, because `events` is written last: a database that has this row has the event's other rows, too.
        changes.push(AnalyticsChange::Event(Box::new(EventRow::from_event(event))));
        Ok(changes)
    }

    async fn apply(&self, changes: &[AnalyticsChange]) -> Result<(), ProjectionError> {
        self.write_changes(changes).await
    }

    async fn is_applied(&self, change: &AnalyticsChange) -> Result<bool, QueryError> {
        match change {
            AnalyticsChange::Event(row) if row.recorded_at() >= self.retained_since() => self.contains_event(row).await,
            // A row that may have expired is not checked, because its absence proves nothing. The other changes are not
            // checked, because the row in `events`, always the last change, is written after them.
            AnalyticsChange::Event(_)
            | AnalyticsChange::Opportunity(_)
            | AnalyticsChange::Award(_)
            | AnalyticsChange::Engagement(_)
            | AnalyticsChange::GenerationRequest(_)
            | AnalyticsChange::GeneratedSection(_)
            | AnalyticsChange::GenerationResult(_) => Ok(true),
        }
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.ping().await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.migrate().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        let placement = self.load_placement().await?;
        self.withdraw_views(&placement).await?;
        self.store().drop_databases(&placement).await
    }

    async fn switch_direct_readers(&self) -> Result<(), QueryError> {
        self.publish_views().await
    }

    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold> {
        let cutoffs = self.comparison_cutoffs();
        match scope {
            VerifyScope::Buckets(_) => Box::new(AnalyticsStreamFold::new(scope.clone(), cutoffs)),
            VerifyScope::Totals => Box::new(AnalyticsTotalsFold::new(cutoffs)),
        }
    }

    async fn read_back(&self, scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        let cutoffs = self.comparison_cutoffs();
        collect_rows(match scope {
            VerifyScope::Buckets(buckets) => self.stream_rows(buckets, cutoffs),
            VerifyScope::Totals => self.total_rows(cutoffs),
        })
        .await
    }

    // Each query for some buckets goes through a whole table.
    fn scan_store(&self, scopes: ScopeSelection) -> Option<Box<dyn RowScan>> {
        Some(Box::new(AnalyticsScan::new(self.clone(), scopes)))
    }
}

impl OpportunityAnalytics {
    /// The time of recording after which events cannot have expired.
    fn retained_since(&self) -> DateTime<Utc> {
        RetentionCutoffs::from_config(retention_cutoffs::now(), self.config()).raw
    }

    async fn contains_event(&self, row: &EventRow) -> Result<bool, QueryError> {
        let (tenant, context, event_type, recorded_at, event_id) = row.sorting_key();
        let query =
            self.reader().query(include_str!("sql/contains_event.sql")).bind(tenant).bind(context).bind(event_type);
        self.store().run_statement(query.bind(recorded_at).bind(event_id.to_string()).fetch_one()).await
    }
}

fn project_opportunity(event: &RawEnvelope) -> Result<Option<AnalyticsChange>, ProjectionError> {
    let payload = event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?;
    Ok(payload.into_content().map(|content| match content {
        OpportunityContent::CurrentNotice { filing, details } => AnalyticsChange::Opportunity(Box::new(
            OpportunityRow::from_event(event, &filing, Arc::unwrap_or_clone(details)),
        )),
        OpportunityContent::Award { key, award } => {
            AnalyticsChange::Award(Box::new(AwardRow::from_event(event, key, award)))
        }
    }))
}

#[cfg(test)]
mod tests;
