//! A proposal: a company's offer for an opportunity, from the first draft to the agency's decision.
//!
//! ```text
//! Unwritten ──draft──▶ Draft ──submit for review──▶ InReview ──approve──▶ Approved ──submit──▶ Submitted ──▶ Won, Lost
//!                       ▲ │ edits                     │
//!                       │ └─▶                         │
//!                       └────────────reject───────────┘         from any of these before the outcome: Withdrawn
//! ```

mod command;
mod content;
mod error;
mod event;
mod section;
#[cfg(test)]
mod tests;
mod value;

use serde::{Deserialize, Serialize};

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
    /// No draft exists yet.
    #[default]
    Unwritten,
    /// Members edit its sections.
    Draft(Box<ProposalContent>),
    /// Another member than its author reviews it.
    InReview {
        /// The content under review.
        #[serde(rename = "manuscript")]
        content: Box<ProposalContent>,
        /// Who submitted it for review, and may therefore not end the review.
        #[serde(rename = "author")]
        submitted_by: UserId,
    },
    /// The review approved it; it may be submitted to the agency.
    Approved(Box<ProposalContent>),
    /// It was submitted to the agency.
    Submitted(Box<ProposalContent>),
    /// The agency has decided about it.
    Decided {
        /// The submitted content.
        #[serde(rename = "manuscript")]
        content: Box<ProposalContent>,
        /// How the agency decided.
        outcome: ProposalOutcome,
    },
    /// The company withdrew it.
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
            Self::Draft(content) if content.is_blank() => Err(ProposalError::NothingToReview),
            Self::Draft(_) => Ok(vec![ProposalEvent::SubmittedForReview { stamp }]),
            Self::InReview { .. } => Ok(vec![]),
            Self::Unwritten | Self::Approved(_) | Self::Submitted(_) | Self::Decided { .. } | Self::Withdrawn(_) => {
                Err(self.wrong_phase_error(LifecyclePhase::Draft))
            }
        }
    }

    /// Checks that the proposal is under review and that the user is not the one who submitted it for review.
    fn check_reviewer(&self, user: &UserId) -> Result<(), ProposalError> {
        match self {
            Self::InReview { submitted_by, .. } if submitted_by == user => Err(ProposalError::OwnReview),
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
            Self::Draft(content) => Ok(content),
            Self::Unwritten
            | Self::InReview { .. }
            | Self::Approved(_)
            | Self::Submitted(_)
            | Self::Decided { .. }
            | Self::Withdrawn(_) => Err(self.wrong_phase_error(LifecyclePhase::Draft)),
        }
    }

    /// The content, in the phases that allow comments.
    fn require_commentable(&self) -> Result<&ProposalContent, ProposalError> {
        match self {
            Self::Draft(content) | Self::InReview { content, .. } | Self::Approved(content) => Ok(content),
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

    /// The current phase.
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

    /// The content; `None` before the first draft.
    pub fn content(&self) -> Option<&ProposalContent> {
        match self {
            Self::Unwritten => None,
            Self::Draft(content)
            | Self::InReview { content, .. }
            | Self::Approved(content)
            | Self::Submitted(content)
            | Self::Decided { content, .. }
            | Self::Withdrawn(content) => Some(content),
        }
    }

    fn into_content(self) -> Option<Box<ProposalContent>> {
        match self {
            Self::Unwritten => None,
            Self::Draft(content)
            | Self::InReview { content, .. }
            | Self::Approved(content)
            | Self::Submitted(content)
            | Self::Decided { content, .. }
            | Self::Withdrawn(content) => Some(content),
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
        let submitted_by =
            if let Self::InReview { submitted_by, .. } = &before { Some(submitted_by.clone()) } else { None };
        let Some(mut content) = before.into_content() else { return };
        *self = match event {
            ProposalEvent::SubmittedForReview { stamp } => Self::InReview { content, submitted_by: stamp.by },
            ProposalEvent::Approved { note, .. } => {
                content.review = note;
                Self::Approved(content)
            }
            ProposalEvent::Rejected { note, .. } => {
                content.review = Some(note);
                Self::Draft(content)
            }
            ProposalEvent::Submitted { confirmation, .. } => {
                content.confirmation = confirmation;
                Self::Submitted(content)
            }
            ProposalEvent::Decided { outcome, .. } => Self::Decided { content, outcome },
            ProposalEvent::Withdrawn { .. } => Self::Withdrawn(content),
            edit @ (ProposalEvent::SectionEdited { .. }
            | ProposalEvent::SectionRemoved { .. }
            | ProposalEvent::Commented { .. }
            | ProposalEvent::CommentResolved { .. }
            | ProposalEvent::Drafted { .. }) => {
                content.evolve(edit);
                match submitted_by {
                    Some(submitted_by) => Self::InReview { content, submitted_by },
                    None if phase == LifecyclePhase::Approved => Self::Approved(content),
                    None => Self::Draft(content),
                }
            }
        };
    }
}

aggregate!(Proposal, "proposal", ProposalCommand, ProposalEvent, ProposalError);
