//! A proposal: what a company writes to win an opportunity.
//!
//! ```text
//! Unwritten ──draft──▶ Draft ──submit for review──▶ InReview ──approve──▶ Approved ──submit──▶ Submitted ──▶ Won, Lost
//!                       ▲ │ edits                     │
//!                       │ └─▶                         │
//!                       └────────────reject───────────┘         from any of them before the outcome: Withdrawn
//! ```

mod command;
mod error;
mod event;
mod manuscript;
mod section;
#[cfg(test)]
mod tests;
mod upcast;
mod value;

use serde::{Deserialize, Serialize};

pub(crate) use self::upcast::LINEAGES;
pub use self::{
    command::ProposalCommand,
    error::ProposalError,
    event::ProposalEvent,
    manuscript::{Comment, MAX_COMMENTS, Manuscript},
    section::{Edit, MAX_SECTIONS, Outline, Planned, Section, SectionKey},
    value::{
        CommentId, CommentText, Confirmation, Content, DecisionReason, Heading, Outcome, Phase, ProposalTitle,
        ReviewNote, Verdict, WithdrawalReason,
    },
};
use crate::aggregate::aggregate;
use crate::value::{Stamp, UserId};

/// State of one proposal, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proposal {
    /// Nobody has begun it.
    #[default]
    Unwritten,
    /// It is written.
    Draft(Box<Manuscript>),
    /// Somebody else looks at it.
    InReview {
        /// What is looked at.
        manuscript: Box<Manuscript>,
        /// Who wants it looked at.
        author: UserId,
    },
    /// It may be handed in.
    Approved(Box<Manuscript>),
    /// It was handed in.
    Submitted(Box<Manuscript>),
    /// The agency has decided.
    Decided {
        /// What was handed in.
        manuscript: Box<Manuscript>,
        /// How the agency decided.
        outcome: Outcome,
    },
    /// The company gave it up.
    Withdrawn(Box<Manuscript>),
}

