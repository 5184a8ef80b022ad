//! The rows that verify expects, folded from the log by the state of the aggregate instead of versions of rows.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use domain::{
    envelope::RawEnvelope,
    opportunity::{
        AmendmentStanding, NoticeDetails, Opportunity, OpportunityContent, OpportunityEvent, OpportunityRecord,
    },
};

use super::{
    counter::{CountedValues, CounterDelta, CounterDeltas, CounterKey},
    list_change::ListedAward,
    list_entry::AwardTotals,
};
use crate::{
    ListEntry,
    runtime::{ProjectionError, ReadModelFold, ReadModelRow, VerifyScope},
};

/// Folds the rows of opportunities and awards.
pub(super) struct ListStreamFold {
    scope: VerifyScope,
    states: HashMap<String, FoldedOpportunity>,
}

/// The state of one opportunity, and the sequences of its rows.
#[derive(Default)]
struct FoldedOpportunity {
    sequence: u64,
    state: Opportunity,
    entry: Option<ListEntry>,
    awards: BTreeMap<String, i64>,
}

impl FoldedOpportunity {
    /// Applies the next event; a repeated one changes nothing.
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        let payload = event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?;
        if event.sequence <= self.sequence {
            return Ok(());
        }
        self.sequence = event.sequence;
        self.state.evolve(payload.clone());
        let Some(record) = self.state.record() else { return Ok(()) };
        match payload {
            OpportunityEvent::Discovered { filing, .. }
            | OpportunityEvent::Amended { filing, standing: AmendmentStanding::Current, .. } => {
                self.entry = Some(ListEntry::from_event(event, &filing, NoticeDetails::clone(&record.details)));
            }
            OpportunityEvent::Awarded { key, .. } => {
                self.awards.insert(key, event.sequence.cast_signed());
            }
            OpportunityEvent::Amended { standing: AmendmentStanding::Earlier, .. }
            | OpportunityEvent::DeadlineChanged { .. }
            | OpportunityEvent::Cancelled { .. }
            | OpportunityEvent::Archived { .. } => {}
        }
        Ok(())
    }

    fn award_totals(&self) -> AwardTotals {
        let record = self.state.record();
        let count = record.map_or(0, |record| i32::try_from(record.awards.len()).unwrap_or(i32::MAX));
        AwardTotals { count, cents: record.and_then(OpportunityRecord::awarded_cents) }
    }

    fn rows(&self) -> Vec<ReadModelRow> {
        let mut rows: Vec<_> = self.entry.iter().map(|entry| entry_row(entry, self.award_totals(), true)).collect();
        let Some(record) = self.state.record() else { return rows };
        for (key, sequence) in &self.awards {
            let amount_cents = record.awards.get(key).and_then(|award| award.amount).map(|amount| amount.0);
            let opportunity_id = self.entry.as_ref().map(|entry| entry.id.clone()).unwrap_or_default();
            let award = ListedAward { opportunity_id, key: key.clone(), sequence: *sequence, amount_cents };
            rows.push(award_row(&award));
        }
        rows
    }
}

/// The row of an opportunity. `is_derived` says whether the derived columns agree with the columns that they are
/// derived from.
pub(super) fn entry_row(entry: &ListEntry, awards: AwardTotals, is_derived: bool) -> ReadModelRow {
    ReadModelRow::new(ListEntry::TABLE, entry.id.clone(), (entry, awards, is_derived))
}

/// The row of an award.
pub(super) fn award_row(award: &ListedAward) -> ReadModelRow {
    ReadModelRow::new(ListedAward::TABLE, format!("{} {}", award.opportunity_id, award.key), award)
}

/// The row of a counter.
pub(super) fn counter_row(key: &CounterKey, count: &CounterDelta) -> ReadModelRow {
    ReadModelRow::new(key.table().name(), key.describe(), count)
}

impl ListStreamFold {
    pub(super) fn new(scope: VerifyScope) -> Self {
        Self { scope, states: HashMap::new() }
    }
}

fn is_opportunity(event: &RawEnvelope) -> bool {
    event.aggregate_type == <Opportunity as cqrs_es::Aggregate>::TYPE
}

impl ReadModelFold for ListStreamFold {
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        if !is_opportunity(event) || !self.scope.contains_stream(&event.aggregate_id) {
            return Ok(());
        }
        self.states.entry(event.aggregate_id.clone()).or_default().apply_event(event)
    }

    fn expected_rows(&self) -> Vec<ReadModelRow> {
        self.states.values().flat_map(FoldedOpportunity::rows).collect()
    }
}

/// Folds the counters over all streams. It has the counted values of each opportunity in memory, without texts.
#[derive(Default)]
pub(super) struct ListTotalsFold {
    opportunities: HashMap<String, FoldedTotals>,
}

/// What one opportunity counts for.
#[derive(Default)]
struct FoldedTotals {
    sequence: u64,
    values: Option<CountedValues>,
    amounts: BTreeMap<String, Option<i64>>,
}

impl ReadModelFold for ListTotalsFold {
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        if !is_opportunity(event) {
            return Ok(());
        }
        let payload = event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?;
        let folded = self.opportunities.entry(event.aggregate_id.clone()).or_default();
        if event.sequence <= folded.sequence {
            return Ok(());
        }
        folded.sequence = event.sequence;
        match payload.into_content() {
            Some(OpportunityContent::CurrentNotice { filing, details }) => {
                let entry = ListEntry::from_event(event, &filing, Arc::unwrap_or_clone(details));
                folded.values = Some(entry.counted_values(AwardTotals::default()));
            }
            Some(OpportunityContent::Award { key, award }) => {
                folded.amounts.insert(key, award.amount.map(|amount| amount.0));
            }
            None => {}
        }
        Ok(())
    }

    fn expected_rows(&self) -> Vec<ReadModelRow> {
        let mut counters = CounterDeltas::default();
        for folded in self.opportunities.values() {
            let awards = AwardTotals::from_amounts(folded.amounts.values().copied());
            if let Some(values) = &folded.values {
                counters.add(&CountedValues { awards, ..values.clone() });
            }
        }
        counters.changed().map(|(key, count)| counter_row(&key, &count)).collect()
    }
}
