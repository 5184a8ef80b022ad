//! The totals of a visit.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::event::VisitEvent;

/// Counts and times of a visit. Its size does not depend on the number of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitTotals {
    /// The number of page views.
    pub views: u64,
    /// The number of clicks.
    pub clicks: u64,
    /// The time of the earliest event.
    pub first_at: DateTime<Utc>,
    /// The time of the latest event.
    pub last_at: DateTime<Utc>,
}

impl VisitTotals {
    /// Empty totals with the time of the first event, which is not counted yet.
    pub(super) fn starting_at(event: &VisitEvent) -> Self {
        let at = event.occurred_at();
        Self { views: 0, clicks: 0, first_at: at, last_at: at }
    }

    /// Counts one event.
    pub(super) fn add_event(&mut self, event: &VisitEvent) {
        match event {
            VisitEvent::PageViewed { .. } => self.views = self.views.saturating_add(1),
            VisitEvent::LinkClicked { .. } => self.clicks = self.clicks.saturating_add(1),
        }
        self.first_at = self.first_at.min(event.occurred_at());
        self.last_at = self.last_at.max(event.occurred_at());
    }
}
