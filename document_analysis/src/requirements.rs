//! Finds the requirements in a text: duties, deadlines, deliverables, instructions for offers, evaluation factors,
//! conditions of eligibility, certifications.
//!
//! ```text
//! PagedText ─▶ blocks with section and page ─▶ sentences ─▶ kind of requirement, due date ─▶ RequirementList
//! ```
//!
//! The text of each requirement is a quotation: white space aside, the document contains it.

mod agency_names;
mod block_splitter;
mod clause;
mod due_date;
mod list_context;
mod sentence;
#[cfg(test)]
mod tests;
mod text_block;
mod time_zone;

use std::{collections::HashSet, ops::ControlFlow};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::document::{
    DocumentRequirement, MAX_REQUIREMENTS, RequirementKind, RequirementList, RequirementNumber, RequirementText,
};
use regex::Regex;

use self::{
    agency_names::find_agency_names,
    clause::{ClauseClassifier, ClausePatterns},
    list_context::{ListContext, ListPatterns},
};
pub(crate) use self::{
    block_splitter::BlockSplitter,
    due_date::DueDateParser,
    sentence::split_sentences,
    text_block::{BlockForm, PagedSentence, TextBlock},
};
use crate::{AnalysisBudget, AnalysisError, PagedText};

/// Longest quotation in characters. A longer one is cut after a word.
const MAX_QUOTATION_CHARS: usize = 1_500;
/// A list of that many bytes of quotations takes no other one, so that it has 400,000 at most: a list is one event, which
/// the relay publishes as one record.
const FULL_LIST_BYTES: usize = 400_000 - 4 * MAX_QUOTATION_CHARS;
/// Longest item that is quoted with the sentence that introduces it, in bytes.
const MAX_ITEM_BYTES: usize = 300;
/// Longest row of a schedule in bytes.
const MAX_ROW_BYTES: usize = 400;

/// Finds the requirements in texts. Creating one compiles its patterns; it is created once.
pub struct RequirementExtractor {
    splitter: BlockSplitter,
    clauses: ClausePatterns,
    lists: ListPatterns,
    dates: DueDateParser,
    due_words: Regex,
    schedule_heading: Regex,
    eligibility: Regex,
}

/// The requirements of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtractedRequirements {
    /// The requirements in the text's order, each sentence once: the first 2,000, with 400,000 bytes at most.
    pub list: RequirementList,
    /// Whether the text has no others.
    pub is_complete: bool,
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
            lists: ListPatterns::new()?,
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

    /// Finds the requirements of a text.
    ///
    /// # Errors
    /// [`AnalysisError`] when the text is too large, the budget ends, or a name of the agency in the text leads to a
    /// pattern that is too large.
    pub fn extract(&self, text: &PagedText, budget: &AnalysisBudget) -> Result<ExtractedRequirements, AnalysisError> {
        let blocks = self.splitter.split(text, budget)?;
        let classifier = self.clauses.for_agency(&find_agency_names(&blocks, budget)?)?;
        let default_zone = self.find_default_zone(&blocks, budget)?;
        let run = ExtractionRun { extractor: self, classifier, default_zone, budget };
        let mut collector = RequirementCollector::default();
        let is_complete = run.find_requirements(&blocks, &mut collector)?.is_continue();
        // Never longer than allowed.
        let list = RequirementList::try_new(collector.requirements).unwrap_or_default();
        Ok(ExtractedRequirements { list, is_complete })
    }

    /// The zone of all times, if the text says it.
    fn find_default_zone(&self, blocks: &[TextBlock], budget: &AnalysisBudget) -> Result<Option<Tz>, AnalysisError> {
        for block in blocks {
            budget.check()?;
            let mut sentences = split_sentences(&block.text).into_iter();
            if let Some(zone) = sentences.find_map(|sentence| self.dates.find_default_zone(sentence)) {
                return Ok(Some(zone));
            }
        }
        Ok(None)
    }
}

/// Whether a list has reached a limit of the extraction, so that its document may have more requirements.
pub(crate) fn is_full(list: &RequirementList) -> bool {
    let bytes: usize = list.iter().map(|requirement| requirement.text.as_str().len()).sum();
    list.iter().len() >= MAX_REQUIREMENTS || bytes >= FULL_LIST_BYTES
}

/// Collects requirements until the list is full.
#[derive(Default)]
struct RequirementCollector {
    requirements: Vec<DocumentRequirement>,
    /// Bytes of their quotations.
    bytes: usize,
    /// The quotations in lower case.
    known: HashSet<String>,
}

