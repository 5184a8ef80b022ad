//! The expected figures over all streams, counted from the final state of each stream.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    envelope::RawEnvelope,
    opportunity::{AmendmentStanding, OpportunityEvent},
};

use super::{FIGURES, figure_row_key, is_next};
use crate::{
    opportunity_views::{
        ViewChange, ViewEvent,
        engagement_kind::EngagementKind,
        figure_deltas::FigureKey,
        key_shard::KeyShard,
        retention_policy::RetentionPolicy,
        view_change::{VisitEngagement, WatchlistChange},
        view_state::StateKind,
    },
    runtime::{ProjectionError, ReadModelFold, ReadModelGeneration, ReadModelRow},
    storage::redis::GENERATION_ROW,
};

pub(super) struct ViewTotalsFold {
    generation: ReadModelGeneration,
    retention: RetentionPolicy,
    now: DateTime<Utc>,
    versions: HashMap<(StateKind, String), u64>,
    opportunities: HashMap<String, CountedOpportunity>,
    engagements: HashMap<(EngagementKind, String, NaiveDate), u64>,
    /// The day on which a user saved an opportunity, by user and opportunity.
    saved: HashMap<(String, String), NaiveDate>,
}

/// The properties by which an opportunity is counted.
struct CountedOpportunity {
    agency: String,
    notice_type: String,
    is_awarded: bool,
    /// `cancelled` or `archived`; a later current notice or award resets it.
    closed_as: Option<&'static str>,
}

impl ViewTotalsFold {
    pub(super) fn new(generation: ReadModelGeneration, retention: RetentionPolicy, now: DateTime<Utc>) -> Self {
        let (versions, opportunities, engagements, saved) = Default::default();
        Self { generation, retention, now, versions, opportunities, engagements, saved }
    }

    fn apply_opportunity_event(&mut self, id: String, event: OpportunityEvent) {
        match event {
            OpportunityEvent::Discovered { details, .. } => {
                let (agency, notice_type) = (details.agency.code.clone(), details.notice_type.to_string());
                self.opportunities
                    .insert(id, CountedOpportunity { agency, notice_type, is_awarded: false, closed_as: None });
            }
            OpportunityEvent::Amended { standing: AmendmentStanding::Current, details, .. } => {
                if let Some(counted) = self.opportunities.get_mut(&id) {
                    counted.agency.clone_from(&details.agency.code);
                    counted.notice_type = details.notice_type.to_string();
                    counted.closed_as = None;
                }
            }
            OpportunityEvent::Amended { standing: AmendmentStanding::Earlier, .. }
            | OpportunityEvent::DeadlineChanged { .. } => {}
            OpportunityEvent::Awarded { .. } => {
                if let Some(counted) = self.opportunities.get_mut(&id) {
                    counted.is_awarded = true;
                    counted.closed_as = None;
                }
            }
            OpportunityEvent::Cancelled { .. } => self.close_opportunity(&id, "cancelled"),
            OpportunityEvent::Archived { .. } => self.close_opportunity(&id, "archived"),
        }
    }

    fn close_opportunity(&mut self, id: &str, status: &'static str) {
        if let Some(counted) = self.opportunities.get_mut(id) {
            counted.closed_as = Some(status);
        }
    }

    fn apply_visit(&mut self, engagement: VisitEngagement) {
        if let Some(opportunity) = engagement.opportunity {
            *self.engagements.entry((engagement.kind, opportunity, engagement.day)).or_default() += 1;
        }
    }

    fn apply_watchlist_change(&mut self, user: String, change: WatchlistChange) {
        match change {
            WatchlistChange::Saved { opportunity, at } => {
                self.saved.entry((user, opportunity)).or_insert(at.date_naive());
            }
            WatchlistChange::SearchChanged => {}
            WatchlistChange::Unsaved { opportunity } => {
                self.saved.remove(&(user, opportunity));
            }
        }
    }

    fn compute_figures(&self) -> BTreeMap<String, u64> {
        let mut figures = BTreeMap::new();
        let mut add = |key: &FigureKey, field: &str, count| {
            *figures.entry(figure_row_key(key, field)).or_default() += count;
        };
        for (id, counted) in &self.opportunities {
            let counters = FigureKey::Counters(KeyShard::for_id(id));
            let status = counted.closed_as.unwrap_or(if counted.is_awarded { "awarded" } else { "open" });
            add(&counters, "total", 1);
            add(&counters, &format!("agency:{}", counted.agency), 1);
            add(&counters, &format!("type:{}", counted.notice_type), 1);
            add(&counters, &format!("status:{status}"), 1);
        }
        let engagements =
            self.engagements.iter().map(|((kind, opportunity, day), count)| (*kind, opportunity, *day, *count));
        let saved = self.saved.iter().map(|((_, opportunity), day)| (EngagementKind::Saved, opportunity, *day, 1));
        for (kind, opportunity, day, count) in engagements.chain(saved) {
            add(&FigureKey::Engagement(opportunity.clone()), kind.name(), count);
            let shard = KeyShard::for_id(opportunity);
            add(&FigureKey::Leaderboard(shard, kind, None), opportunity, count);
            if self.retention.keeps_leaderboard(day, self.now) {
                add(&FigureKey::Leaderboard(shard, kind, Some(day)), opportunity, count);
            }
        }
        figures
    }
}

impl ReadModelFold for ViewTotalsFold {
    fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        let Some(change) = ViewChange::from_event(event)? else {
            return Ok(());
        };
        let version = self.versions.entry((StateKind::of_stream(&change), change.id.clone())).or_default();
        if !is_next(&change.id, *version, change.sequence)? {
            return Ok(());
        }
        *version = change.sequence;
        match change.event {
            ViewEvent::Opportunity(event) => self.apply_opportunity_event(change.id, event),
            ViewEvent::Visit(engagement) => self.apply_visit(engagement),
            ViewEvent::Watchlist(event) => self.apply_watchlist_change(change.id, event),
        }
        Ok(())
    }

    fn expected_rows(&self) -> Vec<ReadModelRow> {
        let marker = ReadModelRow::new(GENERATION_ROW, GENERATION_ROW, self.generation.to_string());
        let figure = |(key, count): (String, u64)| ReadModelRow::new(FIGURES, key, count.to_string());
        self.compute_figures().into_iter().map(figure).chain([marker]).collect()
    }
}
