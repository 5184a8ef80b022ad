//! The rows that verify expects, folded from the log. Which details are current is determined by the state of the
//! aggregate, not by versions of rows.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::{
    envelope::RawEnvelope,
    opportunity::{AmendmentStanding, NoticeDetails, Opportunity, OpportunityEvent},
};

use super::{
    award_row::AwardRow,
    engagement_row::{EngagementPayload, EngagementRow, clamp_to_window, is_engagement},
    event_row::EventRow,
    generation_rows::{
        GeneratedSectionRow, GenerationRequestRow, GenerationResultRow, is_generation_event, project_generation,
    },
    opportunity_row::{OpportunityRow, RowDates, recorded_dates},
    projection::AnalyticsChange,
    retention_cutoffs::RetentionCutoffs,
};
use crate::runtime::{ProjectionError, ReadModelFold, ReadModelRow, VerifyScope};

/// Names of the tables of figures.
pub(super) const MINUTES: &str = "engagement_1m";
pub(super) const HOURS: &str = "engagement_1h";

/// Folds the rows that belong to single streams: events, engagement, opportunities and awards.
pub(super) struct AnalyticsStreamFold {
    scope: VerifyScope,
    cutoffs: RetentionCutoffs,
    states: HashMap<String, (u64, Opportunity)>,
    rows: BTreeMap<(&'static str, String), ReadModelRow>,
}

impl AnalyticsStreamFold {
    pub(super) fn new(scope: VerifyScope, cutoffs: RetentionCutoffs) -> Self {
        Self { scope, cutoffs, states: HashMap::new(), rows: BTreeMap::new() }
    }

    fn insert_row(&mut self, table: &'static str, key: String, content: impl Hash) {
        self.rows.insert((table, key.clone()), ReadModelRow::new(table, key, content));
    }

    fn apply_generation_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        match project_generation(event)? {
            AnalyticsChange::GenerationRequest(row) => self.insert_row(GenerationRequestRow::TABLE, row.row_key(), row),
            AnalyticsChange::GeneratedSection(row) => self.insert_row(GeneratedSectionRow::TABLE, row.row_key(), row),
            AnalyticsChange::GenerationResult(row) => self.insert_row(GenerationResultRow::TABLE, row.row_key(), row),
            AnalyticsChange::Event(_)
            | AnalyticsChange::Opportunity(_)
            | AnalyticsChange::Award(_)
            | AnalyticsChange::Engagement(_) => {}
        }
        Ok(())
    }

    fn apply_opportunity_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
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
            OpportunityEvent::Discovered { filing, .. }
            | OpportunityEvent::Amended { filing, standing: AmendmentStanding::Current, .. } => {
                let row = OpportunityRow::from_event(event, &filing, NoticeDetails::clone(&record.details));
                let dates = recorded_dates(record.posted_at, &record.details);
                self.insert_row(OpportunityRow::TABLE, id, (row, dates));
            }
            OpportunityEvent::Awarded { key, .. } => {
                let award = record.awards.get(&key).cloned().unwrap_or_default();
                let name = award_row_key(&id, &key);
                let dates = RowDates::from_log(vec![], vec![award.date]);
                self.insert_row(AwardRow::TABLE, name, (AwardRow::from_event(event, key, award), dates));
            }
            OpportunityEvent::Amended { standing: AmendmentStanding::Earlier, .. }
            | OpportunityEvent::DeadlineChanged { .. }
            | OpportunityEvent::Cancelled { .. }
            | OpportunityEvent::Archived { .. } => {}
        }
        Ok(())
    }
}

impl ReadModelFold for AnalyticsStreamFold {
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        if !self.scope.contains_stream(&event.aggregate_id) {
            return Ok(());
        }
        let engagement = if is_engagement(event) {
            Some(EngagementRow::from_event(event).map_err(ProjectionError::poison)?)
        } else {
            None
        };
        if event.aggregate_type == <Opportunity as cqrs_es::Aggregate>::TYPE {
            self.apply_opportunity_event(event)?;
        }
        if is_generation_event(event) {
            self.apply_generation_event(event)?;
        }
        if event.recorded_at < self.cutoffs.raw {
            return Ok(());
        }
        self.insert_row(EventRow::TABLE, event.event_id.to_string(), EventRow::from_event(event));
        if let Some(row) = engagement {
            self.insert_row(EngagementRow::TABLE, event.event_id.to_string(), row);
        }
        Ok(())
    }

    fn expected_rows(&self) -> Vec<ReadModelRow> {
        self.rows.values().cloned().collect()
    }
}

/// The key of an award in reports of differences.
pub(super) fn award_row_key(opportunity: &str, award_key: &str) -> String {
    format!("{opportunity} {award_key}")
}

/// The key of a figure in reports of differences.
pub(super) fn engagement_row_key(tenant: &str, kind: &str, opportunity: &str, time: DateTime<Utc>) -> String {
    format!("{tenant}/{kind}/{opportunity}/{}", time.format("%Y-%m-%dT%H:%M"))
}

/// Distinct events, users and visits of one tenant, kind of engagement, opportunity, and minute or hour.
#[derive(Debug, Default)]
struct EngagementSets {
    events: BTreeSet<u64>,
    users: BTreeSet<String>,
    visits: BTreeSet<String>,
}

/// Folds the figures by minute and by hour over all streams.
pub(super) struct AnalyticsTotalsFold {
    cutoffs: RetentionCutoffs,
    figures: BTreeMap<(&'static str, String), EngagementSets>,
}

impl AnalyticsTotalsFold {
    pub(super) fn new(cutoffs: RetentionCutoffs) -> Self {
        Self { cutoffs, figures: BTreeMap::new() }
    }
}

impl ReadModelFold for AnalyticsTotalsFold {
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        let (kind, is_visit) = match event.event_type.as_str() {
            "visit.page_viewed" => ("view", true),
            "visit.link_clicked" => ("click", true),
            "watchlist.opportunity_saved" => ("save", false),
            "watchlist.opportunity_unsaved" => ("unsave", false),
            _ => return Ok(()),
        };
        let payload = EngagementPayload::from_event(event).map_err(ProjectionError::poison)?;
        let user =
            if is_visit { payload.user_id } else { payload.user_id.or_else(|| Some(event.aggregate_id.clone())) };
        let at = clamp_to_window(payload.at, event.recorded_at);
        let spans =
            [(MINUTES, TimeDelta::minutes(1), self.cutoffs.minutes), (HOURS, TimeDelta::hours(1), self.cutoffs.hours)];
        for (table, span, from) in spans {
            let time = at.duration_trunc(span).map_err(ProjectionError::poison)?;
            if time < from {
                continue;
            }
            let opportunity = payload.opportunity_id.as_deref().unwrap_or_default();
            let name = engagement_row_key(&event.tenant_id, kind, opportunity, time);
            let figures = self.figures.entry((table, name)).or_default();
            figures.events.insert(event.position);
            figures.users.extend(user.clone().filter(|user| !user.is_empty()));
            figures.visits.extend(is_visit.then(|| event.aggregate_id.clone()));
        }
        Ok(())
    }

    fn expected_rows(&self) -> Vec<ReadModelRow> {
        let row = |((table, name), figures): (&(&'static str, String), &EngagementSets)| {
            let content = (figures.events.len() as u64, figures.users.len() as u64, figures.visits.len() as u64);
            ReadModelRow::new(table, name.clone(), content)
        };
        self.figures.iter().map(row).collect()
    }
}
