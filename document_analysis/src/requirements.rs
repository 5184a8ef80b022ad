//! Finds the requirements in a text: duties, deadlines, deliverables, instructions for offers, evaluation factors,
//! conditions of eligibility, certifications.
//!
//! ```text
//! PagedText ─▶ blocks with section and page ─▶ sentences ─▶ kind of requirement, due date ─▶ RequirementList
//! ```
//!
//! The text of each requirement is a quotation: white space aside, the document contains it.

mod agency_names;
mod clause;
mod due_date;
mod sentence;
#[cfg(test)]
mod tests;
mod text_block;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::document::{
    DocumentRequirement, MAX_REQUIREMENTS, RequirementKind, RequirementList, RequirementNumber, RequirementText,
};
use regex::Regex;

use self::{
    agency_names::find_agency_names,
    clause::{ClauseClassifier, ClausePatterns},
};
pub(crate) use self::{
    due_date::DueDateParser,
    sentence::split_sentences,
    text_block::{BlockForm, BlockSplitter, PagedSentence, TextBlock},
};
use crate::PagedText;

/// Longest quotation in characters. A longer one is cut after a word.
const MAX_QUOTATION_CHARS: usize = 1_500;
/// Longest list in bytes of quotations: a list is one event, which the relay publishes as one record.
const MAX_LIST_BYTES: usize = 400_000;
/// Longest item that is quoted with the sentence that introduces it, in bytes.
const MAX_ITEM_BYTES: usize = 300;
/// Longest row of a schedule in bytes.
const MAX_ROW_BYTES: usize = 400;

/// Finds the requirements in texts. Creating one compiles its patterns; it is created once.
pub struct RequirementExtractor {
    splitter: BlockSplitter,
    clauses: ClausePatterns,
    dates: DueDateParser,
    due_words: Regex,
    schedule_heading: Regex,
    eligibility: Regex,
}

/// A sentence that was found to be a requirement.
struct FoundRequirement<'a> {
    block: &'a TextBlock,
    page: u32,
    kind: RequirementKind,
    quotation: String,
    due: Option<DateTime<Utc>>,
}

impl RequirementExtractor {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`regex::Error`] never: the patterns are constants that tests compile.
    pub fn new() -> Result<Self, regex::Error> {
        Ok(Self {
            splitter: BlockSplitter::new()?,
            clauses: ClausePatterns::new()?,
            dates: DueDateParser::new()?,
            due_words: Regex::new(
                r"(?i)\b(?:due|deadlines?|(?:no|not) later than|NLT|closing date|closes|closed|(?:received|submitted|delivered) (?:by|before)|on or before)\b",
            )?,
            schedule_heading: Regex::new(r"(?i)\b(?:deadlines?|due|schedule|important dates|key dates|timeline)\b")?,
            eligibility: Regex::new(
                r"(?i)^set[- ]?aside\b\W*\w+|\b(?:total|partial|100%|8\(a\)|hubzone|wosb|edwosb|sdvosb|vosb|small business|veteran-owned)\b[^.]{0,60}\bset[- ]?aside\b|\bset[- ]?aside\s+(?:for|exclusively|to)\b|\bNAICS\b.{0,60}\b\d{6}\b|\bsize standard\b.{0,60}\d",
            )?,
        })
    }

    /// Finds the requirements of a text, in its order, each sentence once: the first 2,000, with 400,000 bytes at most.
    ///
    /// # Errors
    /// [`regex::Error`] when a name of the agency in the text leads to a pattern that is too large.
    pub fn extract(&self, text: &PagedText) -> Result<RequirementList, regex::Error> {
        let blocks = self.splitter.split(text);
        let classifier = self.clauses.for_agency(&find_agency_names(&blocks)?)?;
        let default_zone = blocks.iter().find_map(|block| {
            split_sentences(&block.text).into_iter().find_map(|sentence| self.dates.find_default_zone(sentence))
        });
        let run = ExtractionRun { extractor: self, classifier, default_zone };
        let (mut known, mut requirements, mut bytes) = (HashSet::new(), Vec::new(), 0);
        for found in run.find_requirements(&blocks) {
            bytes += found.quotation.len().min(4 * MAX_QUOTATION_CHARS);
            if requirements.len() == MAX_REQUIREMENTS || bytes > MAX_LIST_BYTES {
                break;
            }
            if known.insert(found.quotation.to_lowercase()) {
                requirements.extend(found.into_requirement());
            }
        }
        // Never longer than allowed.
        Ok(RequirementList::try_new(requirements).unwrap_or_default())
    }
}

