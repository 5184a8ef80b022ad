//! Inputs with which workers report the results of processing a document.

use async_graphql::{Enum, InputObject, Result};
use chrono::{DateTime, Utc};
use domain::document as record;

use super::node::RequirementKindEnum;
use crate::graphql::{
    error,
    input_validation::{parse_optional, parse_value, validate_optional_time},
};

/// A stage of processing a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "DocumentStage", remote = "record::ProcessingStage")]
pub(super) enum DocumentStageEnum {
    /// Extracting the text.
    Text,
    /// Finding the requirements.
    Requirements,
    /// Summarizing the document.
    Analysis,
}

/// A requirement stated in a document.
#[derive(InputObject)]
pub(super) struct RequirementInput {
    /// Its number in the document, at most 50 characters.
    number: Option<String>,
    /// Kind of requirement.
    kind: RequirementKindEnum,
    /// Text, at most 2,000 characters.
    text: String,
    /// Page number, from 1.
    page: Option<u32>,
    /// When it is due.
    due: Option<DateTime<Utc>>,
}

impl RequirementInput {
    /// Converts and validates the input.
    pub(super) fn into_requirement(self) -> Result<record::DocumentRequirement> {
        Ok(record::DocumentRequirement {
            number: parse_optional("requirements.number", self.number, record::RequirementNumber::try_new)?,
            kind: self.kind.into(),
            text: parse_value("requirements.text", &self.text, record::RequirementText::try_new)?,
            page: self.page,
            due: validate_optional_time("requirements.due", self.due)?,
        })
    }
}

/// Analysis of a document.
#[derive(InputObject)]
pub(super) struct DocumentAnalysisInput {
    /// Summary, at most 20,000 characters.
    summary: String,
    /// How well the document fits the company, 0 to 100.
    fit_score: Option<u32>,
    /// What the score consists of, at most 20 parts of at most 1,000 characters each.
    #[graphql(default)]
    fit_reasons: Vec<String>,
    /// Risks, at most 50 of at most 1,000 characters each.
    #[graphql(default)]
    risks: Vec<String>,
    /// Name of the model that made the analysis, at most 100 characters.
    model: String,
}

impl DocumentAnalysisInput {
    /// Converts and validates the input.
    pub(super) fn into_analysis(self) -> Result<record::AnalysisReport> {
        let risk = |risk: &String| parse_value("analysis.risks", risk, record::RiskText::try_new);
        let risks: Vec<_> = self.risks.iter().map(risk).collect::<Result<_>>()?;
        let fit_reason = |reason: &String| parse_value("analysis.fitReasons", reason, record::FitReason::try_new);
        let fit_reasons: Vec<_> = self.fit_reasons.iter().map(fit_reason).collect::<Result<_>>()?;
        let fit_reasons = record::AnalysisReport::check_fit_reasons(fit_reasons)
            .map_err(|reason| error::invalid_value("analysis.fitReasons", &reason))?;
        let score = self.fit_score.map(record::FitScore::try_new).transpose();
        Ok(record::AnalysisReport {
            summary: parse_value("analysis.summary", &self.summary, record::DocumentSummary::try_new)?,
            fit_score: score.map_err(|reason| error::invalid_value("analysis.fitScore", &reason))?,
            fit_reasons: Some(fit_reasons).filter(|reasons| !reasons.is_empty()),
            risks: record::AnalysisReport::check_risks(risks)
                .map_err(|reason| error::invalid_value("analysis.risks", &reason))?,
            model: parse_value("analysis.model", &self.model, record::ModelName::try_new)?,
        })
    }
}
