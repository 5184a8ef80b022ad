//! Writes a batch: `events` last, the other tables before it, concurrently.

use clickhouse::{RowOwned, RowWrite};
use uuid::Uuid;

use super::{
    OpportunityAnalytics, award_row::AwardRow, engagement_row::EngagementRow, event_row::EventRow,
    opportunity_row::OpportunityRow, projection::AnalyticsChange,
};
use crate::runtime::ProjectionError;

/// The rows of a batch by table.
#[derive(Default)]
struct RowsByTable<'a> {
    events: Vec<&'a EventRow>,
    opportunities: Vec<&'a OpportunityRow>,
    awards: Vec<&'a AwardRow>,
    engagement: Vec<&'a EngagementRow>,
}

impl<'a> RowsByTable<'a> {
    fn from_changes(changes: &'a [AnalyticsChange]) -> Self {
        let mut sorted = Self::default();
        for change in changes {
            match change {
                AnalyticsChange::Event(row) => sorted.events.push(row),
                AnalyticsChange::Opportunity(row) => sorted.opportunities.push(row),
                AnalyticsChange::Award(row) => sorted.awards.push(row),
                AnalyticsChange::Engagement(row) => sorted.engagement.push(row),
            }
        }
        sorted
    }
}

impl OpportunityAnalytics {
    pub(super) async fn write_changes(&self, changes: &[AnalyticsChange]) -> Result<(), ProjectionError> {
        let batch = RowsByTable::from_changes(changes);
        let token = deduplication_token(&batch.events);
        tokio::try_join!(
            self.insert_rows(OpportunityRow::TABLE, &batch.opportunities, token),
            self.insert_rows(AwardRow::TABLE, &batch.awards, token),
            // Without a token: a batch that the table already has would not reach the aggregates that depend on it,
            // even if it was they that failed the first time. A repeated event does not change them.
            self.insert_rows(EngagementRow::TABLE, &batch.engagement, None),
        )?;
        // `events` last: a reader that finds an event there may rely on the event's rows in the other tables.
        self.insert_rows(EventRow::TABLE, &batch.events, token).await
    }

    async fn insert_rows<R>(&self, table: &str, rows: &[&R], token: Option<Uuid>) -> Result<(), ProjectionError>
    where
        R: RowOwned + RowWrite,
    {
        if rows.is_empty() {
            return Ok(());
        }
        let timeout = Some(self.store().timeout());
        let written = async {
            let mut insert = self.client().insert::<R>(table).await?.with_timeouts(timeout, timeout);
            // A rebuild inserts rows of many monthly partitions at once.
            insert = insert.with_setting("max_partitions_per_insert_block", "0");
            if let Some(token) = token {
                insert = insert.with_setting("insert_deduplication_token", format!("{table}-{token}"));
            }
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        };
        written.await.map_err(|error| self.store().classify_error(error))
    }
}

/// Derives a token from the events of a batch, so that a batch whose response was lost is not stored twice.
fn deduplication_token(facts: &[&EventRow]) -> Option<Uuid> {
    let ids: Vec<u8> = facts.iter().flat_map(|fact| fact.event_id().into_bytes()).collect();
    (!ids.is_empty()).then(|| Uuid::new_v5(&Uuid::NAMESPACE_OID, &ids))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{discovered, recorded_event};

    #[test]
    fn a_batch_is_named_by_its_events() {
        let one = EventRow::from_event(&recorded_event(1, &discovered("x")));
        let two = EventRow::from_event(&recorded_event(2, &discovered("x")));
        assert_eq!(deduplication_token(&[&one, &two]), deduplication_token(&[&one, &two]));
        assert_ne!(deduplication_token(&[&one, &two]), deduplication_token(&[&one]));
        assert_eq!(deduplication_token(&[]), None);
    }
}
