//! What the log's events become in `ClickHouse`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clickhouse::sql::Identifier;
use domain::{
    context::Context,
    envelope::RawRecorded,
    opportunity::{Opportunity, OpportunityEvent, Standing},
};

use super::{
    award::AwardRow,
    engagement::{EngagementRow, is_engagement},
    expiry::{self, Kept},
    fact::FactRow,
    fold::{StreamFold, TotalsFold},
    opportunity::OpportunityRow,
    store::Analytics,
};
use crate::{
    QueryError,
    runtime::{Fold, Generation, Pace, Projection, ProjectionError, Row, Scope},
};

/// One row to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnalyticsChange {
    /// An event took place.
    Fact(Box<FactRow>),
    /// An opportunity's current facts.
    Opportunity(Box<OpportunityRow>),
    /// What is known about an award.
    Award(Box<AwardRow>),
    /// What somebody did.
    Engagement(Box<EngagementRow>),
}

impl Projection for Analytics {
    const NAME: &'static str = "analytics";

    type Change = AnalyticsChange;

    fn subscribes() -> &'static [Context] {
        &Context::ALL
    }

    fn pace() -> Pace {
        Pace { batch_events: 10_000, linger: Duration::from_millis(100), rebuild_events: 40_000 }
    }

    fn at(&self, generation: Generation) -> Self {
        self.at(generation)
    }

    fn project(event: &RawRecorded) -> Result<Vec<AnalyticsChange>, ProjectionError> {
        let mut changes = Vec::with_capacity(2);
        if event.aggregate_type == <Opportunity as cqrs_es::Aggregate>::TYPE {
            changes.extend(opportunity_change(event)?);
        } else if is_engagement(event) {
            let row = EngagementRow::of(event).map_err(ProjectionError::poison)?;
            changes.push(AnalyticsChange::Engagement(Box::new(row)));
        }
        // Last, because facts are written last: a store that has it has the others.
        changes.push(AnalyticsChange::Fact(Box::new(FactRow::of(event))));
        Ok(changes)
    }

    async fn apply(&self, changes: &[AnalyticsChange]) -> Result<(), ProjectionError> {
        self.write(changes).await
    }

    async fn holds(&self, change: &AnalyticsChange) -> Result<bool, QueryError> {
        match change {
            AnalyticsChange::Fact(fact) if fact.recorded_at() >= self.lasting_from() => self.holds_fact(fact).await,
            // What the server may have removed by its age tells nothing. Every event ends with its fact.
            AnalyticsChange::Fact(_)
            | AnalyticsChange::Opportunity(_)
            | AnalyticsChange::Award(_)
            | AnalyticsChange::Engagement(_) => Ok(true),
        }
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.ping().await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.migrate().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.hide().await?;
        // Not `sync`: the names are free at once, and the embedded engine never answers that it removed the files.
        let drop = self.server().query("drop database if exists ?").bind(Identifier(&self.database()));
        self.run(drop.execute()).await
    }

    async fn publish(&self) -> Result<(), QueryError> {
        self.show().await
    }

    fn fold(&self, scope: &Scope) -> Box<dyn Fold> {
        let kept = self.begin_comparison();
        match scope {
            Scope::Buckets(_) => Box::new(StreamFold::new(scope.clone(), kept)),
            Scope::Totals => Box::new(TotalsFold::new(kept)),
        }
    }

    async fn read_back(&self, scope: &Scope) -> Result<Vec<Row>, QueryError> {
        match scope {
            Scope::Buckets(buckets) => self.stream_rows(buckets, self.compared()).await,
            Scope::Totals => self.total_rows(self.compared()).await,
        }
    }
}

impl Analytics {
    /// Facts of that time and later are surely still there.
    fn lasting_from(&self) -> DateTime<Utc> {
        Kept::at(expiry::now(), self.config()).raw
    }

    async fn holds_fact(&self, fact: &FactRow) -> Result<bool, QueryError> {
        let (tenant, context, event_type, recorded_at, event_id) = fact.sorting_key();
        let query = self.client().query(include_str!("sql/holds.sql")).bind(tenant).bind(context).bind(event_type);
        self.run(query.bind(recorded_at).bind(event_id.to_string()).fetch_one()).await
    }
}

fn opportunity_change(event: &RawRecorded) -> Result<Option<AnalyticsChange>, ProjectionError> {
    let payload = event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?;
    Ok(match payload {
        OpportunityEvent::Discovered { filing, facts }
        | OpportunityEvent::Amended { filing, standing: Standing::Current, facts } => {
            Some(AnalyticsChange::Opportunity(Box::new(OpportunityRow::of(
                event,
                &filing.notice_id,
                filing.posted_at,
                *facts,
            ))))
        }
        OpportunityEvent::Awarded { key, award } => {
            Some(AnalyticsChange::Award(Box::new(AwardRow::of(event, key, award))))
        }
        // An earlier notice changes no current fact; a new deadline is part of the amendment before it.
        OpportunityEvent::Amended { standing: Standing::Earlier, .. }
        | OpportunityEvent::DeadlineChanged { .. }
        | OpportunityEvent::Cancelled { .. }
        | OpportunityEvent::Archived { .. } => None,
    })
}

#[cfg(test)]
mod tests;
