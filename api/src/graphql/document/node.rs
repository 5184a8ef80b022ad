//! The document as clients see it.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};
use domain::document as record;
use projections::tenant_views::StoredAggregate;

use crate::graphql::tenant_node::TenantNode;

/// Processing status of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "DocumentStatus", remote = "record::DocumentStatus")]
pub(super) enum DocumentStatusEnum {
    /// Uploaded, not processed yet.
    Uploaded,
    /// The text is extracted.
    Extracted,
    /// The requirements are found.
    Understood,
    /// The analysis is recorded.
    Analysed,
    /// A stage failed and has not succeeded since.
    Failed,
}

/// Kind of requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "RequirementKind", remote = "record::RequirementKind")]
pub(super) enum RequirementKindEnum {
    /// Something to do.
    Obligation,
    /// Something to do by a date.
    Deadline,
    /// Something to deliver.
    Deliverable,
    /// A criterion of the evaluation of proposals.
    Evaluation,
    /// A certification to hold.
    Certification,
    /// An instruction about what an offer contains and how it is submitted.
    Submission,
    /// A condition for making an offer: a set-aside, or the industry code with its size standard.
    Eligibility,
}

/// An uploaded file and the results of processing it.
#[derive(SimpleObject)]
#[graphql(name = "Document")]
pub(super) struct DocumentNode {
    /// Id.
    id: String,
    /// Version: the number of recorded changes.
    version: u64,
    /// Processing status.
    status: DocumentStatusEnum,
    /// File name.
    file_name: String,
    /// Media type, e.g. `application/pdf`.
    media_type: String,
    /// Size in bytes.
    bytes: u64,
    /// SHA-256 digest of the file, in hexadecimal.
    sha256: String,
    /// Id of the opportunity that the document belongs to.
    opportunity_id: Option<String>,
    /// Number of pages; null until the text is extracted.
    pages: Option<u32>,
    /// Requirements; null until they are found.
    requirements: Option<Vec<RequirementNode>>,
    /// Analysis; null until it is recorded.
    analysis: Option<DocumentAnalysisNode>,
    /// Why the last stage failed; null if it did not.
    failure: Option<String>,
    /// When it was uploaded.
    created_at: DateTime<Utc>,
    /// Who uploaded it.
    created_by: String,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

/// A requirement stated in a document.
#[derive(SimpleObject)]
#[graphql(name = "Requirement")]
struct RequirementNode {
    /// Its number in the document.
    number: Option<String>,
    /// Kind of requirement.
    kind: RequirementKindEnum,
    /// Text.
    text: String,
    /// Page number, from 1.
    page: Option<u32>,
    /// When it is due.
    due: Option<DateTime<Utc>>,
}

/// Analysis of a document.
#[derive(SimpleObject)]
#[graphql(name = "DocumentAnalysis")]
struct DocumentAnalysisNode {
    /// Summary.
    summary: String,
    /// How well the document fits the company, 0 to 100.
    fit_score: Option<i32>,
    /// What the score consists of, with the points of each part and why; without a score, why there is none.
    fit_reasons: Vec<String>,
    /// Risks.
    risks: Vec<String>,
    /// Name of the model that made the analysis.
    model: String,
}

impl TenantNode for DocumentNode {
    type Aggregate = record::Document;

    fn from_stored(id: String, stored: StoredAggregate<Self::Aggregate>) -> Option<Self> {
        let uploaded = stored.state.as_uploaded()?.clone();
        let requirement = |requirement: &record::DocumentRequirement| RequirementNode {
            number: requirement.number.as_ref().map(ToString::to_string),
            kind: requirement.kind.into(),
            text: requirement.text.to_string(),
            page: requirement.page,
            due: requirement.due,
        };
        let analysis = |analysis: record::AnalysisReport| DocumentAnalysisNode {
            summary: analysis.summary.to_string(),
            fit_score: analysis.fit_score.map(|score| i32::from(score.number())),
            fit_reasons: analysis.fit_reasons.iter().flatten().map(ToString::to_string).collect(),
            risks: analysis.risks.iter().map(ToString::to_string).collect(),
            model: analysis.model.to_string(),
        };
        Some(Self {
            id,
            version: stored.version,
            status: uploaded.status().into(),
            file_name: uploaded.upload.file_name.to_string(),
            media_type: uploaded.upload.media_type.to_string(),
            bytes: uploaded.upload.bytes,
            sha256: uploaded.upload.sha256.as_str().to_owned(),
            opportunity_id: uploaded.upload.opportunity_id.as_ref().map(ToString::to_string),
            pages: uploaded.text.as_ref().map(|text| text.pages),
            requirements: uploaded.requirements.as_ref().map(|found| found.iter().map(requirement).collect()),
            analysis: uploaded.analysis.map(analysis),
            failure: uploaded.failure.map(|failure| failure.reason.to_string()),
            created_at: stored.created_at,
            created_by: stored.created_by,
            updated_at: stored.updated_at,
        })
    }
}
