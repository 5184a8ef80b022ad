//! What the log's events become in `ClickHouse`.

use std::time::Duration;

use clickhouse::{RowOwned, RowWrite, sql::Identifier};
use domain::{
    context::Context,
    envelope::RawRecorded,
    opportunity::{Opportunity, OpportunityEvent, Standing},
};
use uuid::Uuid;

use super::{award::AwardRow, compare::AnalyticsFold, fact::FactRow, opportunity::OpportunityRow, store::Analytics};
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
}

impl Projection for Analytics {
    const NAME: &'static str = "analytics";

    type Change = AnalyticsChange;

    fn subscribes() -> &'static [Context] {
        &Context::ALL
    }

    fn pace() -> Pace {
        Pace { batch_events: 10_000, linger: Duration::from_millis(100), rebuild_events: 20_000 }
    }

    fn at(&self, generation: Generation) -> Self {
        self.at(generation)
    }

    fn project(event: &RawRecorded) -> Result<Vec<AnalyticsChange>, ProjectionError> {
        let mut changes = vec![AnalyticsChange::Fact(Box::new(FactRow::of(event)))];
        if event.aggregate_type == <Opportunity as cqrs_es::Aggregate>::TYPE {
            changes.extend(opportunity_change(event)?);
        }
        Ok(changes)
    }

    async fn apply(&self, changes: &[AnalyticsChange]) -> Result<(), ProjectionError> {
        let (mut facts, mut opportunities, mut awards) = (vec![], vec![], vec![]);
        for change in changes {
            match change {
                AnalyticsChange::Fact(row) => facts.push(&**row),
                AnalyticsChange::Opportunity(row) => opportunities.push(&**row),
                AnalyticsChange::Award(row) => awards.push(&**row),
            }
        }
        let token = batch_token(&facts);
        // Facts last: whoever counts them may expect the other tables to be as far.
        self.write(OpportunityRow::TABLE, &opportunities, token).await?;
        self.write(AwardRow::TABLE, &awards, token).await?;
        self.write(FactRow::TABLE, &facts, token).await
    }

    async fn holds(&self, change: &AnalyticsChange) -> Result<bool, QueryError> {
        match change {
            AnalyticsChange::Fact(row) => self.has_fact(row).await,
            AnalyticsChange::Opportunity(row) => self.has_opportunity(row).await,
            AnalyticsChange::Award(row) => self.has_award(row).await,
        }
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.ping().await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.migrate().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        // Not `sync`: the server gives the space back when no query reads the tables any more, and that may take minutes.
        let drop = self.server().query("drop database if exists ?").bind(Identifier(&self.database()));
        self.run(drop.execute()).await
    }

    fn fold(&self, scope: &Scope) -> Box<dyn Fold> {
        AnalyticsFold::of(scope, self.oldest_fact())
    }

    async fn read_back(&self, scope: &Scope) -> Result<Vec<Row>, QueryError> {
        self.rows(scope).await
    }
}

impl Analytics {
    async fn write<R>(&self, table: &str, rows: &[&R], token: Option<Uuid>) -> Result<(), ProjectionError>
    where
        R: RowOwned + RowWrite,
    {
        if rows.is_empty() {
            return Ok(());
        }
        let timeout = Some(self.timeout());
        let written = async {
            let mut insert = self.client().insert::<R>(table).await?.with_timeouts(timeout, timeout);
            if let Some(token) = token {
                insert = insert.with_setting("insert_deduplication_token", format!("{table}-{token}"));
            }
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        };
        written.await.map_err(ProjectionError::unavailable)
    }
}

fn opportunity_change(event: &RawRecorded) -> Result<Option<AnalyticsChange>, ProjectionError> {
    let payload = event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?.payload;
    Ok(match payload {
        OpportunityEvent::Discovered { filing, facts }
        | OpportunityEvent::Amended { filing, standing: Standing::Current, facts } => {
            Some(AnalyticsChange::Opportunity(Box::new(OpportunityRow::of(event, &filing, *facts))))
        }
        OpportunityEvent::Awarded { key, award } => {
            Some(AnalyticsChange::Award(Box::new(AwardRow::of(event, key, award))))
        }
        // An earlier notice changes no current fact; a new deadline is part of the amendment before it.
        OpportunityEvent::Amended { standing: Standing::Earlier, .. } | OpportunityEvent::DeadlineChanged { .. } => {
            None
        }
    })
}

/// Names a batch by its events, so that a batch whose answer was lost is not stored twice.
fn batch_token(facts: &[&FactRow]) -> Option<Uuid> {
    let ids: Vec<u8> = facts.iter().flat_map(|fact| fact.event_id().into_bytes()).collect();
    (!ids.is_empty()).then(|| Uuid::new_v5(&Uuid::NAMESPACE_OID, &ids))
}

#[cfg(test)]
mod tests;
