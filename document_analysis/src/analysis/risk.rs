//! Names what may cost a company that makes an offer: short deadlines, securities, liabilities, missing information.

use chrono::{DateTime, TimeDelta, Utc};
use domain::document::{RequirementKind, RequirementList};
use regex::Regex;

use super::quote;
use crate::{
    AnalysisBudget, AnalysisError,
    language_name::describe_foreign_language,
    requirements::{PagedSentence, TextBlock, is_full},
};

/// A deadline that is nearer is a risk.
const SHORT_NOTICE: TimeDelta = TimeDelta::days(14);
/// Most quotations for one kind of risk.
const QUOTATIONS_PER_RISK: usize = 3;

/// Kinds of risk with the wordings that identify a sentence about them.
const WORDINGS: &[(&str, &str)] = &[
    // `UNREAD_PAGE_NOTICE`
    ("Page that could not be read", "Damaged page: this page of the file was not read"),
    (
        "Bond or other security required",
        r"(?i)\b(?:bid|performance|payment|surety|fidelity)\s+(?:bonds?|guarantees?)\b|\bbonding\b|\bletters? of credit\b",
    ),
    ("Liquidated damages", r"(?i)\bliquidated damages\b"),
    (
        "Liability or indemnification",
        r"(?i)\bindemnif\w+|\bhold\w*\s+(?:\w+\s+){0,3}harmless\b|\bunlimited liability\b",
    ),
    (
        "Risk or cost borne by the contractor",
        r"(?i)\bassumes all (?:costs|risks?|liabilit)|\bat the (?:contractor|offeror)['’]s (?:own )?(?:risk|expense)\b|\bat no (?:additional )?cost to the (?:government|state|agency)\b",
    ),
    (
        "Penalty or withheld payment",
        r"(?i)\bpenalt(?:y|ies)\b|\bwithhold\w*\s+(?:of\s+)?(?:\w+\s+)?payments?\b|\breimburse monies paid\b",
    ),
    (
        "Termination",
        r"(?i)\bterminat\w+\b.{0,60}\b(?:for (?:its |the government['’]s )?convenience|in the best interest|for default)\b",
    ),
    (
        "Funding not assured",
        r"(?i)\bfunds are not presently available\b|\b(?:subject to|contingent upon)\b.{0,40}\b(?:availability of (?:appropriated )?funds|appropriation)",
    ),
    ("No award assured", r"(?i)\breserves? the right to (?:make no award|cancel|reject any)"),
    (
        "Security clearance or background investigation",
        r"(?i)\b(?:security|personnel) clearances?\b|\bbackground investigations?\b",
    ),
    (
        "Rights in data given up",
        r"(?i)\bassign (?:its|all|any) (?:copyright|rights?|title)|\bunlimited rights\b|\brights in data\b.{0,20}\bspecial works\b",
    ),
    (
        "Personnel fixed in the offer",
        r"(?i)\bkey personnel\b.{0,80}\b(?:substitut|replac|may not|shall not|must be approved)|\bletters? of (?:intent|commitment)\b",
    ),
    (
        "Exclusion of an offer for its form",
        r"(?i)\b(?:deemed|considered|constitute|determined to be)\b.{0,40}\bnon-?\s?responsive\b",
    ),
    ("Missing information", r"\bTBD\b|\b(?i:to be determined)\b|\bMONTH DD\b|\[(?:insert|agency|date)[^\]]*\]"),
];

/// Finds risks in sentences.
pub(super) struct RiskFinder {
    kinds: Vec<(&'static str, Regex)>,
}

impl RiskFinder {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`regex::Error`] never: the patterns are constants that tests compile.
    pub(super) fn new() -> Result<Self, regex::Error> {
        let compile = |(name, pattern): &(&'static str, &str)| Ok((*name, Regex::new(pattern)?));
        Ok(Self { kinds: WORDINGS.iter().map(compile).collect::<Result<_, regex::Error>>()? })
    }

    /// The risks that language and requirements show: another language first, then deadlines, then what is missing.
    pub(super) fn find_in_requirements(
        requirements: &RequirementList,
        language: Option<&str>,
        now: DateTime<Utc>,
    ) -> Vec<String> {
        let mut risks: Vec<String> = describe_foreign_language(language).into_iter().collect();
        risks.extend(find_deadline_risks(requirements, now));
        if is_full(requirements) {
            risks.push(format!(
                "Incomplete list: the document may have more than the {} requirements that were extracted",
                requirements.iter().len()
            ));
        }
        risks.extend(find_gaps(requirements));
        risks
    }

    /// The wordings that are risks, by kind, each with its quotation.
    ///
    /// # Errors
    /// [`AnalysisError`] when the budget ends.
    pub(super) fn find_in_text(
        &self,
        blocks: &[TextBlock],
        budget: &AnalysisBudget,
    ) -> Result<Vec<String>, AnalysisError> {
        let mut kinds: Vec<_> = self.kinds.iter().map(|(name, pattern)| (name, pattern, Vec::new())).collect();
        for block in blocks {
            budget.check()?;
            for sentence in block.sentences() {
                for (name, pattern, quotations) in &mut kinds {
                    if quotations.len() < QUOTATIONS_PER_RISK && pattern.is_match(sentence.text) {
                        quotations.push(format!("{name}: {}", quote(sentence)));
                    }
                }
            }
        }
        Ok(kinds.into_iter().flat_map(|(_, _, quotations)| quotations).collect())
    }
}

fn find_deadline_risks(requirements: &RequirementList, now: DateTime<Utc>) -> Vec<String> {
    let due = requirements.iter().filter_map(|requirement| Some((requirement, requirement.due?)));
    let near = due.filter(|(_, due)| *due - now < SHORT_NOTICE).take(QUOTATIONS_PER_RISK);
    let describe = |(requirement, due): (&domain::document::DocumentRequirement, DateTime<Utc>)| {
        let name = if due < now { "Deadline has passed" } else { "Short deadline" };
        let sentence = PagedSentence { page: requirement.page.unwrap_or(1), text: requirement.text.as_str() };
        format!("{name}, {}: {}", due.format("%Y-%m-%d %H:%M UTC"), quote(sentence))
    };
    near.map(describe).collect()
}

/// What a document that asks for offers does not say.
fn find_gaps(requirements: &RequirementList) -> Vec<String> {
    let has = |kind| requirements.iter().any(|requirement| requirement.kind == kind);
    if !has(RequirementKind::Submission) {
        return vec![];
    }
    let mut gaps = vec![];
    if !requirements.iter().any(|requirement| requirement.due.is_some()) {
        gaps.push("Missing information: no date with time and time zone was found by which offers are due".to_owned());
    }
    if !has(RequirementKind::Evaluation) {
        gaps.push("Missing information: no sentence was found that says how offers are evaluated".to_owned());
    }
    gaps
}