impl RequirementCollector {
    /// Adds a requirement unless it is known; breaks off at a new one that the full list cannot take.
    fn add(&mut self, found: FoundRequirement<'_>) -> ControlFlow<()> {
        let key = found.quotation.to_lowercase();
        if self.known.contains(&key) {
            return ControlFlow::Continue(());
        }
        let Some(requirement) = found.into_requirement() else { return ControlFlow::Continue(()) };
        if self.requirements.len() >= MAX_REQUIREMENTS || self.bytes >= FULL_LIST_BYTES {
            return ControlFlow::Break(());
        }
        self.known.insert(key);
        self.bytes += requirement.text.as_str().len();
        self.requirements.push(requirement);
        ControlFlow::Continue(())
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
    budget: &'a AnalysisBudget,
}

impl ExtractionRun<'_> {
    /// Finds requirements until the collector has enough.
    fn find_requirements(
        &self,
        blocks: &[TextBlock],
        collector: &mut RequirementCollector,
    ) -> Result<ControlFlow<()>, AnalysisError> {
        let (patterns, mut lists) = (&self.extractor.lists, ListContext::default());
        for (index, block) in blocks.iter().enumerate() {
            let mut is_quoted = false;
            match block.form {
                BlockForm::Heading | BlockForm::Title => {
                    if let Some(kind) = lists.enter_heading(block, patterns) {
                        let found = self.found(block, block.first_sentence(), kind, block.text.clone());
                        if collector.add(found).is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                    continue;
                }
                BlockForm::Paragraph => lists.begin_list(None),
                // The row as a whole is no requirement, but its sentences may be.
                BlockForm::Item if lists.enter_item() => is_quoted = true,
                BlockForm::Item => {}
            }
            let following = blocks.get(index + 1..).unwrap_or_default();
            for sentence in block.sentences() {
                self.budget.check()?;
                let sentence = PagedSentence { text: cut_after_word(sentence.text, MAX_QUOTATION_CHARS), ..sentence };
                if let Some(found) = self.find_in_sentence(sentence, block, following, &mut lists, is_quoted)
                    && collector.add(found).is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The requirement that a sentence, or a row without a verb, is. Begins the list that the sentence introduces.
    fn find_in_sentence<'a>(
        &self,
        sentence: PagedSentence<'a>,
        block: &'a TextBlock,
        following: &[TextBlock],
        lists: &mut ListContext,
        is_quoted: bool,
    ) -> Option<FoundRequirement<'a>> {
        let text = sentence.text;
        let own_kind = self.classify(text, block);
        if self.classifier.is_open_duty(text) {
            lists.begin_list(own_kind);
            return None;
        }
        if own_kind.is_none() && text.ends_with(':') && (block.form == BlockForm::Paragraph || !lists.is_introduced()) {
            let patterns = &self.extractor.lists;
            if self.classifier.is_duty_of_others(text) || patterns.is_optional_list(text) {
                lists.begin_optional_list();
            } else {
                lists.begin_list(patterns.find_introduction(text));
            }
        }
        let row_kind = || {
            let kind = lists.find_row_kind(text, block.form, &self.extractor.lists);
            kind.filter(|_| !is_quoted && (lists.is_introduced() || self.classifier.is_row(text)))
        };
        let kind = own_kind.or_else(row_kind)?;
        // An item that is a requirement only because of its introduction introduces none: the following items have the
        // same introduction. So each item is read for one introduction at most.
        let (quotation, quoted_items) = if text.ends_with(':') && own_kind.is_some() {
            self.with_items(text, following)
        } else {
            (text.to_owned(), 0)
        };
        if quoted_items > 0 {
            lists.skip_items(quoted_items);
        }
        Some(self.found(block, sentence, kind, quotation))
    }

    fn found<'a>(
        &self,
        block: &'a TextBlock,
        sentence: PagedSentence<'a>,
        kind: RequirementKind,
        quotation: String,
    ) -> FoundRequirement<'a> {
        FoundRequirement { block, page: sentence.page, kind, quotation, due: self.find_due(sentence.text) }
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

    /// A sentence with the items that it introduces, except those that are requirements themselves, and their number.
    fn with_items(&self, sentence: &str, following: &[TextBlock]) -> (String, usize) {
        let (mut quotation, mut count) = (sentence.to_owned(), 0);
        for item in following.iter().take_while(|block| block.form == BlockForm::Item) {
            let stands_alone = item.text.len() > MAX_ITEM_BYTES
                || split_sentences(&item.text).iter().any(|sentence| self.classify(sentence, item).is_some());
            if stands_alone || quotation.len() + item.text.len() > MAX_QUOTATION_CHARS {
                break;
            }
            quotation.push(' ');
            quotation.push_str(&item.text);
            count += 1;
        }
        (quotation, count)
    }
}

/// The beginning of a text, at most that many characters, cut after a word.
pub(crate) fn cut_after_word(text: &str, max_chars: usize) -> &str {
    let Some((end, _)) = text.char_indices().nth(max_chars) else { return text };
    let cut = text.get(..end).unwrap_or_default();
    cut.rfind(' ').and_then(|space| cut.get(..space)).unwrap_or(cut)
}
