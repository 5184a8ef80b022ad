//! Writing a batch: the tables side by side, the facts last.

use clickhouse::{RowOwned, RowWrite};
use uuid::Uuid;

use super::{
    Analytics, award::AwardRow, engagement::EngagementRow, fact::FactRow, opportunity::OpportunityRow,
    projection::AnalyticsChange, refusal::classified,
};
use crate::runtime::ProjectionError;

/// A batch, row by row in its table.
#[derive(Default)]
struct Sorted<'a> {
    facts: Vec<&'a FactRow>,
    opportunities: Vec<&'a OpportunityRow>,
    awards: Vec<&'a AwardRow>,
    engagement: Vec<&'a EngagementRow>,
}

impl<'a> Sorted<'a> {
    fn of(changes: &'a [AnalyticsChange]) -> Self {
        let mut sorted = Self::default();
        for change in changes {
            match change {
                AnalyticsChange::Fact(row) => sorted.facts.push(row),
                AnalyticsChange::Opportunity(row) => sorted.opportunities.push(row),
                AnalyticsChange::Award(row) => sorted.awards.push(row),
                AnalyticsChange::Engagement(row) => sorted.engagement.push(row),
            }
        }
        sorted
    }
}

impl Analytics {
    pub(super) async fn write(&self, changes: &[AnalyticsChange]) -> Result<(), ProjectionError> {
        let batch = Sorted::of(changes);
        let token = batch_token(&batch.facts);
        tokio::try_join!(
            self.insert(OpportunityRow::TABLE, &batch.opportunities, token),
            self.insert(AwardRow::TABLE, &batch.awards, token),
            // Without a token: a batch that the table knows would not reach the aggregates behind it, even where it
            // was they that failed the first time. They take events in again without harm.
            self.insert(EngagementRow::TABLE, &batch.engagement, None),
        )?;
        // Facts last: whoever counts them may expect the other tables to be as far.
        self.insert(FactRow::TABLE, &batch.facts, token).await
    }

    async fn insert<R>(&self, table: &str, rows: &[&R], token: Option<Uuid>) -> Result<(), ProjectionError>
    where
        R: RowOwned + RowWrite,
    {
        if rows.is_empty() {
            return Ok(());
        }
        let timeout = Some(self.timeout());
        let written = async {
            let mut insert = self.client().insert::<R>(table).await?.with_timeouts(timeout, timeout);
            // A rebuild brings many months at once.
            insert = insert.with_setting("max_partitions_per_insert_block", "0");
            if let Some(token) = token {
                insert = insert.with_setting("insert_deduplication_token", format!("{table}-{token}"));
            }
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        };
        written.await.map_err(classified)
    }
}

/// Names a batch by its events, so that a batch whose answer was lost is not stored twice.
fn batch_token(facts: &[&FactRow]) -> Option<Uuid> {
    let ids: Vec<u8> = facts.iter().flat_map(|fact| fact.event_id().into_bytes()).collect();
    (!ids.is_empty()).then(|| Uuid::new_v5(&Uuid::NAMESPACE_OID, &ids))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{discovered, recorded};

    #[test]
    fn a_batch_is_named_by_its_events() {
        let one = FactRow::of(&recorded(1, &discovered("x")));
        let two = FactRow::of(&recorded(2, &discovered("x")));
        assert_eq!(batch_token(&[&one, &two]), batch_token(&[&one, &two]));
        assert_ne!(batch_token(&[&one, &two]), batch_token(&[&one]));
        assert_eq!(batch_token(&[]), None);
    }
}
