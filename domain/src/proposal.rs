//! A proposal: what a company writes to win an opportunity.
//!
//! ```text
//! Unwritten ──draft──▶ Draft ──submit for review──▶ InReview ──approve──▶ Approved ──submit──▶ Submitted ──▶ Won, Lost
//!                       ▲ │ edits                     │
//!                       │ └─▶                         │
//!                       └────────────reject───────────┘         from any of them before the outcome: Withdrawn
//! ```

mod command;
mod content;
mod error;
mod event;
mod section;
#[cfg(test)]
mod tests;
mod upcast;
mod value;

use serde::{Deserialize, Serialize};

pub(crate) use self::upcast::VERSION_HISTORIES;
pub use self::{
    command::ProposalCommand,
    content::{MAX_COMMENTS, ProposalContent, ReviewComment},
    error::ProposalError,
    event::ProposalEvent,
    section::{MAX_SECTIONS, PlannedSection, ProposalOutline, Section, SectionChange, SectionKey},
    value::{
        AgencyDecision, CommentId, CommentText, DecisionReason, LifecyclePhase, ProposalOutcome, ProposalTitle,
        ReviewNote, SectionContent, SectionHeading, SubmissionConfirmation, WithdrawalReason,
    },
};
use crate::aggregate::aggregate;
use crate::value::{AuditStamp, UserId};

/// State of one proposal, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proposal {
    /// Nobody has begun it.
    #[default]
    Unwritten,
    /// It is written.
    Draft(Box<ProposalContent>),
    /// Somebody else looks at it.
    InReview {
        /// What is looked at.
        #[serde(rename = "manuscript")]
        content: Box<ProposalContent>,
        /// Who wants it looked at.
        author: UserId,
    },
    /// It may be handed in.
    Approved(Box<ProposalContent>),
    /// It was handed in.
    Submitted(Box<ProposalContent>),
    /// The agency has decided.
    Decided {
        /// What was handed in.
        #[serde(rename = "manuscript")]
        content: Box<ProposalContent>,
        /// How the agency decided.
        outcome: ProposalOutcome,
    },
    /// The company gave it up.
    Withdrawn(Box<ProposalContent>),
}

impl Proposal {
    /// Decides which events a command leads to; none if it changes nothing.
    ///
    /// # Errors
    /// [`ProposalError`] when the proposal's state forbids it.
    pub fn decide(&self, command: ProposalCommand) -> Result<Vec<ProposalEvent>, ProposalError> {
        match command {
            ProposalCommand::Draft { opportunity_id, title, outline, stamp } => match self.content() {
                None => Ok(vec![ProposalEvent::Drafted { opportunity_id, title, outline, stamp }]),
                Some(known) if known.is_same_draft(&opportunity_id, &title, &outline) => Ok(vec![]),
                Some(_) => Err(ProposalError::AlreadyDrafted),
            },
            ProposalCommand::EditSection { edit, stamp } => self.require_draft()?.edit_section(edit, stamp),
            ProposalCommand::EditSections { edits } => self.require_draft()?.edit_sections(edits),
            ProposalCommand::RemoveSection { section, based_on, stamp } => {
                self.require_draft()?.remove_section(section, based_on, stamp)
            }
            ProposalCommand::Comment { comment_id, section, text, stamp } => {
                self.require_commentable()?.add_comment(comment_id, section, text, stamp)
            }
            ProposalCommand::ResolveComment { comment_id, stamp } => {
                self.require_commentable()?.resolve_comment(comment_id, stamp)
            }
            ProposalCommand::SubmitForReview { stamp } => self.submit_for_review(stamp),
            ProposalCommand::Approve { .. } if self.phase() == LifecyclePhase::Approved => Ok(vec![]),
            ProposalCommand::Approve { note, stamp } => {
                self.check_reviewer(&stamp.by)?;
                Ok(vec![ProposalEvent::Approved { note, stamp }])
            }
            ProposalCommand::Reject { note, stamp } => {
                self.check_reviewer(&stamp.by)?;
                Ok(vec![ProposalEvent::Rejected { note, stamp }])
            }
            ProposalCommand::Submit { confirmation, stamp } => match self {
                Self::Approved(_) => Ok(vec![ProposalEvent::Submitted { confirmation, stamp }]),
                Self::Submitted(_) => Ok(vec![]),
                Self::Unwritten
                | Self::Draft(_)
                | Self::InReview { .. }
                | Self::Decided { .. }
                | Self::Withdrawn(_) => Err(self.wrong_phase_error(LifecyclePhase::Approved)),
            },
            ProposalCommand::RecordOutcome { outcome, stamp } => match self {
                Self::Submitted(_) => Ok(vec![ProposalEvent::Decided { outcome, stamp }]),
                Self::Decided { outcome: known, .. } if *known == outcome => Ok(vec![]),
                Self::Decided { .. } => Err(ProposalError::AlreadyDecided),
                Self::Unwritten | Self::Draft(_) | Self::InReview { .. } | Self::Approved(_) | Self::Withdrawn(_) => {
                    Err(self.wrong_phase_error(LifecyclePhase::Submitted))
                }
            },
            ProposalCommand::Withdraw { reason, stamp } => match self {
                Self::Withdrawn(_) => Ok(vec![]),
                Self::Unwritten => Err(ProposalError::NotDrafted),
                Self::Decided { .. } => Err(ProposalError::AlreadyDecided),
                Self::Draft(_) | Self::InReview { .. } | Self::Approved(_) | Self::Submitted(_) => {
                    Ok(vec![ProposalEvent::Withdrawn { reason, stamp }])
                }
            },
        }
    }

