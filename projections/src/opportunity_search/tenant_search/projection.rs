//! The projection of events to search units.

use cqrs_es::Aggregate;
use domain::{
    document::{Document, DocumentEvent},
    envelope::RawEnvelope,
    proposal::{Proposal, ProposalEvent},
    resource::{Resource, ResourceContent, ResourceEvent},
};

use super::search_unit::{SearchUnit, SearchUnitKind};
use crate::runtime::ProjectionError;

/// The title of a proposal.
const TITLE: &str = "title";
/// The name of a document's file.
const FILE: &str = "file";
/// The requirements in a document.
const REQUIREMENTS: &str = "requirements";
/// The analysis of a document.
const ANALYSIS: &str = "analysis";
/// The text of a document.
pub(super) const TEXT: &str = "text";
/// The whole of a resource.
const WHOLE: &str = "whole";

/// The units that an event changes, with their new content.
///
/// # Errors
/// [`ProjectionError::Poison`] when the event cannot be decoded.
pub(in crate::opportunity_search) fn project_units(event: &RawEnvelope) -> Result<Vec<SearchUnit>, ProjectionError> {
    match event.aggregate_type.as_str() {
        <Proposal as Aggregate>::TYPE => event.decode().map(|decoded| proposal_units(event, &decoded)),
        <Document as Aggregate>::TYPE => event.decode().map(|decoded| document_units(event, &decoded)),
        <Resource as Aggregate>::TYPE => event.decode().map(|decoded| resource_units(event, &decoded)),
        _ => return Ok(vec![]),
    }
    .map_err(ProjectionError::poison)
}

fn proposal_units(event: &RawEnvelope, decoded: &ProposalEvent) -> Vec<SearchUnit> {
    let kind = SearchUnitKind::Proposal;
    match decoded {
        ProposalEvent::Drafted { title, .. } => vec![SearchUnit::from_event(event, kind, TITLE, title.as_str(), "")],
        ProposalEvent::SectionEdited { section, heading, content, .. } => {
            vec![SearchUnit::from_event(event, kind, &format!("section:{section}"), heading.as_str(), content.as_str())]
        }
        ProposalEvent::SectionRemoved { section, .. } => {
            vec![SearchUnit::deleted(event, kind, &format!("section:{section}"))]
        }
        ProposalEvent::Commented { .. }
        | ProposalEvent::CommentResolved { .. }
        | ProposalEvent::SubmittedForReview { .. }
        | ProposalEvent::Approved { .. }
        | ProposalEvent::Rejected { .. }
        | ProposalEvent::Submitted { .. }
        | ProposalEvent::Decided { .. }
        | ProposalEvent::Withdrawn { .. } => vec![],
    }
}

fn document_units(event: &RawEnvelope, decoded: &DocumentEvent) -> Vec<SearchUnit> {
    let kind = SearchUnitKind::Document;
    match decoded {
        DocumentEvent::Uploaded { upload, .. } => {
            vec![SearchUnit::from_event(event, kind, FILE, upload.file_name.as_str(), "")]
        }
        DocumentEvent::RequirementsExtracted { requirements, .. } => {
            let lines: Vec<_> = requirements.iter().map(|requirement| requirement.text.as_str()).collect();
            vec![SearchUnit::from_event(event, kind, REQUIREMENTS, "Requirements", &lines.join("\n\n"))]
        }
        DocumentEvent::Analysed { analysis, .. } => {
            let risks = analysis.risks.iter().map(domain::document::RiskText::as_str);
            let text: Vec<_> = [analysis.summary.as_str()].into_iter().chain(risks).collect();
            vec![SearchUnit::from_event(event, kind, ANALYSIS, "Analysis", &text.join("\n\n"))]
        }
        DocumentEvent::Deleted { .. } => [FILE, TEXT, REQUIREMENTS, ANALYSIS]
            .into_iter()
            .map(|part| SearchUnit::deleted(event, kind, part))
            .collect(),
        // The text itself is in the object store; its chunks are written with this unit.
        DocumentEvent::TextExtracted { text, .. } => {
            vec![SearchUnit::whole_text(event, TEXT, text.text_key.as_str())]
        }
        DocumentEvent::Failed { .. } => vec![],
    }
}

fn resource_units(event: &RawEnvelope, decoded: &ResourceEvent) -> Vec<SearchUnit> {
    let kind = SearchUnitKind::Resource;
    match decoded {
        ResourceEvent::Created { content, .. } | ResourceEvent::Updated { content, .. } => {
            vec![SearchUnit::from_event(event, kind, WHOLE, content.name.as_str(), &resource_text(content))]
        }
        ResourceEvent::Deleted { .. } => vec![SearchUnit::deleted(event, kind, WHOLE)],
    }
}

/// The body and the tags of a resource.
fn resource_text(content: &ResourceContent) -> String {
    let tags: Vec<_> = content.tags.iter().map(|tag| tag.as_str().replace('-', " ")).collect();
    if tags.is_empty() { content.body.to_string() } else { format!("{}\n\n{}", content.body, tags.join(", ")) }
}

#[cfg(test)]
mod tests;
