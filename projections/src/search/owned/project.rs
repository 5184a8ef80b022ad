//! From events to the units that they touch.

use cqrs_es::Aggregate;
use domain::{
    document::{Document, DocumentEvent},
    envelope::RawRecorded,
    proposal::{Proposal, ProposalEvent},
    resource::{Asset, Resource, ResourceEvent},
};

use super::unit::{OwnedKind, Unit};
use crate::runtime::ProjectionError;

/// The title of a proposal.
const TITLE: &str = "title";
/// The name of a document's file.
const FILE: &str = "file";
/// What a document asks for.
const REQUIREMENTS: &str = "requirements";
/// What a document was summed up to.
const ANALYSIS: &str = "analysis";
/// All of a resource.
const WHOLE: &str = "whole";

/// The units that an event touches, each as the event leaves it.
///
/// # Errors
/// [`ProjectionError::Poison`] when the event's payload has an unknown shape.
pub(in crate::search) fn units(event: &RawRecorded) -> Result<Vec<Unit>, ProjectionError> {
    match event.aggregate_type.as_str() {
        <Proposal as Aggregate>::TYPE => event.decode().map(|happened| of_proposal(event, &happened)),
        <Document as Aggregate>::TYPE => event.decode().map(|happened| of_document(event, &happened)),
        <Resource as Aggregate>::TYPE => event.decode().map(|happened| of_resource(event, &happened)),
        _ => return Ok(vec![]),
    }
    .map_err(ProjectionError::poison)
}

fn of_proposal(event: &RawRecorded, happened: &ProposalEvent) -> Vec<Unit> {
    let kind = OwnedKind::Proposal;
    match happened {
        ProposalEvent::Drafted { title, .. } => vec![Unit::of(event, kind, TITLE, title.as_str(), "")],
        ProposalEvent::SectionEdited { section, heading, content, .. } => {
            vec![Unit::of(event, kind, &format!("section:{section}"), heading.as_str(), content.as_str())]
        }
        ProposalEvent::SectionRemoved { section, .. } => vec![Unit::gone(event, kind, &format!("section:{section}"))],
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

fn of_document(event: &RawRecorded, happened: &DocumentEvent) -> Vec<Unit> {
    let kind = OwnedKind::Document;
    match happened {
        DocumentEvent::Uploaded { upload, .. } => vec![Unit::of(event, kind, FILE, upload.file_name.as_str(), "")],
        DocumentEvent::RequirementsExtracted { requirements, .. } => {
            let lines: Vec<_> = requirements.iter().map(|requirement| requirement.text.as_str()).collect();
            vec![Unit::of(event, kind, REQUIREMENTS, "Requirements", &lines.join("\n\n"))]
        }
        DocumentEvent::Analysed { analysis, .. } => {
            let risks = analysis.risks.iter().map(domain::document::Risk::as_str);
            let text: Vec<_> = [analysis.summary.as_str()].into_iter().chain(risks).collect();
            vec![Unit::of(event, kind, ANALYSIS, "Analysis", &text.join("\n\n"))]
        }
        DocumentEvent::Deleted { .. } => {
            [FILE, REQUIREMENTS, ANALYSIS].into_iter().map(|part| Unit::gone(event, kind, part)).collect()
        }
        // Where the text is kept; it is not in the log.
        DocumentEvent::TextExtracted { .. } | DocumentEvent::Failed { .. } => vec![],
    }
}

fn of_resource(event: &RawRecorded, happened: &ResourceEvent) -> Vec<Unit> {
    let kind = OwnedKind::Resource;
    match happened {
        ResourceEvent::Created { asset, .. } | ResourceEvent::Updated { asset, .. } => {
            vec![Unit::of(event, kind, WHOLE, asset.name.as_str(), &text_of(asset))]
        }
        ResourceEvent::Deleted { .. } => vec![Unit::gone(event, kind, WHOLE)],
    }
}

/// What a resource says, and the words to find it by.
fn text_of(asset: &Asset) -> String {
    let tags: Vec<_> = asset.tags.iter().map(|tag| tag.as_str().replace('-', " ")).collect();
    if tags.is_empty() { asset.body.to_string() } else { format!("{}\n\n{}", asset.body, tags.join(", ")) }
}

#[cfg(test)]
mod tests;
