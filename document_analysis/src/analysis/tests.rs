//! Summaries and risks of short texts.

use std::sync::LazyLock;

use chrono::TimeZone as _;

use super::*;
use crate::RequirementExtractor;

static ANALYST: LazyLock<ExtractiveAnalyst> = LazyLock::new(|| ExtractiveAnalyst::new().unwrap());
static EXTRACTOR: LazyLock<RequirementExtractor> = LazyLock::new(|| RequirementExtractor::new().unwrap());

const RFQ: &str = "1 Purpose\nThe purpose of this request is to buy maintenance of medical pumps for twelve hospitals. \
    Medical pumps are maintained every year by certified technicians of the manufacturer. Parking is free.\n\
    \u{c}Late quotes will not be considered. Quotes are due by May 5, 2020 at noon Eastern. \
    A performance bond is required. Liquidated damages of $100 a day apply.";

fn analyse(text: &str, language: Option<&str>) -> AnalysisReport {
    let text = PagedText::from_plain_text(text);
    let now = Utc.with_ymd_and_hms(2020, 5, 1, 0, 0, 0).unwrap();
    ANALYST.analyse(&text, &EXTRACTOR.extract(&text).unwrap(), language, now).unwrap()
}

fn risks(text: &str, language: Option<&str>) -> String {
    let risks: Vec<_> = analyse(text, language).risks.iter().map(ToString::to_string).collect();
    risks.join("\n")
}

#[test]
fn a_summary_quotes_what_the_document_is_about_with_pages() {
    let report = analyse(RFQ, Some("en"));
    let summary = report.summary.as_str();
    let first = "\"The purpose of this request is to buy maintenance of medical pumps for twelve hospitals.\" (page 1)";
    assert!(summary.starts_with(first), "{summary}");
    assert!(!summary.contains("Parking"), "{summary}");
    assert_eq!((report.model.as_str(), report.fit_score), (EXTRACTIVE_MODEL, None));
    assert_eq!(report, analyse(RFQ, Some("en")), "the same text has the same analysis");
}

#[test]
fn risks_name_their_kind_and_quote_the_sentence() {
    let found = risks(RFQ, Some("en"));
    for expected in [
        "Short deadline, 2020-05-05 16:00 UTC: \"Quotes are due by May 5, 2020 at noon Eastern.\" (page 2)",
        "Missing information: no sentence was found that says how offers are evaluated",
        "Bond or other security required: \"A performance bond is required.\" (page 2)",
        "Liquidated damages: \"Liquidated damages of $100 a day apply.\" (page 2)",
    ] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
    assert_eq!(risks("The hospital opened in 1990.", Some("en")), "");
}

#[test]
fn deadlines_that_have_passed_and_other_languages_are_said() {
    assert!(risks("Offers are due by April 1, 2020 at noon ET.", None).starts_with("Deadline has passed, 2020-04-01"));
    assert!(risks("Offers are due by June 1, 2020 at noon ET.", None).is_empty());
    assert!(risks("Das Krankenhaus kauft Pumpen.", Some("de")).contains("not in English but in de"));
}

#[test]
fn odd_texts_are_analysed_or_refused() {
    assert_eq!(analyse("Pumps.", None).summary.as_str(), "\"Pumps.\" (page 1)");
    let nothing = ANALYST.analyse(
        &PagedText::from_plain_text(" \u{c} "),
        &RequirementList::default(),
        None,
        DateTime::UNIX_EPOCH,
    );
    assert!(nothing.is_err());
    let long = "liquidated damages ".repeat(5_000);
    assert!(analyse(&long, None).risks.iter().all(|risk| risk.as_str().len() < 700));
}
