//! The record of a discovered opportunity, and the decision about a further notice.

mod recorded_filings;

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use self::recorded_filings::RecordedFilings;
use super::{
    event::{AmendmentStanding, NoticeFiling, OpportunityEvent},
    value::{Award, Notice, NoticeDetails, NoticeId},
};
use crate::time_text;

/// How long after a day's midnight in UTC a notice may be published whose source states that day: until the day ends in
/// the westernmost time zone.
const LONGEST_DAY: TimeDelta = TimeDelta::hours(36);

/// The details, notices and awards of an opportunity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpportunityRecord {
    /// The details that the current notice states.
    #[serde(rename = "facts", deserialize_with = "NoticeDetails::deserialize_shared")]
    pub details: Arc<NoticeDetails>,
    /// The current notice.
    pub notice_id: NoticeId,
    /// When the current notice was published.
    #[serde(serialize_with = "time_text::serialize_time", deserialize_with = "time_text::deserialize_time")]
    pub posted_at: DateTime<Utc>,
    /// When the earliest recorded notice was published.
    #[serde(serialize_with = "time_text::serialize_time", deserialize_with = "time_text::deserialize_time")]
    pub first_posted_at: DateTime<Utc>,
    /// The awards by their key.
    pub awards: BTreeMap<String, Award>,
    notices: RecordedFilings,
}

impl OpportunityRecord {
    pub(super) fn new(filing: NoticeFiling, details: Arc<NoticeDetails>) -> Self {
        Self {
            details,
            notice_id: filing.notice_id.clone(),
            posted_at: filing.posted_at,
            first_posted_at: filing.posted_at,
            awards: BTreeMap::new(),
            notices: RecordedFilings::new(filing),
        }
    }

    /// The number of recorded notices.
    pub fn notice_count(&self) -> usize {
        self.notices.notice_count()
    }

    /// Sum of the awards, in cents of a US dollar; `None` while no award has an amount.
    pub fn awarded_cents(&self) -> Option<i64> {
        self.awards.values().filter_map(|award| award.amount).map(|amount| amount.0).reduce(i64::saturating_add)
    }

    /// Whether the notice is recorded from this source with the same digest.
    pub(super) fn has_notice(&self, notice: &Notice) -> bool {
        self.notices.digest(&notice.notice_id, notice.source) == Some(notice.digest().as_str())
    }

    /// The events of a further notice; none if it changes nothing.
    pub(super) fn decide_notice(&self, mut notice: Notice) -> Vec<OpportunityEvent> {
        let award = notice.award.take();
        let award_key = notice.notice_id.to_string();
        let with_award = Notice { award: award.clone(), ..notice.clone() };
        let mut events = if self.has_notice(&with_award) {
            vec![]
        } else {
            self.decide_amendment(notice, NoticeFiling::from_notice(&with_award))
        };
        events.extend(award.and_then(|award| self.decide_award(award_key, award)));
        events
    }

    /// The events of the current notice of an archived opportunity when its source lists it again.
    pub(super) fn decide_relisting(&self, notice: &Notice) -> Vec<OpportunityEvent> {
        let events = self.decide_notice(notice.clone());
        if !events.is_empty() {
            return events;
        }
        let details = Arc::new(notice.details.clone().with_missing_from(&self.details));
        let filing = NoticeFiling { posted_at: self.posted_at, ..NoticeFiling::from_notice(notice) };
        vec![OpportunityEvent::Amended { filing, standing: AmendmentStanding::Current, details }]
    }

    fn decide_amendment(&self, notice: Notice, filing: NoticeFiling) -> Vec<OpportunityEvent> {
        let is_known = self.notices.has_notice(&notice.notice_id);
        if notice.posted_at < self.posted_at {
            if let Some(event) = self.decide_links(&notice, &filing) {
                return vec![event];
            }
            // An earlier notice from another source adds nothing: the current one has superseded it.
            let is_duplicate = is_known && self.notices.digest(&notice.notice_id, notice.source).is_none();
            let details = Arc::new(notice.details);
            return if is_duplicate {
                vec![]
            } else {
                vec![OpportunityEvent::Amended { filing, standing: AmendmentStanding::Earlier, details }]
            };
        }
        let details = notice.details.with_missing_from(&self.details);
        if is_known && details == *self.details {
            return vec![];
        }
        let (from, to) = (self.details.response_deadline, details.response_deadline);
        let (notice_id, posted_at) = (notice.notice_id, Some(filing.posted_at));
        let details = Arc::new(details);
        let mut events = vec![OpportunityEvent::Amended { filing, standing: AmendmentStanding::Current, details }];
        if from != to {
            events.push(OpportunityEvent::DeadlineChanged { notice_id, from, to, posted_at });
        }
        events
    }

    /// The amendment by the links of the current notice from a source that states only its day of publication, so that
    /// it appears to be earlier; `None` if it is another notice or changes no links.
    fn decide_links(&self, notice: &Notice, filing: &NoticeFiling) -> Option<OpportunityEvent> {
        let is_current = notice.notice_id == self.notice_id && self.posted_at - notice.posted_at < LONGEST_DAY;
        let links = notice.details.resource_links.clone().filter(|_| is_current)?;
        let details = NoticeDetails { resource_links: Some(links), ..NoticeDetails::clone(&self.details) };
        let details = Arc::new(details.with_missing_from(&self.details));
        let filing = NoticeFiling { posted_at: self.posted_at, ..filing.clone() };
        let standing = AmendmentStanding::Current;
        (details != self.details).then_some(OpportunityEvent::Amended { filing, standing, details })
    }

    /// The event of an award; `None` if it adds nothing to the recorded one.
    pub(super) fn decide_award(&self, key: String, award: Award) -> Option<OpportunityEvent> {
        let award = match self.awards.get(&key) {
            None => award,
            Some(known) => {
                let award = known.with_missing_from(award);
                if award == *known {
                    return None;
                }
                award
            }
        };
        Some(OpportunityEvent::Awarded { key, award })
    }

    /// The key of a manually entered award: the key of the recorded award with its number, else a key made of the
    /// number.
    pub(super) fn award_key(&self, award: &Award) -> String {
        let number = award.number.as_deref().unwrap_or_default();
        self.awards
            .iter()
            .find(|(_, known)| known.number.as_deref() == Some(number))
            .map_or_else(|| format!("award:{number}"), |(key, _)| key.clone())
    }

    pub(super) fn evolve(&mut self, event: OpportunityEvent) {
        match event {
            OpportunityEvent::Discovered { filing, details } => *self = Self::new(filing, details),
            OpportunityEvent::Amended { filing, standing, details } => {
                self.first_posted_at = self.first_posted_at.min(filing.posted_at);
                if standing == AmendmentStanding::Current {
                    self.details = details;
                    self.notice_id.clone_from(&filing.notice_id);
                    self.posted_at = filing.posted_at;
                }
                self.notices.record(filing);
            }
            // Usually the amendment before it has set the deadline, and shares the details.
            OpportunityEvent::DeadlineChanged { to, .. } if self.details.response_deadline == to => {}
            OpportunityEvent::DeadlineChanged { to, .. } => Arc::make_mut(&mut self.details).response_deadline = to,
            OpportunityEvent::Awarded { key, award } => {
                self.awards.insert(key, award);
            }
            // They change the phase, not the record.
            OpportunityEvent::Cancelled { .. } | OpportunityEvent::Archived { .. } => {}
        }
    }
}
