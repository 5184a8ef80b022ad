//! Lists and tables whose rows have no verb: what they are about follows from the heading of their section, from the
//! sentence that introduces them, or from the titles of their columns.
//!
//! ```text
//! Scope of Work                        the services below:            Deliverable   Description     Due Date
//! - Monthly backup of all systems      - Project manager              Status report All activities  Each month
//! ```

use domain::document::RequirementKind;
use regex::Regex;

use super::{BlockForm, TextBlock};

/// Longest row in bytes.
const MAX_ROW_BYTES: usize = 600;
/// Most words of the titles of a table's columns.
const MAX_COLUMN_WORDS: usize = 14;
/// How much of the end of a sentence says that it introduces a list, in bytes.
const INTRODUCTION_REACH: usize = 160;

/// The patterns that identify lists. They are compiled once.
pub(crate) struct ListPatterns {
    /// What the heading of a section says about the lists in it, the first match first.
    headings: Vec<(RequirementKind, Regex)>,
    /// What a sentence with a colon says about the list that it introduces.
    introductions: Vec<(RequirementKind, Regex)>,
    introduction: Regex,
    /// What is the agency's to do or to give, or does not bind the contractor.
    not_required: Regex,
    delivered_column: Regex,
    further_column: Regex,
    points: Regex,
}

/// What the lists at one place of a document are about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ListContext {
    section: Option<RequirementKind>,
    introduced: Option<RequirementKind>,
    is_table: bool,
    /// Whether the list at this place states no duty, regardless of its section.
    is_optional: bool,
    /// How many of the following items are quoted with the sentence that introduces them.
    quoted_items: usize,
}

impl ListPatterns {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`regex::Error`] never: the patterns are constants that tests compile.
    pub(crate) fn new() -> Result<Self, regex::Error> {
        let compile = |(kind, pattern): &(RequirementKind, &str)| Ok((*kind, Regex::new(pattern)?));
        let headings = [
            (
                RequirementKind::Deliverable,
                r"(?i)\bdeliverables?\b|\breporting requirements\b|\bdata requirements list\b",
            ),
            (
                RequirementKind::Evaluation,
                r"(?i)\b(?:evaluation|award)\s+(?:factors?|criteria)\b|\bbasis (?:of|for) award\b",
            ),
            (
                RequirementKind::Certification,
                r"(?i)\bqualifications?\b|\bskills\b|\b(?:required|desired|minimum)\b.{0,30}\b(?:experience|certifications?)\b",
            ),
            (
                RequirementKind::Submission,
                r"(?i)\b(?:proposal|quote|quotation|offer|submission)\b.{0,20}\b(?:contents?|format|instructions?|requirements?)\b|\binstructions to \w+",
            ),
            (
                RequirementKind::Obligation,
                r"(?i)\bscope of (?:the )?(?:work|services?)\b|\bstatement of work\b|\btasks?\b|\brequirements\b|\bresponsibilities\b|\bduties\b|\bservices to be\b|\brequired services\b",
            ),
        ];
        let introductions = [
            (RequirementKind::Deliverable, r"(?i)\bdeliverables?\b"),
            (RequirementKind::Evaluation, r"(?i)\b(?:factors?|criteria)\b|\bevaluat"),
            (
                RequirementKind::Certification,
                r"(?i)\bqualifications?\b|\bskills?\b|\bexperience\b|\bcertific|\blicenses?\b",
            ),
            (RequirementKind::Submission, r"(?i)\b(?:proposals?|quotes?|quotations?|offers?|responses?|volumes?)\b"),
            (
                RequirementKind::Obligation,
                r"(?i)\b(?:contractor|vendor|services?|tasks?|duties|responsibilit\w+|scope|goals?|objectives?|requirements?|skillsets?|functions?)\b",
            ),
        ];
        Ok(Self {
            headings: headings.iter().map(compile).collect::<Result<_, regex::Error>>()?,
            introductions: introductions.iter().map(compile).collect::<Result<_, regex::Error>>()?,
            introduction: Regex::new(
                r"(?i)\b(?:following|includ(?:e[sd]?|ing)|consists? of|as follows|below|areas?)\b",
            )?,
            not_required: Regex::new(
                r"(?i)\b(?:government|agency|state)[ -](?:furnished|provided|responsibilit\w+)|\boptional\b|\bmay\b|\b(?:any|one)\s+(?:\w+\s+){0,2}of\b|\bexamples?\b|\bsuch as\b|\bbackground\b|\bdefinitions?\b|\breferences?\b",
            )?,
            delivered_column: Regex::new(r"(?i)\b(?:deliverables?|reports?|data items?|milestones?|work products?)\b")?,
            further_column: Regex::new(
                r"(?i)\b(?:due|due dates?|frequency|description|quantity|delivery dates?|recipients?)\b",
            )?,
            points: Regex::new(
                r"(?i)^\W*\p{L}.{2,120}?[\s.:(–—-]+\d{1,4}\s*(?:points?|pts|%|percent)(?:\s+(?:maximum|possible|of the total))?\W*$",
            )?,
        })
    }

    /// The kind of what a list introduction announces; `None` if the sentence introduces none that binds the contractor.
    pub(crate) fn find_introduction(&self, sentence: &str) -> Option<RequirementKind> {
        let before = sentence.strip_suffix(':')?;
        let start = before.ceil_char_boundary(before.len().saturating_sub(INTRODUCTION_REACH));
        let end = before.get(start..).unwrap_or_default();
        if !self.introduction.is_match(end) || self.not_required.is_match(end) {
            return None;
        }
        find_kind(&self.introductions, end)
    }

    /// Whether a sentence introduces a list that states no duty.
    pub(crate) fn is_optional_list(&self, sentence: &str) -> bool {
        let start = sentence.ceil_char_boundary(sentence.len().saturating_sub(INTRODUCTION_REACH));
        self.not_required.is_match(sentence.get(start..).unwrap_or_default())
    }

    /// Whether a line has the titles of a table of deliverables.
    fn is_deliverable_table(&self, line: &str) -> bool {
        line.split(' ').count() <= MAX_COLUMN_WORDS
            && !line.ends_with(['.', ':', '?'])
            && self.delivered_column.is_match(line)
            && self.further_column.is_match(line)
    }

    /// Whether a row says how many points a factor has.
    fn has_points(&self, row: &str) -> bool {
        self.points.is_match(row)
    }
}

