//! Compares what a document asks for with the company's profile and resources, and scores how well they agree.
//!
//! | part | points | compared |
//! | --- | --- | --- |
//! | industry | 35 | the NAICS codes that the document names, with those of the profile |
//! | set-aside | 25 | the set-aside that the document names, with those of the profile |
//! | certificates | 15 | the certificates and registrations that the document requires by name, with profile and resources |
//! | subject | 25 | the frequent terms of the document, with the texts of profile and resources |
//!
//! A part about which the document says nothing, or the company, does not count. The score is the share of the points of the
//! other parts; each of them says why. A company that the set-aside excludes has 20 at most: only a sentence that states the
//! set-aside excludes, and one that negates it or names a condition does not count.

mod certificate;
mod company_qualifications;
mod resource_reader;
mod set_aside;
mod subject_terms;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use domain::document::{FitReason, FitScore, RequirementKind, RequirementList};
use regex::Regex;

pub(crate) use self::resource_reader::read_resource_texts;
use self::{
    certificate::CertificatePatterns,
    set_aside::{FoundSetAside, SetAsidePatterns},
};
pub use self::{
    company_qualifications::CompanyQualifications,
    resource_reader::{ResourcePage, ResourceReadError, ResourceReader},
};
use crate::{AnalysisBudget, AnalysisError, PagedText};

/// Points of each part.
const INDUSTRY_POINTS: u32 = 35;
const SET_ASIDE_POINTS: u32 = 25;
const CERTIFICATE_POINTS: u32 = 15;
const SUBJECT_POINTS: u32 = 25;

/// The highest score of a company that the set-aside excludes.
const EXCLUDED_SCORE: u32 = 20;

/// The reason given instead of the parts that need resources.
const UNREAD_RESOURCES: &str = "Certificates and terms were not compared: the company's resources could not be read";

/// Most codes, names or terms that a reason lists.
const MAX_NAMED: usize = 8;

/// A score with its reasons; reasons without a score say why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CompanyFit {
    pub(crate) score: Option<FitScore>,
    pub(crate) reasons: Vec<FitReason>,
}

/// Compares documents with companies. Creating one compiles its patterns; it is created once.
pub(crate) struct FitAssessor {
    naics: Regex,
    set_asides: SetAsidePatterns,
    certificates: CertificatePatterns,
}

/// A part that counts.
struct FitPart {
    points: u32,
    max_points: u32,
    reason: String,
}

impl FitAssessor {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// [`regex::Error`] never: the patterns are constants that tests compile.
    pub(crate) fn new() -> Result<Self, regex::Error> {
        Ok(Self {
            naics: Regex::new(r"(?i)\bNAICS\b[^.;]{0,60}?\b(?P<code>\d{6})\b")?,
            set_asides: SetAsidePatterns::new()?,
            certificates: CertificatePatterns::new()?,
        })
    }

