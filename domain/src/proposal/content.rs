//! The content of a proposal: sections, comments and review.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    error::ProposalError,
    event::ProposalEvent,
    section::{MAX_SECTIONS, ProposalOutline, Section, SectionChange, SectionKey},
    value::{CommentId, CommentText, ProposalTitle, ReviewNote, SubmissionConfirmation},
};
use crate::{opportunity::OpportunityId, value::AuditStamp};

/// Maximum number of comments on one proposal.
pub const MAX_COMMENTS: usize = 2_000;

/// A comment on a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewComment {
    /// The comment's id.
    pub comment_id: CommentId,
    /// The section it is about; `None` for the whole proposal.
    pub section: Option<SectionKey>,
    /// The comment's text.
    pub text: CommentText,
    /// Who wrote it, and when.
    pub stamp: AuditStamp,
    /// Whether it is resolved.
    pub resolved: bool,
}

/// The content of a proposal with its comments and review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalContent {
    /// The opportunity that it answers.
    pub opportunity_id: OpportunityId,
    /// The proposal's title.
    pub title: ProposalTitle,
    /// The outline of the first draft, to recognise a repeated `Draft`.
    outline: ProposalOutline,
    /// Who created the draft, and when.
    #[serde(rename = "begun")]
    pub drafted: AuditStamp,
    /// The sections, in their order.
    pub sections: Vec<Section>,
    /// The last revisions of removed sections. A section that is added again continues from that revision, so that an
    /// author who has read the old text cannot overwrite the new one.
    removed: BTreeMap<SectionKey, u32>,
    /// The comments, the oldest first.
    pub comments: Vec<ReviewComment>,
    /// The note of the last review.
    pub review: Option<ReviewNote>,
    /// The agency's confirmation of the submission.
    pub confirmation: Option<SubmissionConfirmation>,
}

impl ProposalContent {
    pub(super) fn new(
        opportunity_id: OpportunityId,
        title: ProposalTitle,
        outline: ProposalOutline,
        drafted: AuditStamp,
    ) -> Self {
        let sections = outline.clone().into_sections();
        let (removed, comments, review, confirmation) = (BTreeMap::new(), vec![], None, None);
        Self { opportunity_id, title, outline, drafted, sections, removed, comments, review, confirmation }
    }

    pub(super) fn is_same_draft(
        &self,
        opportunity_id: &OpportunityId,
        title: &ProposalTitle,
        outline: &ProposalOutline,
    ) -> bool {
        (&self.opportunity_id, &self.title, &self.outline) == (opportunity_id, title, outline)
    }

    /// The section with that key.
    pub fn section(&self, key: &SectionKey) -> Option<&Section> {
        self.sections.iter().find(|section| section.key == *key)
    }

    /// Whether no section has content.
    pub fn is_blank(&self) -> bool {
        self.sections.iter().all(|section| section.content.is_none())
    }

    pub(super) fn edit_section(
        &self,
        edit: SectionChange,
        stamp: AuditStamp,
    ) -> Result<Vec<ProposalEvent>, ProposalError> {
        let SectionChange { section, heading, content, based_on } = edit;
        let current = self.section(&section).map_or(0, |known| known.revision);
        if let Some(known) = self.section(&section)
            && known.heading == heading
            && known.content.as_ref() == Some(&content)
        {
            return Ok(vec![]);
        }
        if current != based_on {
            return Err(ProposalError::StaleSection { current });
        }
        if self.section(&section).is_none() && self.sections.len() >= MAX_SECTIONS {
            return Err(ProposalError::TooManySections);
        }
        let revision = current.max(self.removed.get(&section).copied().unwrap_or_default()) + 1;
        Ok(vec![ProposalEvent::SectionEdited { section, heading, content, revision, stamp }])
    }

    pub(super) fn edit_sections(
        &self,
        edits: Vec<(SectionChange, AuditStamp)>,
    ) -> Result<Vec<ProposalEvent>, ProposalError> {
        let (mut after, mut events) = (self.clone(), vec![]);
        for (edit, stamp) in edits {
            for event in after.edit_section(edit, stamp)? {
                after.evolve(event.clone());
                events.push(event);
            }
        }
        Ok(events)
    }

    pub(super) fn remove_section(
        &self,
        section: SectionKey,
        based_on: u32,
        stamp: AuditStamp,
    ) -> Result<Vec<ProposalEvent>, ProposalError> {
        match self.section(&section) {
            None => Ok(vec![]),
            Some(known) if known.revision != based_on => Err(ProposalError::StaleSection { current: known.revision }),
            Some(_) => Ok(vec![ProposalEvent::SectionRemoved { section, stamp }]),
        }
    }

    pub(super) fn add_comment(
        &self,
        comment_id: CommentId,
        section: Option<SectionKey>,
        text: CommentText,
        stamp: AuditStamp,
    ) -> Result<Vec<ProposalEvent>, ProposalError> {
        if let Some(known) = self.comments.iter().find(|known| known.comment_id == comment_id) {
            let is_repetition = known.text == text && known.section == section && known.stamp.by == stamp.by;
            return if is_repetition { Ok(vec![]) } else { Err(ProposalError::CommentIdTaken) };
        }
        if section.as_ref().is_some_and(|key| self.section(key).is_none()) {
            return Err(ProposalError::NoSuchSection);
        }
        if self.comments.len() >= MAX_COMMENTS {
            return Err(ProposalError::TooManyComments);
        }
        Ok(vec![ProposalEvent::Commented { comment_id, section, text, stamp }])
    }

    pub(super) fn resolve_comment(
        &self,
        comment_id: CommentId,
        stamp: AuditStamp,
    ) -> Result<Vec<ProposalEvent>, ProposalError> {
        match self.comments.iter().find(|known| known.comment_id == comment_id) {
            None => Err(ProposalError::NoSuchComment),
            Some(known) if known.resolved => Ok(vec![]),
            Some(_) => Ok(vec![ProposalEvent::CommentResolved { comment_id, stamp }]),
        }
    }

    pub(super) fn evolve(&mut self, event: ProposalEvent) {
        match event {
            ProposalEvent::SectionEdited { section: key, heading, content, revision, .. } => {
                let edited = Section { key, heading, content: Some(content), revision };
                match self.sections.iter_mut().find(|known| known.key == edited.key) {
                    Some(known) => *known = edited,
                    None => self.sections.push(edited),
                }
            }
            ProposalEvent::SectionRemoved { section, .. } => {
                if let Some(index) = self.sections.iter().position(|known| known.key == section) {
                    let known = self.sections.remove(index);
                    self.removed.insert(known.key, known.revision);
                }
            }
            ProposalEvent::Commented { comment_id, section, text, stamp } => {
                self.comments.push(ReviewComment { comment_id, section, text, stamp, resolved: false });
            }
            ProposalEvent::CommentResolved { comment_id, .. } => {
                for comment in self.comments.iter_mut().filter(|known| known.comment_id == comment_id) {
                    comment.resolved = true;
                }
            }
            // They change the phase; `Proposal::evolve` handles them.
            ProposalEvent::Drafted { .. }
            | ProposalEvent::SubmittedForReview { .. }
            | ProposalEvent::Approved { .. }
            | ProposalEvent::Rejected { .. }
            | ProposalEvent::Submitted { .. }
            | ProposalEvent::Decided { .. }
            | ProposalEvent::Withdrawn { .. } => {}
        }
    }
}
