//! What the tables should hold, folded from events in memory: which facts are current is asked of the aggregate's own
//! state here, and not of versions of rows.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::{
    envelope::RawRecorded,
    opportunity::{Opportunity, OpportunityEvent, Standing},
};

use super::{
    award::AwardRow,
    engagement::{EngagementRow, Told, figure_time, is_engagement},
    expiry::Kept,
    fact::FactRow,
    opportunity::{OpportunityRow, RowDates, told_dates},
};
use crate::runtime::{Fold, ProjectionError, Row, Scope};

/// Names of the tables of figures.
pub(super) const MINUTES: &str = "engagement_1m";
pub(super) const HOURS: &str = "engagement_1h";

/// Rows that are about streams.
pub(super) struct StreamFold {
    scope: Scope,
    kept: Kept,
    states: HashMap<String, (u64, Opportunity)>,
    rows: BTreeMap<(&'static str, String), Row>,
}

impl StreamFold {
    pub(super) fn new(scope: Scope, kept: Kept) -> Self {
        Self { scope, kept, states: HashMap::new(), rows: BTreeMap::new() }
    }

    fn put(&mut self, table: &'static str, key: String, content: impl Hash) {
        self.rows.insert((table, key.clone()), Row::new(table, key, content));
    }

    fn take_opportunity(&mut self, event: &RawRecorded) -> Result<(), ProjectionError> {
        let payload = event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?;
        let id = event.aggregate_id.clone();
        let (sequence, state) = self.states.entry(id.clone()).or_default();
        if event.sequence <= *sequence {
            return Ok(());
        }
        *sequence = event.sequence;
        state.evolve(payload.clone());
        let Some(record) = state.record() else { return Ok(()) };
        match payload {
            OpportunityEvent::Discovered { .. } | OpportunityEvent::Amended { standing: Standing::Current, .. } => {
                let row = OpportunityRow::of(event, &record.notice_id, record.posted_at, record.facts.clone());
                let dates = told_dates(record.posted_at, &record.facts);
                self.put(OpportunityRow::TABLE, id, (row, dates));
            }
            OpportunityEvent::Awarded { key, .. } => {
                let award = record.awards.get(&key).cloned().unwrap_or_default();
                let name = award_name(&id, &key);
                let dates = RowDates::told(vec![], vec![award.date]);
                self.put(AwardRow::TABLE, name, (AwardRow::of(event, key, award), dates));
            }
            OpportunityEvent::Amended { standing: Standing::Earlier, .. }
            | OpportunityEvent::DeadlineChanged { .. }
            | OpportunityEvent::Cancelled { .. }
            | OpportunityEvent::Archived { .. } => {}
        }
        Ok(())
    }
}

impl Fold for StreamFold {
    fn take(&mut self, event: &RawRecorded) -> Result<(), ProjectionError> {
        if !self.scope.holds(&event.aggregate_id) {
            return Ok(());
        }
        let engagement =
            if is_engagement(event) { Some(EngagementRow::of(event).map_err(ProjectionError::poison)?) } else { None };
        if event.aggregate_type == <Opportunity as cqrs_es::Aggregate>::TYPE {
            self.take_opportunity(event)?;
        }
        if event.recorded_at < self.kept.raw {
            return Ok(());
        }
        self.put(FactRow::TABLE, event.event_id.to_string(), FactRow::of(event));
        if let Some(row) = engagement {
            self.put(EngagementRow::TABLE, event.event_id.to_string(), row);
        }
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        self.rows.values().cloned().collect()
    }
}

/// How a person looks an award up.
pub(super) fn award_name(opportunity: &str, award_key: &str) -> String {
    format!("{opportunity} {award_key}")
}

/// How a person looks a figure up.
pub(super) fn figure_name(tenant: &str, kind: &str, opportunity: &str, time: DateTime<Utc>) -> String {
    format!("{tenant}/{kind}/{opportunity}/{}", time.format("%Y-%m-%dT%H:%M"))
}

/// Figures of one kind of engagement with one opportunity in one span of time.
#[derive(Debug, Default)]
struct Figures {
    events: BTreeSet<u64>,
    users: BTreeSet<String>,
    visits: BTreeSet<String>,
}

/// Figures over all streams.
pub(super) struct TotalsFold {
    kept: Kept,
    figures: BTreeMap<(&'static str, String), Figures>,
}

impl TotalsFold {
    pub(super) fn new(kept: Kept) -> Self {
        Self { kept, figures: BTreeMap::new() }
    }
}

impl Fold for TotalsFold {
    fn take(&mut self, event: &RawRecorded) -> Result<(), ProjectionError> {
        let (kind, is_visit) = match event.event_type.as_str() {
            "visit.page_viewed" => ("view", true),
            "visit.link_clicked" => ("click", true),
            "watchlist.opportunity_saved" => ("save", false),
            "watchlist.opportunity_unsaved" => ("unsave", false),
            _ => return Ok(()),
        };
        let told = Told::by(event).map_err(ProjectionError::poison)?;
        let user = if is_visit { told.user_id } else { told.user_id.or_else(|| Some(event.aggregate_id.clone())) };
        let at = figure_time(told.at, event.recorded_at);
        let spans =
            [(MINUTES, TimeDelta::minutes(1), self.kept.minutes), (HOURS, TimeDelta::hours(1), self.kept.hours)];
        for (table, span, from) in spans {
            let time = at.duration_trunc(span).map_err(ProjectionError::poison)?;
            if time < from {
                continue;
            }
            let opportunity = told.opportunity_id.as_deref().unwrap_or_default();
            let name = figure_name(&event.tenant_id, kind, opportunity, time);
            let figures = self.figures.entry((table, name)).or_default();
            figures.events.insert(event.position);
            figures.users.extend(user.clone().filter(|user| !user.is_empty()));
            figures.visits.extend(is_visit.then(|| event.aggregate_id.clone()));
        }
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        let row = |((table, name), figures): (&(&'static str, String), &Figures)| {
            let content = (figures.events.len() as u64, figures.users.len() as u64, figures.visits.len() as u64);
            Row::new(table, name.clone(), content)
        };
        self.figures.iter().map(row).collect()
    }
}
