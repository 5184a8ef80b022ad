//! What is remembered of a visit: figures, and enough of its last steps to recognise one that is told again.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{event::VisitEvent, value::Url};

/// How many steps back a repetition is recognised. Clients send what they have gathered in one request, and send it
/// again when the answer was lost: this is more than one request holds.
const REMEMBERED: usize = 64;

/// A visit so far. Bounded, however long the visit is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// Pages seen.
    pub views: u64,
    /// Links clicked.
    pub clicks: u64,
    /// When the first step was taken.
    pub first_at: DateTime<Utc>,
    /// When the last step was taken.
    pub last_at: DateTime<Utc>,
    /// Marks of the last steps, the oldest first.
    recent: VecDeque<u64>,
}

impl Trail {
    /// The trail before its first event.
    pub(super) fn beginning(event: &VisitEvent) -> Self {
        let at = event.at();
        Self { views: 0, clicks: 0, first_at: at, last_at: at, recent: VecDeque::new() }
    }

    /// Whether the same step was told a short while ago: of the same kind, with the same addresses and time.
    pub(super) fn knows(&self, event: &VisitEvent) -> bool {
        self.recent.contains(&mark(event))
    }

    pub(super) fn take_in(&mut self, event: &VisitEvent) {
        match event {
            VisitEvent::PageViewed { .. } => self.views = self.views.saturating_add(1),
            VisitEvent::LinkClicked { .. } => self.clicks = self.clicks.saturating_add(1),
        }
        self.first_at = self.first_at.min(event.at());
        self.last_at = self.last_at.max(event.at());
        self.recent.push_back(mark(event));
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
    }
}

/// Eight bytes that tell one step from the others of a visit.
fn mark(event: &VisitEvent) -> u64 {
    let (kind, page, other) = match event {
        VisitEvent::PageViewed { page_url, .. } => ("viewed", page_url, None),
        VisitEvent::LinkClicked { page_url, target_url, .. } => ("clicked", page_url, target_url.as_ref()),
    };
    // Addresses have no control characters, so that a line break ends each part.
    let text = format!("{kind}\n{page}\n{}\n{}", other.map_or("", Url::as_str), event.at().timestamp_micros());
    let digest: [u8; 32] = Sha256::digest(text).into();
    digest.iter().take(8).fold(0, |mark, byte| mark << 8 | u64::from(*byte))
}
