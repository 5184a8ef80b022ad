//! Summarises a document and names risks, in quotations.

mod risk;
mod summary;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use domain::{
    document::{AnalysisReport, DocumentSummary, MAX_RISKS, ModelName, RequirementList, RiskText},
    value::InvalidValue,
};

use self::{risk::RiskFinder, summary::summarise};
use crate::{
    PagedText,
    requirements::{BlockForm, BlockSplitter, PagedSentence, TextBlock, cut_after_word},
};

/// Name and version of the rules, as recorded with each analysis.
pub const EXTRACTIVE_MODEL: &str = "extractive-1";

/// Longest quotation in characters.
const MAX_QUOTED_CHARS: usize = 500;

/// Analyses documents by rules. It writes nothing of its own but the names of risks, and says no fit: that would take
/// a judgement of the company's work, which no rule here makes.
pub struct ExtractiveAnalyst {
    splitter: BlockSplitter,
    risks: RiskFinder,
}

impl ExtractiveAnalyst {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`regex::Error`] never: the patterns are constants that tests compile.
    pub fn new() -> Result<Self, regex::Error> {
        Ok(Self { splitter: BlockSplitter::new()?, risks: RiskFinder::new()? })
    }

    /// Analyses a text with its requirements. `language` is the language of the text, if known; deadlines are compared
    /// with `now`.
    ///
    /// # Errors
    /// [`InvalidValue`] when the text has no sentence that could be quoted.
    pub fn analyse(
        &self,
        text: &PagedText,
        requirements: &RequirementList,
        language: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<AnalysisReport, InvalidValue> {
        let blocks = self.splitter.split(text);
        let sentences = collect_sentences(&blocks);
        let mut risks = self.risks.find(&sentences, requirements, language, now);
        risks.truncate(MAX_RISKS);
        let risks = risks.iter().filter_map(|risk| RiskText::try_new(risk).ok()).collect();
        Ok(AnalysisReport {
            summary: DocumentSummary::try_new(&summarise(&sentences))?,
            fit_score: None,
            risks: AnalysisReport::check_risks(risks)?,
            model: ModelName::try_new(EXTRACTIVE_MODEL)?,
        })
    }
}

/// The sentences of paragraphs and lists, in order.
fn collect_sentences(blocks: &[TextBlock]) -> Vec<PagedSentence<'_>> {
    let mut sentences = Vec::new();
    for block in blocks.iter().filter(|block| block.form != BlockForm::Heading) {
        sentences.extend(block.sentences());
    }
    sentences
}

/// A quotation with its page.
fn quote(sentence: PagedSentence<'_>) -> String {
    let quotation = cut_after_word(sentence.text, MAX_QUOTED_CHARS);
    let cut = if quotation.len() < sentence.text.len() { " ..." } else { "" };
    format!("\"{quotation}{cut}\" (page {})", sentence.page)
}
