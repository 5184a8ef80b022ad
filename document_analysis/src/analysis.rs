//! Summarises a document and names risks, in quotations.

mod risk;
mod summary;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use domain::document::{AnalysisReport, DocumentSummary, MAX_RISKS, ModelName, RequirementList, RiskText};

use self::{
    risk::RiskFinder,
    summary::{MAX_SUMMARY_SENTENCES, summarise},
};
use crate::{
    AnalysisBudget, AnalysisError, CompanyQualifications, PagedText,
    fit::FitAssessor,
    requirements::{BlockForm, BlockSplitter, PagedSentence, TextBlock, cut_after_word},
};

/// Name and version of the rules, as recorded with each analysis.
pub const EXTRACTIVE_MODEL: &str = "extractive-1";

/// Longest quotation in characters.
const MAX_QUOTED_CHARS: usize = 500;

/// Analyses documents by rules. Everything is quoted except the names of risks and the reasons for the fit.
pub struct ExtractiveAnalyst {
    splitter: BlockSplitter,
    risks: RiskFinder,
    fit: FitAssessor,
}

impl ExtractiveAnalyst {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`regex::Error`] never: the patterns are constants that tests compile.
    pub fn new() -> Result<Self, regex::Error> {
        Ok(Self { splitter: BlockSplitter::new()?, risks: RiskFinder::new()?, fit: FitAssessor::new()? })
    }

    /// Analyses a text with its requirements, for a company. `language` is the language of the text, if known; deadlines are
    /// compared with `now`.
    ///
    /// # Errors
    /// [`AnalysisError`] when the text has no sentence that could be quoted, is too large, or the budget ends.
    pub fn analyse(
        &self,
        text: &PagedText,
        requirements: &RequirementList,
        company: &CompanyQualifications,
        language: Option<&str>,
        now: DateTime<Utc>,
        budget: &AnalysisBudget,
    ) -> Result<AnalysisReport, AnalysisError> {
        let mut blocks = self.splitter.split(text, budget)?;
        blocks.retain(|block| !matches!(block.form, BlockForm::Heading | BlockForm::Title));
        let mut risks = RiskFinder::find_in_requirements(requirements, language, now);
        risks.extend(self.risks.find_in_text(&blocks, budget)?);
        risks.truncate(MAX_RISKS);
        let risks = risks.iter().filter_map(|risk| RiskText::try_new(risk).ok()).collect();
        let sentences = first_sentences(&blocks);
        let summary = summarise(&sentences, budget)?;
        let fit = self.fit.assess(text, requirements, company, budget)?;
        Ok(AnalysisReport {
            summary: DocumentSummary::try_new(&summary).map_err(AnalysisError::NoSentence)?,
            fit_score: fit.score,
            fit_reasons: Some(AnalysisReport::check_fit_reasons(fit.reasons).map_err(AnalysisError::NoSentence)?),
            risks: AnalysisReport::check_risks(risks).map_err(AnalysisError::NoSentence)?,
            model: ModelName::try_new(EXTRACTIVE_MODEL).map_err(AnalysisError::NoSentence)?,
        })
    }
}

/// The first sentences; the summary is chosen from them.
fn first_sentences(blocks: &[TextBlock]) -> Vec<PagedSentence<'_>> {
    let mut sentences = Vec::new();
    for block in blocks {
        sentences.extend(block.sentences());
        if sentences.len() >= MAX_SUMMARY_SENTENCES {
            break;
        }
    }
    sentences.truncate(MAX_SUMMARY_SENTENCES);
    sentences
}

/// A quotation with its page.
fn quote(sentence: PagedSentence<'_>) -> String {
    let quotation = cut_after_word(sentence.text, MAX_QUOTED_CHARS);
    let cut = if quotation.len() < sentence.text.len() { " ..." } else { "" };
    format!("\"{quotation}{cut}\" (page {})", sentence.page)
}
