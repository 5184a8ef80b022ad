//! The figures of a visit.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::event::VisitEvent;

/// A visit so far. Of one size, however long the visit is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitTotals {
    /// Pages seen.
    pub views: u64,
    /// Links clicked.
    pub clicks: u64,
    /// When the first step was taken.
    pub first_at: DateTime<Utc>,
    /// When the last step was taken.
    pub last_at: DateTime<Utc>,
}

impl VisitTotals {
    /// The trail before its first event.
    pub(super) fn starting_at(event: &VisitEvent) -> Self {
        let at = event.occurred_at();
        Self { views: 0, clicks: 0, first_at: at, last_at: at }
    }

    /// Adds one event.
    pub(super) fn add_event(&mut self, event: &VisitEvent) {
        match event {
            VisitEvent::PageViewed { .. } => self.views = self.views.saturating_add(1),
            VisitEvent::LinkClicked { .. } => self.clicks = self.clicks.saturating_add(1),
        }
        self.first_at = self.first_at.min(event.occurred_at());
        self.last_at = self.last_at.max(event.occurred_at());
    }
}