impl Proposal {
    /// Decides what a command changes. An empty answer means the wish is already met.
    ///
    /// # Errors
    /// [`ProposalError`] when the proposal's state forbids it.
    pub fn decide(&self, command: ProposalCommand) -> Result<Vec<ProposalEvent>, ProposalError> {
        match command {
            ProposalCommand::Draft { opportunity_id, title, outline, stamp } => match self.manuscript() {
                None => Ok(vec![ProposalEvent::Drafted { opportunity_id, title, outline, stamp }]),
                Some(known) if known.began_as(&opportunity_id, &title, &outline) => Ok(vec![]),
                Some(_) => Err(ProposalError::AlreadyDrafted),
            },
            ProposalCommand::EditSection { edit, stamp } => self.draft()?.edit(edit, stamp),
            ProposalCommand::EditTogether { edits } => self.draft()?.edit_together(edits),
            ProposalCommand::RemoveSection { section, based_on, stamp } => {
                self.draft()?.remove(section, based_on, stamp)
            }
            ProposalCommand::Comment { comment_id, section, text, stamp } => {
                self.discussed()?.comment(comment_id, section, text, stamp)
            }
            ProposalCommand::ResolveComment { comment_id, stamp } => self.discussed()?.resolve(comment_id, stamp),
            ProposalCommand::SubmitForReview { stamp } => self.submit_for_review(stamp),
            ProposalCommand::Approve { .. } if self.phase() == Phase::Approved => Ok(vec![]),
            ProposalCommand::Approve { note, stamp } => {
                self.reviewed_by(&stamp.by)?;
                Ok(vec![ProposalEvent::Approved { note, stamp }])
            }
            ProposalCommand::Reject { note, stamp } => {
                self.reviewed_by(&stamp.by)?;
                Ok(vec![ProposalEvent::Rejected { note, stamp }])
            }
            ProposalCommand::Submit { confirmation, stamp } => match self {
                Self::Approved(_) => Ok(vec![ProposalEvent::Submitted { confirmation, stamp }]),
                Self::Submitted(_) => Ok(vec![]),
                Self::Unwritten
                | Self::Draft(_)
                | Self::InReview { .. }
                | Self::Decided { .. }
                | Self::Withdrawn(_) => Err(self.wrong_phase(Phase::Approved)),
            },
            ProposalCommand::RecordOutcome { outcome, stamp } => match self {
                Self::Submitted(_) => Ok(vec![ProposalEvent::Decided { outcome, stamp }]),
                Self::Decided { outcome: known, .. } if *known == outcome => Ok(vec![]),
                Self::Decided { .. } => Err(ProposalError::AlreadyDecided),
                Self::Unwritten | Self::Draft(_) | Self::InReview { .. } | Self::Approved(_) | Self::Withdrawn(_) => {
                    Err(self.wrong_phase(Phase::Submitted))
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

    fn submit_for_review(&self, stamp: Stamp) -> Result<Vec<ProposalEvent>, ProposalError> {
        match self {
            Self::Draft(manuscript) if manuscript.is_blank() => Err(ProposalError::NothingToReview),
            Self::Draft(_) => Ok(vec![ProposalEvent::SubmittedForReview { stamp }]),
            Self::InReview { .. } => Ok(vec![]),
            Self::Unwritten | Self::Approved(_) | Self::Submitted(_) | Self::Decided { .. } | Self::Withdrawn(_) => {
                Err(self.wrong_phase(Phase::Draft))
            }
        }
    }

    /// Whether that user may end the review now.
    fn reviewed_by(&self, user: &UserId) -> Result<(), ProposalError> {
        match self {
            Self::InReview { author, .. } if author == user => Err(ProposalError::OwnReview),
            Self::InReview { .. } => Ok(()),
            Self::Unwritten
            | Self::Draft(_)
            | Self::Approved(_)
            | Self::Submitted(_)
            | Self::Decided { .. }
            | Self::Withdrawn(_) => Err(self.wrong_phase(Phase::InReview)),
        }
    }

    fn draft(&self) -> Result<&Manuscript, ProposalError> {
        match self {
            Self::Draft(manuscript) => Ok(manuscript),
            Self::Unwritten
            | Self::InReview { .. }
            | Self::Approved(_)
            | Self::Submitted(_)
            | Self::Decided { .. }
            | Self::Withdrawn(_) => Err(self.wrong_phase(Phase::Draft)),
        }
    }

    /// What may be commented on.
    fn discussed(&self) -> Result<&Manuscript, ProposalError> {
        match self {
            Self::Draft(manuscript) | Self::InReview { manuscript, .. } | Self::Approved(manuscript) => Ok(manuscript),
            Self::Unwritten | Self::Submitted(_) | Self::Decided { .. } | Self::Withdrawn(_) => {
                Err(self.wrong_phase(Phase::Draft))
            }
        }
    }

    fn wrong_phase(&self, needed: Phase) -> ProposalError {
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
    pub fn phase(&self) -> Phase {
        match self {
            Self::Unwritten => Phase::Unwritten,
            Self::Draft(_) => Phase::Draft,
            Self::InReview { .. } => Phase::InReview,
            Self::Approved(_) => Phase::Approved,
            Self::Submitted(_) => Phase::Submitted,
            Self::Decided { outcome, .. } => match outcome.verdict {
                Verdict::Won => Phase::Won,
                Verdict::Lost => Phase::Lost,
            },
            Self::Withdrawn(_) => Phase::Withdrawn,
        }
    }

    /// What is written, once somebody has begun.
    pub fn manuscript(&self) -> Option<&Manuscript> {
        match self {
            Self::Unwritten => None,
            Self::Draft(manuscript)
            | Self::InReview { manuscript, .. }
            | Self::Approved(manuscript)
            | Self::Submitted(manuscript)
            | Self::Decided { manuscript, .. }
            | Self::Withdrawn(manuscript) => Some(manuscript),
        }
    }

    fn into_manuscript(self) -> Option<Box<Manuscript>> {
        match self {
            Self::Unwritten => None,
            Self::Draft(manuscript)
            | Self::InReview { manuscript, .. }
            | Self::Approved(manuscript)
            | Self::Submitted(manuscript)
            | Self::Decided { manuscript, .. }
            | Self::Withdrawn(manuscript) => Some(manuscript),
        }
    }

    /// Folds one event into the state. Never fails and never judges: it happened.
    pub fn evolve(&mut self, event: ProposalEvent) {
        let before = std::mem::take(self);
        if let ProposalEvent::Drafted { opportunity_id, title, outline, stamp } = event {
            *self = Self::Draft(Box::new(Manuscript::begun(opportunity_id, title, outline, stamp)));
            return;
        }
        let phase = before.phase();
        let author = if let Self::InReview { author, .. } = &before { Some(author.clone()) } else { None };
        let Some(mut manuscript) = before.into_manuscript() else { return };
        *self = match event {
            ProposalEvent::SubmittedForReview { stamp } => Self::InReview { manuscript, author: stamp.by },
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
            ProposalEvent::Decided { outcome, .. } => Self::Decided { manuscript, outcome },
            ProposalEvent::Withdrawn { .. } => Self::Withdrawn(manuscript),
            edit @ (ProposalEvent::SectionEdited { .. }
            | ProposalEvent::SectionRemoved { .. }
            | ProposalEvent::Commented { .. }
            | ProposalEvent::CommentResolved { .. }
            | ProposalEvent::Drafted { .. }) => {
                manuscript.evolve(edit);
                match author {
                    Some(author) => Self::InReview { manuscript, author },
                    None if phase == Phase::Approved => Self::Approved(manuscript),
                    None => Self::Draft(manuscript),
                }
            }
        };
    }
}

aggregate!(Proposal, "proposal", ProposalCommand, ProposalEvent, ProposalError);