    /// Compares a document with a company.
    ///
    /// # Errors
    /// [`AnalysisError`] when the budget ends.
    pub(crate) fn assess(
        &self,
        text: &PagedText,
        requirements: &RequirementList,
        company: &CompanyQualifications,
        budget: &AnalysisBudget,
    ) -> Result<CompanyFit, AnalysisError> {
        let unread = company.lacks_resources().then(|| FitReason::try_new(UNREAD_RESOURCES).ok()).flatten();
        if company.is_empty() && unread.is_none() {
            return Ok(CompanyFit::without_score(
                "No score: the company's profile has no NAICS codes, set-asides or capabilities, and there are no resources",
            ));
        }
        let named = self.set_asides.find(texts_of_kind(requirements, RequirementKind::Eligibility));
        let set_aside = compare_set_aside(&named, company);
        let is_excluded =
            set_aside.as_ref().is_some_and(|part| part.points == 0) && named.iter().any(|found| found.is_stated);
        let parts = [
            self.compare_industry(requirements, company),
            set_aside,
            self.compare_certificates(requirements, company),
            compare_subject(text, company, budget)?,
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        let (points, max_points) =
            parts.iter().fold((0, 0), |(points, max), part| (points + part.points, max + part.max_points));
        if max_points == 0 {
            if let Some(reason) = unread {
                return Ok(CompanyFit { score: None, reasons: vec![reason] });
            }
            return Ok(CompanyFit::without_score(
                "No score: the document names neither NAICS code, set-aside nor certificate, and the company has no texts \
                 to compare it with",
            ));
        }
        let mut score = (points * 100 + max_points / 2) / max_points;
        let mut reasons: Vec<_> = parts.iter().filter_map(FitPart::to_reason).collect();
        if is_excluded && score > EXCLUDED_SCORE {
            score = EXCLUDED_SCORE;
            let reason = format!("The set-aside excludes the company: {EXCLUDED_SCORE} at most");
            reasons.extend(FitReason::try_new(&reason).ok());
        }
        reasons.extend(unread);
        Ok(CompanyFit { score: FitScore::try_new(score).ok(), reasons })
    }

    fn compare_industry(&self, requirements: &RequirementList, company: &CompanyQualifications) -> Option<FitPart> {
        let named: BTreeSet<&str> = texts_of_kind(requirements, RequirementKind::Eligibility)
            .flat_map(|text| self.naics.captures_iter(text))
            .filter_map(|captures| captures.name("code").map(|code| code.as_str()))
            .collect();
        let codes = company.naics_codes();
        if named.is_empty() || codes.is_empty() {
            return None;
        }
        // The longest beginning that a code of the document shares with one of the company.
        let shared = named.iter().flat_map(|name| codes.iter().map(|code| (shared_prefix(name, code), *name, *code)));
        let (length, name, code) = shared.max_by_key(|(length, _, _)| *length)?;
        let (points, what) = if length >= code.len() || length >= 6 {
            (INDUSTRY_POINTS, format!("NAICS code {name} of the document is one of the company's"))
        } else if length >= 4 {
            (INDUSTRY_POINTS * 3 / 5, format!("NAICS code {name} of the document is of the same group as {code}"))
        } else if length >= 2 {
            (INDUSTRY_POINTS / 5, format!("NAICS code {name} of the document is of the same sector as {code}"))
        } else {
            (0, format!("NAICS code {} of the document is of none of the company's sectors", list_names(named.iter())))
        };
        Some(FitPart { points, max_points: INDUSTRY_POINTS, reason: what })
    }

    fn compare_certificates(&self, requirements: &RequirementList, company: &CompanyQualifications) -> Option<FitPart> {
        let required = self.certificates.find_names(texts_of_kind(requirements, RequirementKind::Certification));
        if required.is_empty() || !company.has_texts() {
            return None;
        }
        let held = self.certificates.find_names(company.texts());
        let (found, missing): (Vec<_>, Vec<_>) = required.iter().partition(|name| held.contains(*name));
        let reason = match (found.is_empty(), missing.is_empty()) {
            (_, true) => format!("Certificates that the document requires are in the resources: {}", list_names(found)),
            (true, false) => format!("No resource names what the document requires: {}", list_names(missing)),
            (false, false) => {
                format!(
                    "Of the required certificates, {} are in the resources, not {}",
                    list_names(found),
                    list_names(missing)
                )
            }
        };
        let share = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let points = CERTIFICATE_POINTS * share(required.intersection(&held).count()) / share(required.len()).max(1);
        Some(FitPart { points, max_points: CERTIFICATE_POINTS, reason })
    }
}

fn compare_set_aside(found: &[FoundSetAside], company: &CompanyQualifications) -> Option<FitPart> {
    if found.is_empty() || company.set_aside_codes().is_empty() && company.naics_codes().is_empty() {
        return None;
    }
    let set_asides = found.iter().map(|found| found.set_aside);
    let eligible = set_asides.clone().find(|set_aside| set_aside.includes(company.set_aside_codes()));
    let (points, reason) = if let Some(set_aside) = eligible {
        (SET_ASIDE_POINTS, format!("The company is eligible for the set-aside {}", set_aside.name))
    } else {
        let names = list_names(set_asides.map(|set_aside| set_aside.name));
        (0, format!("The profile has none of the set-asides of the document ({names})"))
    };
    Some(FitPart { points, max_points: SET_ASIDE_POINTS, reason })
}

fn compare_subject(
    text: &PagedText,
    company: &CompanyQualifications,
    budget: &AnalysisBudget,
) -> Result<Option<FitPart>, AnalysisError> {
    if !company.has_texts() {
        return Ok(None);
    }
    let terms = subject_terms::find_terms(text, budget)?;
    if terms.is_empty() {
        return Ok(None);
    }
    let known = subject_terms::collect_words(company.texts());
    let (found, missing): (Vec<_>, Vec<_>) = terms.iter().partition(|term| known.contains(term.as_str()));
    // Half of the terms give all points: texts of companies never have all words of a document.
    let share = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let points = (SUBJECT_POINTS * 2 * share(found.len()) / share(terms.len()).max(1)).min(SUBJECT_POINTS);
    let mut reason = format!("{} of the {} most frequent terms are in the company's texts", found.len(), terms.len());
    if !found.is_empty() {
        reason.push_str(": ");
        reason.push_str(&list_names(found));
    }
    if !missing.is_empty() {
        reason.push_str("; not ");
        reason.push_str(&list_names(missing));
    }
    Ok(Some(FitPart { points, max_points: SUBJECT_POINTS, reason }))
}

impl CompanyFit {
    fn without_score(reason: &str) -> Self {
        Self { score: None, reasons: FitReason::try_new(reason).into_iter().collect() }
    }
}

impl FitPart {
    fn to_reason(&self) -> Option<FitReason> {
        FitReason::try_new(&format!("{}: {} of {} points", self.reason, self.points, self.max_points)).ok()
    }
}

fn texts_of_kind(requirements: &RequirementList, kind: RequirementKind) -> impl Iterator<Item = &str> {
    requirements.iter().filter(move |requirement| requirement.kind == kind).map(|requirement| requirement.text.as_str())
}

fn shared_prefix(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count()
}

/// Some names, and how many others there are.
fn list_names<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<T> = names.into_iter().collect();
    let shown: Vec<&str> = names.iter().take(MAX_NAMED).map(AsRef::as_ref).collect();
    let rest = names.len().saturating_sub(MAX_NAMED);
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} others", shown.join(", ")) }
}
