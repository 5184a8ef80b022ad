//! Figures over all streams, counted from what each stream has come to.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    envelope::RawRecorded,
    opportunity::{OpportunityEvent, Standing},
};

use super::{FIGURES, GENERATION, figure_key, is_next};
use crate::{
    runtime::{Fold, Generation, ProjectionError, Row},
    views::{
        ViewChange, ViewEvent,
        change::{Choice, Sight},
        delta::Target,
        generation::MARKER,
        leaderboard::Engaged,
        lifetime::Lifetime,
        stream::Stream,
    },
};

pub(super) struct Totals {
    generation: Generation,
    lifetime: Lifetime,
    now: DateTime<Utc>,
    versions: HashMap<(Stream, String), u64>,
    opportunities: HashMap<String, Counted>,
    seen: HashMap<(Engaged, String, NaiveDate), u64>,
    /// User and opportunity -> since when.
    saved: HashMap<(String, String), NaiveDate>,
}

/// What an opportunity counts as.
struct Counted {
    agency: String,
    notice_type: String,
    is_awarded: bool,
    /// How it ended, until more is heard of it.
    over: Option<&'static str>,
}

impl Totals {
    pub(super) fn new(generation: Generation, lifetime: Lifetime, now: DateTime<Utc>) -> Self {
        let (versions, opportunities, seen, saved) = Default::default();
        Self { generation, lifetime, now, versions, opportunities, seen, saved }
    }

    fn take_opportunity(&mut self, id: String, event: OpportunityEvent) {
        match event {
            OpportunityEvent::Discovered { facts, .. } => {
                let (agency, notice_type) = (facts.agency.code.clone(), facts.notice_type.to_string());
                self.opportunities.insert(id, Counted { agency, notice_type, is_awarded: false, over: None });
            }
            OpportunityEvent::Amended { standing: Standing::Current, facts, .. } => {
                if let Some(counted) = self.opportunities.get_mut(&id) {
                    counted.agency.clone_from(&facts.agency.code);
                    counted.notice_type = facts.notice_type.to_string();
                    counted.over = None;
                }
            }
            OpportunityEvent::Amended { standing: Standing::Earlier, .. }
            | OpportunityEvent::DeadlineChanged { .. } => {}
            OpportunityEvent::Awarded { .. } => {
                if let Some(counted) = self.opportunities.get_mut(&id) {
                    counted.is_awarded = true;
                    counted.over = None;
                }
            }
            OpportunityEvent::Cancelled { .. } => self.end(&id, "cancelled"),
            OpportunityEvent::Archived { .. } => self.end(&id, "archived"),
        }
    }

    fn end(&mut self, id: &str, how: &'static str) {
        if let Some(counted) = self.opportunities.get_mut(id) {
            counted.over = Some(how);
        }
    }

    fn take_visit(&mut self, sight: Sight) {
        if let Some(opportunity) = sight.opportunity {
            *self.seen.entry((sight.kind, opportunity, sight.day)).or_default() += 1;
        }
    }

    fn take_choice(&mut self, user: String, choice: Choice) {
        match choice {
            Choice::Saved { opportunity, at } => {
                self.saved.entry((user, opportunity)).or_insert(at.date_naive());
            }
            Choice::Search => {}
            Choice::Unsaved { opportunity } => {
                self.saved.remove(&(user, opportunity));
            }
        }
    }

    fn figures(&self) -> BTreeMap<String, u64> {
        let mut figures = BTreeMap::new();
        let mut add = |target: &Target, field: &str, count| {
            *figures.entry(figure_key(target, field)).or_default() += count;
        };
        for counted in self.opportunities.values() {
            let status = counted.over.unwrap_or(if counted.is_awarded { "awarded" } else { "open" });
            add(&Target::Counters, "total", 1);
            add(&Target::Counters, &format!("agency:{}", counted.agency), 1);
            add(&Target::Counters, &format!("type:{}", counted.notice_type), 1);
            add(&Target::Counters, &format!("status:{status}"), 1);
        }
        let seen = self.seen.iter().map(|((kind, opportunity, day), count)| (*kind, opportunity, *day, *count));
        let saved = self.saved.iter().map(|((_, opportunity), day)| (Engaged::Saved, opportunity, *day, 1));
        for (kind, opportunity, day, count) in seen.chain(saved) {
            add(&Target::Engagement(opportunity.clone()), kind.name(), count);
            add(&Target::Leaderboard(kind, None), opportunity, count);
            if self.lifetime.keeps_leaderboard(day, self.now) {
                add(&Target::Leaderboard(kind, Some(day)), opportunity, count);
            }
        }
        figures
    }
}

impl Fold for Totals {
    fn take(&mut self, event: &RawRecorded) -> Result<(), ProjectionError> {
        let Some(change) = ViewChange::of(event)? else {
            return Ok(());
        };
        let version = self.versions.entry((Stream::of(&change), change.id.clone())).or_default();
        if !is_next(&change.id, *version, change.sequence)? {
            return Ok(());
        }
        *version = change.sequence;
        match change.event {
            ViewEvent::Opportunity(event) => self.take_opportunity(change.id, event),
            ViewEvent::Visit(sight) => self.take_visit(sight),
            ViewEvent::Watchlist(choice) => self.take_choice(change.id, choice),
        }
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        let marker = Row::new(GENERATION, MARKER, self.generation.to_string().into_bytes());
        let figure = |(key, count): (String, u64)| Row::new(FIGURES, key, count.to_string());
        self.figures().into_iter().map(figure).chain([marker]).collect()
    }
}