impl FoundRequirement<'_> {
    /// The recorded form; `None` if nothing is left of the quotation.
    fn into_requirement(self) -> Option<DocumentRequirement> {
        let text = RequirementText::try_new(cut_after_word(&self.quotation, MAX_QUOTATION_CHARS)).ok()?;
        let number = self.block.number.as_deref().and_then(|number| RequirementNumber::try_new(number).ok());
        Some(DocumentRequirement { number, kind: self.kind, text, page: Some(self.page), due: self.due })
    }
}

/// The extraction from one text.
struct ExtractionRun<'a> {
    extractor: &'a RequirementExtractor,
    classifier: ClauseClassifier<'a>,
    /// The zone of all times, if the text says it.
    default_zone: Option<Tz>,
}

impl ExtractionRun<'_> {
    fn find_requirements<'b>(&self, blocks: &'b [TextBlock]) -> Vec<FoundRequirement<'b>> {
        let mut found = Vec::new();
        // The kind that items have because of the sentence that introduces them.
        let mut open_kind: Option<RequirementKind> = None;
        for (index, block) in blocks.iter().enumerate() {
            match block.form {
                BlockForm::Heading => {
                    open_kind = None;
                    continue;
                }
                BlockForm::Paragraph => open_kind = None,
                BlockForm::Item => {}
            }
            let following = blocks.get(index + 1..).unwrap_or_default();
            for PagedSentence { page, text } in block.sentences() {
                let sentence = cut_after_word(text, MAX_QUOTATION_CHARS);
                let kind = self.classify(sentence, block);
                if self.classifier.is_open_duty(sentence) {
                    open_kind = kind;
                    continue;
                }
                let Some(kind) = kind.or_else(|| open_kind.filter(|_| block.form == BlockForm::Item)) else { continue };
                let quotation =
                    if sentence.ends_with(':') { self.with_items(sentence, following) } else { sentence.to_owned() };
                found.push(FoundRequirement { block, page, kind, quotation, due: self.find_due(sentence) });
            }
        }
        found
    }

    fn classify(&self, sentence: &str, block: &TextBlock) -> Option<RequirementKind> {
        if self.extractor.eligibility.is_match(sentence) {
            return Some(RequirementKind::Eligibility);
        }
        if self.is_deadline(sentence, block) {
            return Some(RequirementKind::Deadline);
        }
        self.classifier.classify(sentence, &block.heading)
    }

    /// Whether a sentence or a row of a schedule says by when something is due.
    fn is_deadline(&self, sentence: &str, block: &TextBlock) -> bool {
        let dates = &self.extractor.dates;
        let is_scheduled = self.extractor.schedule_heading.is_match(&block.heading) && sentence.len() <= MAX_ROW_BYTES;
        let is_due = is_scheduled || self.extractor.due_words.is_match(sentence);
        is_due && (!dates.find(sentence).is_empty() || is_scheduled && dates.has_zoned_time(sentence))
    }

    /// When the sentence says that something is due: the first date after a word such as `due`, or the first date.
    fn find_due(&self, sentence: &str) -> Option<DateTime<Utc>> {
        let points = self.extractor.dates.find(sentence);
        let word = self.extractor.due_words.find(sentence).map_or(0, |word| word.start());
        let point = points.iter().find(|point| point.start >= word).or(points.first())?;
        point.to_utc(self.default_zone)
    }

    /// A sentence with the items that it introduces, except those that are requirements themselves.
    fn with_items(&self, sentence: &str, following: &[TextBlock]) -> String {
        let mut quotation = sentence.to_owned();
        for item in following.iter().take_while(|block| block.form == BlockForm::Item) {
            let stands_alone = item.text.len() > MAX_ITEM_BYTES
                || split_sentences(&item.text).iter().any(|sentence| self.classify(sentence, item).is_some());
            if stands_alone || quotation.len() + item.text.len() > MAX_QUOTATION_CHARS {
                break;
            }
            quotation.push(' ');
            quotation.push_str(&item.text);
        }
        quotation
    }
}

/// The beginning of a text, at most that many characters, cut after a word.
pub(crate) fn cut_after_word(text: &str, max_chars: usize) -> &str {
    let Some((end, _)) = text.char_indices().nth(max_chars) else { return text };
    let cut = text.get(..end).unwrap_or_default();
    cut.rfind(' ').and_then(|space| cut.get(..space)).unwrap_or(cut)
}