    fn submit_for_review(&self, stamp: AuditStamp) -> Result<Vec<ProposalEvent>, ProposalError> {
        match self {
            Self::Draft(manuscript) if manuscript.is_blank() => Err(ProposalError::NothingToReview),
            Self::Draft(_) => Ok(vec![ProposalEvent::SubmittedForReview { stamp }]),
            Self::InReview { .. } => Ok(vec![]),
            Self::Unwritten | Self::Approved(_) | Self::Submitted(_) | Self::Decided { .. } | Self::Withdrawn(_) => {
                Err(self.wrong_phase_error(LifecyclePhase::Draft))
            }
        }
    }

    /// Whether that user may end the review now.
    fn check_reviewer(&self, user: &UserId) -> Result<(), ProposalError> {
        match self {
            Self::InReview { author, .. } if author == user => Err(ProposalError::OwnReview),
            Self::InReview { .. } => Ok(()),
            Self::Unwritten
            | Self::Draft(_)
            | Self::Approved(_)
            | Self::Submitted(_)
            | Self::Decided { .. }
            | Self::Withdrawn(_) => Err(self.wrong_phase_error(LifecyclePhase::InReview)),
        }
    }

    fn require_draft(&self) -> Result<&ProposalContent, ProposalError> {
        match self {
            Self::Draft(manuscript) => Ok(manuscript),
            Self::Unwritten
            | Self::InReview { .. }
            | Self::Approved(_)
            | Self::Submitted(_)
            | Self::Decided { .. }
            | Self::Withdrawn(_) => Err(self.wrong_phase_error(LifecyclePhase::Draft)),
        }
    }

    /// What may be commented on.
    fn require_commentable(&self) -> Result<&ProposalContent, ProposalError> {
        match self {
            Self::Draft(manuscript) | Self::InReview { content: manuscript, .. } | Self::Approved(manuscript) => {
                Ok(manuscript)
            }
            Self::Unwritten | Self::Submitted(_) | Self::Decided { .. } | Self::Withdrawn(_) => {
                Err(self.wrong_phase_error(LifecyclePhase::Draft))
            }
        }
    }

