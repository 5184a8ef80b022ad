//! What the log says that `Redis` should hold, and what it holds.

use std::collections::{BTreeMap, HashMap};

use domain::{
    envelope::RawRecorded,
    opportunity::{Opportunity, OpportunityEvent},
};

use super::{Views, view::Status};
use crate::{
    QueryError,
    runtime::{Fold, ProjectionError, Row, Scope},
};

const VIEW: &str = "opportunity";
const COUNTER: &str = "counters:opportunities";
const STRAY: &str = "unknown key";

/// Views or counters as the log says they should be.
pub(super) struct ViewFold {
    totals: bool,
    states: HashMap<String, (u64, Opportunity)>,
}

impl ViewFold {
    pub(super) fn of(scope: &Scope) -> Box<dyn Fold> {
        Box::new(Self { totals: *scope == Scope::Totals, states: HashMap::new() })
    }

    fn counters(&self) -> BTreeMap<String, i64> {
        let mut counters = BTreeMap::new();
        for (_, state) in self.states.values() {
            let Some(record) = state.record() else { continue };
            let status = Status::of(state).map_or("", Status::name);
            for counter in [
                "total".to_owned(),
                format!("agency:{}", record.facts.agency.code),
                format!("type:{}", record.facts.notice_type),
                format!("status:{status}"),
            ] {
                *counters.entry(counter).or_default() += 1;
            }
        }
        counters
    }
}

impl Fold for ViewFold {
    fn take(&mut self, event: &RawRecorded) -> Result<(), ProjectionError> {
        if event.aggregate_type != <Opportunity as cqrs_es::Aggregate>::TYPE {
            return Ok(());
        }
        let payload = event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?.payload;
        let (version, state) = self.states.entry(event.aggregate_id.clone()).or_default();
        *version = event.sequence;
        state.evolve(payload);
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        if self.totals {
            return self.counters().into_iter().map(|(name, count)| Row::new(COUNTER, name, count)).collect();
        }
        self.states.iter().map(|(id, (version, state))| view(id, *version, state)).collect()
    }
}

/// A view's row: its state in the one form that serialising gives it, so that the stored text may differ.
fn view(id: &str, version: u64, state: &Opportunity) -> Row {
    // A state that was read or folded can be written: it was before.
    let state = serde_json::to_string(state).unwrap_or_default();
    Row::new(VIEW, id, (version, state))
}

impl Views {
    /// What the generation holds of this scope.
    pub(super) async fn rows(&self, scope: &Scope) -> Result<Vec<Row>, QueryError> {
        match scope {
            Scope::Totals => {
                let counters = self.counter_fields().await?;
                Ok(counters.into_iter().map(|(name, count)| Row::new(COUNTER, name, count)).collect())
            }
            Scope::Buckets(_) => self.view_rows(scope).await,
        }
    }

    async fn view_rows(&self, scope: &Scope) -> Result<Vec<Row>, QueryError> {
        let (mut rows, mut cursor) = (vec![], 0);
        loop {
            let (next, keys) = self.scan(cursor).await?;
            let mut ids = vec![];
            for key in &keys {
                match self.meaning_of(key) {
                    Meaning::View(id) => ids.extend(scope.holds(id).then_some(id)),
                    Meaning::Known => {}
                    Meaning::Stray(name) => rows.extend(scope.holds(name).then(|| Row::new(STRAY, name, ()))),
                }
            }
            for (id, stored) in ids.iter().zip(self.stored_texts(&ids).await?) {
                rows.push(match stored {
                    Ok(stored) => view(id, stored.version, &stored.state),
                    // Named as a difference: no fold gives such a row.
                    Err(_unreadable) => Row::new(VIEW, *id, "unreadable"),
                });
            }
            if next == 0 {
                // A scan may show a key more than once.
                rows.sort_unstable();
                rows.dedup();
                return Ok(rows);
            }
            cursor = next;
        }
    }
}

/// What a key of a generation is.
pub(super) enum Meaning<'a> {
    /// The view of an opportunity.
    View(&'a str),
    /// Something else that belongs there.
    Known,
    /// Nothing that this program writes.
    Stray(&'a str),
}
