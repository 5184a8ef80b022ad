//! An opportunity: one federal solicitation, derived from the notices that agencies publish about it.
//!
//! ```text
//! Undiscovered ──notice──▶ Open ──award──▶ Awarded
//!                           │  ▲             │  ▲
//!                           └──┘ amended,    └──┘ amended, deadline changed,
//!                                deadline         further awards
//!                                changed
//!
//! Open, Awarded ──cancel──▶ Cancelled ──archive──▶ Archived ◀──archive── Open, Awarded
//! ```
//!
//! Agencies sometimes publish a newer notice or an award for a cancelled or archived opportunity; it is then open or
//! awarded again.

mod agency;
mod command;
mod error;
mod event;
mod id;
mod record;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::{
    agency::{Agency, find_listed_code},
    command::{AmendOpportunity, AwardOpportunity, OpportunityCommand},
    error::OpportunityError,
    event::{AmendmentStanding, NoticeFiling, OpportunityContent, OpportunityEvent},
    id::OpportunityId,
    record::OpportunityRecord,
    value::{
        Award, CancellationReason, InvalidValue, MAX_RESOURCE_LINKS, NaicsCode, Notice, NoticeDetails, NoticeId,
        NoticeSource, NoticeType, PlaceOfPerformance, ResourceLink, ResourceLinks, SetAside, UsdCents,
    },
};
use crate::aggregate::aggregate;

/// State of one opportunity, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Opportunity {
    /// No notice was published yet.
    #[default]
    Undiscovered,
    /// Published, without an award.
    Open(OpportunityRecord),
    /// At least one contract was awarded.
    Awarded(OpportunityRecord),
    /// The agency cancelled it.
    Cancelled(OpportunityRecord),
    /// It has ended; the record remains readable.
    Archived(OpportunityRecord),
}

impl Opportunity {
    /// Decides which events a command leads to; none if it changes nothing.
    ///
    /// # Errors
    /// [`OpportunityError`] when the opportunity's state forbids it.
    pub fn decide(&self, command: OpportunityCommand) -> Result<Vec<OpportunityEvent>, OpportunityError> {
        match command {
            OpportunityCommand::RecordNotice(notice) => Ok(self.record_notice(*notice)),
            OpportunityCommand::RelistNotice(notice) => Ok(self.relist_notice(*notice)),
            OpportunityCommand::Discover(notice) => self.discover(*notice),
            OpportunityCommand::Amend(command) => self.amend(*command),
            OpportunityCommand::Award(command) => self.award(command),
            OpportunityCommand::Cancel { reason, stamp } => match self {
                Self::Undiscovered => Err(OpportunityError::NotDiscovered),
                Self::Open(_) | Self::Awarded(_) => Ok(vec![OpportunityEvent::Cancelled { reason, stamp }]),
                Self::Cancelled(_) => Ok(vec![]),
                Self::Archived(_) => Err(OpportunityError::Archived),
            },
            OpportunityCommand::Archive { stamp } => match self {
                Self::Undiscovered => Err(OpportunityError::NotDiscovered),
                Self::Open(_) | Self::Awarded(_) | Self::Cancelled(_) => Ok(vec![OpportunityEvent::Archived { stamp }]),
                Self::Archived(_) => Ok(vec![]),
            },
        }
    }

    /// The record; `None` before the discovery.
    pub fn record(&self) -> Option<&OpportunityRecord> {
        match self {
            Self::Undiscovered => None,
            Self::Open(record) | Self::Awarded(record) | Self::Cancelled(record) | Self::Archived(record) => {
                Some(record)
            }
        }
    }

    fn record_notice(&self, notice: Notice) -> Vec<OpportunityEvent> {
        match self.record() {
            None => discovery_events(notice),
            Some(record) => record.decide_notice(notice),
        }
    }

    fn relist_notice(&self, notice: Notice) -> Vec<OpportunityEvent> {
        match self {
            Self::Archived(record) if record.notice_id == notice.notice_id => record.decide_relisting(&notice),
            Self::Undiscovered | Self::Open(_) | Self::Awarded(_) | Self::Cancelled(_) | Self::Archived(_) => {
                self.record_notice(notice)
            }
        }
    }

    fn discover(&self, notice: Notice) -> Result<Vec<OpportunityEvent>, OpportunityError> {
        match self.record() {
            None => Ok(discovery_events(notice)),
            Some(record) if record.has_notice(&notice) => Ok(vec![]),
            Some(_) => Err(OpportunityError::AlreadyDiscovered),
        }
    }

    fn amend(&self, command: AmendOpportunity) -> Result<Vec<OpportunityEvent>, OpportunityError> {
        let record = self.record().ok_or(OpportunityError::NotDiscovered)?;
        Ok(record.decide_notice(command.into_notice(record)))
    }

    fn award(&self, command: AwardOpportunity) -> Result<Vec<OpportunityEvent>, OpportunityError> {
        let record = self.record().ok_or(OpportunityError::NotDiscovered)?;
        let (key, award) = (record.award_key(&command.award), command.award);
        Ok(record.decide_award(key, award).into_iter().collect())
    }

    /// Folds one event into the state. Never fails and checks no rules, since the event is recorded.
    pub fn evolve(&mut self, event: OpportunityEvent) {
        if let OpportunityEvent::Discovered { filing, details } = event {
            *self = Self::Open(OpportunityRecord::new(filing, details));
            return;
        }
        let (phase, mut record) = match std::mem::take(self) {
            Self::Undiscovered => return,
            Self::Open(record) => (Self::Open as fn(OpportunityRecord) -> Self, record),
            Self::Awarded(record) => (Self::Awarded as fn(OpportunityRecord) -> Self, record),
            Self::Cancelled(record) => (Self::Cancelled as fn(OpportunityRecord) -> Self, record),
            Self::Archived(record) => (Self::Archived as fn(OpportunityRecord) -> Self, record),
        };
        let phase = match &event {
            OpportunityEvent::Amended { standing: AmendmentStanding::Current, .. } if record.awards.is_empty() => {
                Self::Open
            }
            OpportunityEvent::Amended { standing: AmendmentStanding::Current, .. }
            | OpportunityEvent::Awarded { .. } => Self::Awarded,
            OpportunityEvent::Cancelled { .. } => Self::Cancelled,
            OpportunityEvent::Archived { .. } => Self::Archived,
            OpportunityEvent::Discovered { .. }
            | OpportunityEvent::Amended { standing: AmendmentStanding::Earlier, .. }
            | OpportunityEvent::DeadlineChanged { .. } => phase,
        };
        record.evolve(event);
        *self = phase(record);
    }
}

fn discovery_events(notice: Notice) -> Vec<OpportunityEvent> {
    let filing = NoticeFiling::from_notice(&notice);
    let mut events = vec![OpportunityEvent::Discovered { filing, details: Arc::new(notice.details) }];
    if let Some(award) = notice.award {
        events.push(OpportunityEvent::Awarded { key: notice.notice_id.to_string(), award });
    }
    events
}

aggregate!(Opportunity, "opportunity", OpportunityCommand, OpportunityEvent, OpportunityError);
