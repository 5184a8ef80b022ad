//! What a frontend sees of a document.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};
use domain::document as record;
use projections::tenant_views::StoredAggregate;

/// How far a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "DocumentStatus", remote = "record::DocumentStatus")]
pub(super) enum DocumentStatusEnum {
    /// Nothing of it was read yet.
    Uploaded,
    /// Its text was read.
    Extracted,
    /// What it asks for was found.
    Understood,
    /// It was summed up.
    Analysed,
    /// A stage failed, and has not succeeded since.
    Failed,
}

/// What kind of requirement it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "RequirementKind", remote = "record::RequirementKind")]
pub(super) enum RequirementKindEnum {
    /// Something that has to be done.
    Obligation,
    /// Something that has to be done by then.
    Deadline,
    /// Something that has to be delivered.
    Deliverable,
    /// Something that is looked at when proposals are compared.
    Evaluation,
    /// Something that has to be certified.
    Certification,
}

/// A file that somebody uploaded, and what was read from it.
#[derive(SimpleObject)]
#[graphql(name = "Document")]
pub(super) struct DocumentNode {
    /// Its id.
    id: String,
    /// How many changes are on record; grows with each.
    version: u64,
    /// How far it is.
    status: DocumentStatusEnum,
    /// What the file was called.
    file_name: String,
    /// What kind of file it is, e.g. `application/pdf`.
    media_type: String,
    /// How long it is, in bytes.
    bytes: u64,
    /// Its SHA-256.
    sha256: String,
    /// The opportunity that it belongs to.
    opportunity_id: Option<String>,
    /// How many pages its text has, once it was read.
    pages: Option<u32>,
    /// What it asks for, once that was found.
    requirements: Option<Vec<RequirementNode>>,
    /// What it comes to, once that was summed up.
    analysis: Option<DocumentAnalysisNode>,
    /// Why the last stage failed.
    failure: Option<String>,
    /// When it was uploaded.
    created_at: DateTime<Utc>,
    /// Who uploaded it.
    created_by: String,
    /// When it was changed last.
    updated_at: DateTime<Utc>,
}

/// Something that a document asks for.
#[derive(SimpleObject)]
#[graphql(name = "Requirement")]
struct RequirementNode {
    /// The number that it has in the document.
    number: Option<String>,
    /// What kind of requirement it is.
    kind: RequirementKindEnum,
    /// What it says.
    text: String,
    /// The page that it is on.
    page: Option<u32>,
    /// By when it has to be met.
    due: Option<DateTime<Utc>>,
}

/// What a document comes to.
#[derive(SimpleObject)]
#[graphql(name = "DocumentAnalysis")]
struct DocumentAnalysisNode {
    /// In a few words.
    summary: String,
    /// How well it fits the company, 0 to 100.
    fit_score: Option<i32>,
    /// What may go wrong.
    risks: Vec<String>,
    /// The model that summed it up.
    model: String,
}

impl DocumentNode {
    /// The view of a document that is there.
    pub(super) fn from_stored(id: String, kept: StoredAggregate<record::Document>) -> Option<Self> {
        let reading = kept.state.as_uploaded()?.clone();
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
            risks: analysis.risks.iter().map(ToString::to_string).collect(),
            model: analysis.model.to_string(),
        };
        Some(Self {
            id,
            version: kept.version,
            status: reading.status().into(),
            file_name: reading.upload.file_name.to_string(),
            media_type: reading.upload.media_type.to_string(),
            bytes: reading.upload.bytes,
            sha256: reading.upload.sha256.as_str().to_owned(),
            opportunity_id: reading.upload.opportunity_id.as_ref().map(ToString::to_string),
            pages: reading.text.as_ref().map(|text| text.pages),
            requirements: reading.requirements.as_ref().map(|found| found.iter().map(requirement).collect()),
            analysis: reading.analysis.map(analysis),
            failure: reading.failure.map(|failure| failure.reason.to_string()),
            created_at: kept.created_at,
            created_by: kept.created_by,
            updated_at: kept.updated_at,
        })
    }
}