    fn wrong_phase_error(&self, needed: LifecyclePhase) -> ProposalError {
        match self {
            Self::Unwritten => ProposalError::NotDrafted,
            Self::Draft(_)
            | Self::InReview { .. }
            | Self::Approved(_)
            | Self::Submitted(_)
            | Self::Decided { .. }
            | Self::Withdrawn(_) => ProposalError::WrongPhase { phase: self.phase(), needed },
        }
    }

    /// How far it is.
    pub fn phase(&self) -> LifecyclePhase {
        match self {
            Self::Unwritten => LifecyclePhase::Unwritten,
            Self::Draft(_) => LifecyclePhase::Draft,
            Self::InReview { .. } => LifecyclePhase::InReview,
            Self::Approved(_) => LifecyclePhase::Approved,
            Self::Submitted(_) => LifecyclePhase::Submitted,
            Self::Decided { outcome, .. } => match outcome.verdict {
                AgencyDecision::Won => LifecyclePhase::Won,
                AgencyDecision::Lost => LifecyclePhase::Lost,
            },
            Self::Withdrawn(_) => LifecyclePhase::Withdrawn,
        }
    }

    /// What is written, once somebody has begun.
    pub fn content(&self) -> Option<&ProposalContent> {
        match self {
            Self::Unwritten => None,
            Self::Draft(manuscript)
            | Self::InReview { content: manuscript, .. }
            | Self::Approved(manuscript)
            | Self::Submitted(manuscript)
            | Self::Decided { content: manuscript, .. }
            | Self::Withdrawn(manuscript) => Some(manuscript),
        }
    }

    fn into_content(self) -> Option<Box<ProposalContent>> {
        match self {
            Self::Unwritten => None,
            Self::Draft(manuscript)
            | Self::InReview { content: manuscript, .. }
            | Self::Approved(manuscript)
            | Self::Submitted(manuscript)
            | Self::Decided { content: manuscript, .. }
            | Self::Withdrawn(manuscript) => Some(manuscript),
        }
    }

    /// Folds one event into the state. Never fails and checks no rules, since the event is recorded.
    pub fn evolve(&mut self, event: ProposalEvent) {
        let before = std::mem::take(self);
        if let ProposalEvent::Drafted { opportunity_id, title, outline, stamp } = event {
            *self = Self::Draft(Box::new(ProposalContent::new(opportunity_id, title, outline, stamp)));
            return;
        }
        let phase = before.phase();
        let author = if let Self::InReview { author, .. } = &before { Some(author.clone()) } else { None };
        let Some(mut manuscript) = before.into_content() else { return };
        *self = match event {
            ProposalEvent::SubmittedForReview { stamp } => Self::InReview { content: manuscript, author: stamp.by },
            ProposalEvent::Approved { note, .. } => {
                manuscript.review = note;
                Self::Approved(manuscript)
            }
            ProposalEvent::Rejected { note, .. } => {
                manuscript.review = Some(note);
                Self::Draft(manuscript)
            }
            ProposalEvent::Submitted { confirmation, .. } => {
                manuscript.confirmation = confirmation;
                Self::Submitted(manuscript)
            }
            ProposalEvent::Decided { outcome, .. } => Self::Decided { content: manuscript, outcome },
            ProposalEvent::Withdrawn { .. } => Self::Withdrawn(manuscript),
            edit @ (ProposalEvent::SectionEdited { .. }
            | ProposalEvent::SectionRemoved { .. }
            | ProposalEvent::Commented { .. }
            | ProposalEvent::CommentResolved { .. }
            | ProposalEvent::Drafted { .. }) => {
                manuscript.evolve(edit);
                match author {
                    Some(author) => Self::InReview { content: manuscript, author },
                    None if phase == LifecyclePhase::Approved => Self::Approved(manuscript),
                    None => Self::Draft(manuscript),
                }
            }
        };
    }
}

aggregate!(Proposal, "proposal", ProposalCommand, ProposalEvent, ProposalError);