impl ListContext {
    /// Enters the section of a heading. Returns the kind of the heading itself if it is a row of a table.
    pub(crate) fn enter_heading(&mut self, heading: &TextBlock, patterns: &ListPatterns) -> Option<RequirementKind> {
        let is_title = heading.form == BlockForm::Title;
        let is_capital = !heading.text.contains(char::is_lowercase);
        if is_title && patterns.is_deliverable_table(&heading.text) {
            *self = Self { section: Some(RequirementKind::Deliverable), is_table: true, ..Self::default() };
            return None;
        }
        if is_title && self.is_table && !is_capital {
            return self.section;
        }
        if is_title && self.section == Some(RequirementKind::Evaluation) && patterns.has_points(&heading.text) {
            return self.section;
        }
        let is_required = !patterns.not_required.is_match(&heading.text);
        let section = if is_required { find_kind(&patterns.headings, &heading.text) } else { None };
        *self = Self { section, ..Self::default() };
        None
    }

    /// Begins the list that a sentence introduces.
    pub(crate) fn begin_list(&mut self, kind: Option<RequirementKind>) {
        *self = Self { introduced: kind, is_optional: false, quoted_items: 0, ..*self };
    }

    /// Begins a list that states no duty.
    pub(crate) fn begin_optional_list(&mut self) {
        *self = Self { introduced: None, is_optional: true, quoted_items: 0, ..*self };
    }

    /// Leaves out the next `count` items, which are quoted already.
    pub(crate) fn skip_items(&mut self, count: usize) {
        self.quoted_items = count;
    }

    /// Enters an item; returns whether it is quoted already.
    pub(crate) fn enter_item(&mut self) -> bool {
        let is_quoted = self.quoted_items > 0;
        self.quoted_items = self.quoted_items.saturating_sub(1);
        is_quoted
    }

    /// Whether a sentence has introduced the list at this place.
    pub(crate) fn is_introduced(self) -> bool {
        self.introduced.is_some()
    }

    /// The kind of a row without a verb; `None` if it is none that is required.
    pub(crate) fn find_row_kind(self, row: &str, form: BlockForm, patterns: &ListPatterns) -> Option<RequirementKind> {
        let is_item = form == BlockForm::Item;
        if is_item && self.introduced.is_some() {
            return self.introduced;
        }
        if row.len() > MAX_ROW_BYTES || row.ends_with(['?', ':']) || !row.contains(char::is_alphabetic) {
            return None;
        }
        if self.section == Some(RequirementKind::Evaluation) && patterns.has_points(row) {
            return self.section;
        }
        self.section.filter(|_| is_item && !self.is_optional || self.is_table)
    }
}

fn find_kind(patterns: &[(RequirementKind, Regex)], text: &str) -> Option<RequirementKind> {
    patterns.iter().find(|(_, pattern)| pattern.is_match(text)).map(|(kind, _)| *kind)
}
