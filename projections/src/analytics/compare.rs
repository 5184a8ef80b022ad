//! What the log says that `ClickHouse` should hold, and what it holds.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use clickhouse::{Row as TableRow, RowOwned, RowRead};
use domain::{
    envelope::RawRecorded,
    opportunity::{Opportunity, OpportunityEvent, Standing},
};

use super::{award::AwardRow, fact::FactRow, opportunity::OpportunityRow, store::Analytics};
use crate::{
    QueryError,
    runtime::{Fold, ProjectionError, Row, Scope},
};

/// Facts are compared up to a day before they expire: the server removes them at a time of its own.
const MARGIN: Duration = Duration::from_hours(24);

const BUCKET: &str = "CRC32({id}) % 256 between ? and ?";

/// The tables as the log says they should be.
pub(super) struct AnalyticsFold {
    totals: bool,
    /// Older facts have expired, or may have.
    oldest: Option<DateTime<Utc>>,
    facts: Vec<Row>,
    opportunities: BTreeMap<String, Row>,
    awards: BTreeMap<String, Row>,
}

impl AnalyticsFold {
    pub(super) fn of(scope: &Scope, oldest: Option<DateTime<Utc>>) -> Box<dyn Fold> {
        Box::new(Self {
            totals: *scope == Scope::Totals,
            oldest,
            facts: vec![],
            opportunities: BTreeMap::new(),
            awards: BTreeMap::new(),
        })
    }
}

impl Fold for AnalyticsFold {
    fn take(&mut self, event: &RawRecorded) -> Result<(), ProjectionError> {
        if self.totals {
            return Ok(());
        }
        if event.aggregate_type == <Opportunity as cqrs_es::Aggregate>::TYPE {
            match event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?.payload {
                OpportunityEvent::Discovered { filing, facts }
                | OpportunityEvent::Amended { filing, standing: Standing::Current, facts } => {
                    let row = OpportunityRow::of(event, &filing, *facts);
                    self.opportunities.insert(event.aggregate_id.clone(), opportunity(&row));
                }
                OpportunityEvent::Awarded { key, award } => {
                    let row = AwardRow::of(event, key, award);
                    self.awards.insert(row.key(), self::award(&row));
                }
                OpportunityEvent::Amended { standing: Standing::Earlier, .. }
                | OpportunityEvent::DeadlineChanged { .. } => {}
            }
        }
        let row = FactRow::of(event);
        if self.oldest.is_none_or(|oldest| row.recorded_at() >= oldest) {
            self.facts.push(fact(row));
        }
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        self.facts.iter().chain(self.opportunities.values()).chain(self.awards.values()).cloned().collect()
    }
}

fn fact(row: FactRow) -> Row {
    Row::new(FactRow::TABLE, row.event_id().to_string(), row.comparable())
}

fn opportunity(row: &OpportunityRow) -> Row {
    Row::new(OpportunityRow::TABLE, row.id(), row)
}

fn award(row: &AwardRow) -> Row {
    Row::new(AwardRow::TABLE, row.key(), row)
}

impl Analytics {
    /// Facts that were recorded before this may have expired; `None` where they never do.
    pub(super) fn oldest_fact(&self) -> Option<DateTime<Utc>> {
        let days = self.raw_ttl_days();
        let kept = (days > 0).then(|| Duration::from_hours(24) * days)?.saturating_sub(MARGIN);
        SystemTime::now().checked_sub(kept).map(DateTime::from)
    }

    /// What the generation holds of this scope.
    pub(super) async fn rows(&self, scope: &Scope) -> Result<Vec<Row>, QueryError> {
        let Scope::Buckets(buckets) = scope else { return Ok(vec![]) };
        let (from, to) = (*buckets.start(), *buckets.end());
        let oldest = self.oldest_fact().map_or(i64::MIN, |oldest| oldest.timestamp_micros());
        let facts = format!(
            "select ?fields from events final where {} and toUnixTimestamp64Micro(recorded_at) >= {oldest}",
            BUCKET.replace("{id}", "aggregate_id")
        );
        let opportunities = format!("select ?fields from opportunities final where {}", BUCKET.replace("{id}", "id"));
        let awards = format!("select ?fields from awards final where {}", BUCKET.replace("{id}", "opportunity_id"));
        let mut rows = self.read_rows(&facts, (from, to), fact).await?;
        rows.extend(self.read_rows(&opportunities, (from, to), |row| opportunity(&row)).await?);
        rows.extend(self.read_rows(&awards, (from, to), |row| award(&row)).await?);
        Ok(rows)
    }

    /// Reads rows one by one, so that only their fingerprints are held.
    async fn read_rows<T>(
        &self,
        sql: &str,
        (from, to): (u32, u32),
        row: impl Fn(T) -> Row,
    ) -> Result<Vec<Row>, QueryError>
    where
        T: TableRow + RowOwned + RowRead,
    {
        let read = async {
            let mut cursor = self.client().query(sql).bind(from).bind(to).fetch::<T>()?;
            let mut rows = vec![];
            while let Some(found) = cursor.next().await? {
                rows.push(row(found));
            }
            Ok(rows)
        };
        self.run(read).await
    }

    pub(super) async fn has_fact(&self, row: &FactRow) -> Result<bool, QueryError> {
        let count = row.bind_key(self.client().query(include_str!("sql/has_fact.sql")));
        // A fact that is past its time is taken in and expires at once.
        let expired = self.oldest_fact().is_some_and(|oldest| row.recorded_at() < oldest);
        Ok(expired || self.run(count.fetch_one::<u64>()).await? > 0)
    }

    pub(super) async fn has_opportunity(&self, row: &OpportunityRow) -> Result<bool, QueryError> {
        let newest = self.client().query("select max(sequence) from opportunities where id = ?").bind(row.id());
        Ok(self.run(newest.fetch_one::<u64>()).await? >= row.sequence())
    }

    pub(super) async fn has_award(&self, row: &AwardRow) -> Result<bool, QueryError> {
        let newest = self
            .client()
            .query("select max(sequence) from awards where opportunity_id = ? and award_key = ?")
            .bind(row.opportunity_id())
            .bind(row.award_key());
        Ok(self.run(newest.fetch_one::<u64>()).await? >= row.sequence())
    }
}
