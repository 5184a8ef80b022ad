//! Writes a batch: first the other tables, concurrently, then `events`.

use clickhouse::{RowOwned, RowWrite};
use uuid::Uuid;

use super::{
    OpportunityAnalytics,
    award_row::AwardRow,
    engagement_row::EngagementRow,
    event_row::EventRow,
    generation_rows::{GeneratedSectionRow, GenerationRequestRow, GenerationResultRow},
    opportunity_row::OpportunityRow,
    projection::AnalyticsChange,
};
use crate::runtime::ProjectionError;

/// The rows of a batch by table.
#[derive(Default)]
struct RowsByTable<'a> {
    events: Vec<&'a EventRow>,
    opportunities: Vec<&'a OpportunityRow>,
    awards: Vec<&'a AwardRow>,
    engagement: Vec<&'a EngagementRow>,
    generation_requests: Vec<&'a GenerationRequestRow>,
    generated_sections: Vec<&'a GeneratedSectionRow>,
    generation_results: Vec<&'a GenerationResultRow>,
}

impl<'a> RowsByTable<'a> {
    fn from_changes(changes: &'a [AnalyticsChange]) -> Self {
        let mut tables = Self::default();
        for change in changes {
            match change {
                AnalyticsChange::Event(row) => tables.events.push(row),
                AnalyticsChange::Opportunity(row) => tables.opportunities.push(row),
                AnalyticsChange::Award(row) => tables.awards.push(row),
                AnalyticsChange::Engagement(row) => tables.engagement.push(row),
                AnalyticsChange::GenerationRequest(row) => tables.generation_requests.push(row),
                AnalyticsChange::GeneratedSection(row) => tables.generated_sections.push(row),
                AnalyticsChange::GenerationResult(row) => tables.generation_results.push(row),
            }
        }
        tables
    }
}

impl OpportunityAnalytics {
    pub(super) async fn write_changes(&self, changes: &[AnalyticsChange]) -> Result<(), ProjectionError> {
        let batch = RowsByTable::from_changes(changes);
        let token = deduplication_token(&batch.events);
        tokio::try_join!(
            self.insert_rows(OpportunityRow::TABLE, &batch.opportunities, token),
            self.insert_rows(AwardRow::TABLE, &batch.awards, token),
            self.insert_rows(GenerationRequestRow::TABLE, &batch.generation_requests, token),
            self.insert_rows(GeneratedSectionRow::TABLE, &batch.generated_sections, token),
            self.insert_rows(GenerationResultRow::TABLE, &batch.generation_results, token),
            // Without a token: with one, a repeated batch that is already in the table would not reach the figures that
            // are aggregated from it, even if writing these had failed the first time. A repeated event does not change
            // figures.
            self.insert_rows(EngagementRow::TABLE, &batch.engagement, None),
        )?;
        // `events` last: a reader that finds an event there can rely on the event's rows in the other tables.
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
        let insert = async {
            let mut insert = self.client().insert::<R>(table).await?.with_timeouts(timeout, timeout);
            // A rebuild inserts rows of many monthly partitions at once.
            insert = insert.with_setting("max_partitions_per_insert_block", "0");
            // The server would merge each block by itself before it writes it: a fifth of an insert's work. Queries whose
            // answers depend on it read with `final`; rows of one key stay until their part is merged with another.
            insert = insert.with_setting("optimize_on_insert", "0");
            if let Some(token) = token {
                insert = insert.with_setting("insert_deduplication_token", format!("{table}-{token}"));
            } else if self.store().cluster().is_some() {
                // Replicated tables recognise a repeated block by its content, too.
                insert = insert.with_setting("insert_deduplicate", "0");
            }
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        };
        insert.await.map_err(|error| self.store().classify_error(error))
    }
}

/// Derives a token from the events of a batch, so that a batch whose response was lost is not stored twice.
fn deduplication_token(events: &[&EventRow]) -> Option<Uuid> {
    let mut ids = Vec::with_capacity(size_of::<Uuid>() * events.len());
    for event in events {
        ids.extend_from_slice(event.event_id().as_bytes());
    }
    (!ids.is_empty()).then(|| Uuid::new_v5(&Uuid::NAMESPACE_OID, &ids))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{discovered, recorded_event};

    #[test]
    fn the_token_of_a_batch_depends_on_its_events_only() {
        let one = EventRow::from_event(&recorded_event(1, &discovered("x")));
        let two = EventRow::from_event(&recorded_event(2, &discovered("x")));
        assert_eq!(deduplication_token(&[&one, &two]), deduplication_token(&[&one, &two]));
        assert_ne!(deduplication_token(&[&one, &two]), deduplication_token(&[&one]));
        assert_eq!(deduplication_token(&[]), None);
    }
}
