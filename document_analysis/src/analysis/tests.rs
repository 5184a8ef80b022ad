//! Summaries and risks of short texts.

use std::sync::LazyLock;

use chrono::TimeZone as _;

use super::*;
use crate::{RequirementExtractor, paged_text::UNREAD_PAGE_NOTICE};

static ANALYST: LazyLock<ExtractiveAnalyst> = LazyLock::new(|| ExtractiveAnalyst::new().unwrap());
static EXTRACTOR: LazyLock<RequirementExtractor> = LazyLock::new(|| RequirementExtractor::new().unwrap());

const RFQ: &str = "1 Purpose\nThe purpose of this request is to buy maintenance of medical pumps for twelve hospitals. \
    Medical pumps are maintained every year by certified technicians of the manufacturer. Parking is free.\n\
    \u{c}Late quotes will not be considered. Quotes are due by May 5, 2020 at noon Eastern. \
    A performance bond is required. Liquidated damages of $100 a day apply.";

fn analyse(text: &str, language: Option<&str>) -> AnalysisReport {
    let text = PagedText::from_plain_text(text);
    let now = Utc.with_ymd_and_hms(2020, 5, 1, 0, 0, 0).unwrap();
    let budget = AnalysisBudget::for_tests();
    let requirements = EXTRACTOR.extract(&text, &budget).unwrap().list;
    ANALYST.analyse(&text, &requirements, &CompanyQualifications::default(), language, now, &budget).unwrap()
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
fn pages_that_were_not_read_are_a_risk() {
    let text = format!("The contractor shall deliver pumps and\u{c}{UNREAD_PAGE_NOTICE}\u{c}Pumps are blue.");
    let found = risks(&text, Some("en"));
    assert!(found.contains("Page that could not be read: ") && found.contains("(page 2)"), "{found}");
}

#[test]
fn deadlines_that_have_passed_and_other_languages_are_said() {
    assert!(risks("Offers are due by April 1, 2020 at noon ET.", None).starts_with("Deadline has passed, 2020-04-01"));
    assert!(risks("Offers are due by June 1, 2020 at noon ET.", None).is_empty());
    assert!(
        risks("Das Krankenhaus kauft Pumpen.", Some("de")).starts_with("The text is not in English but in German: ")
    );
}

#[test]
fn odd_texts_are_analysed_or_refused() {
    assert_eq!(analyse("Pumps.", None).summary.as_str(), "\"Pumps.\" (page 1)");
    let nothing = ANALYST.analyse(
        &PagedText::from_plain_text(" \u{c} "),
        &RequirementList::default(),
        &CompanyQualifications::default(),
        None,
        DateTime::UNIX_EPOCH,
        &AnalysisBudget::for_tests(),
    );
    assert!(matches!(nothing, Err(AnalysisError::NoSentence(_))));
    let long = "liquidated damages ".repeat(5_000);
    assert!(analyse(&long, None).risks.iter().all(|risk| risk.as_str().len() < 700));
}

#[test]
fn a_cut_list_of_requirements_is_a_risk() {
    let sentence = |number| format!("The contractor shall clean pump {number}.\n");
    let sentences = (0..2_001).map(sentence).collect::<Vec<_>>().concat();
    let expected = "Incomplete list: the document may have more than the 2000 requirements that were extracted";
    assert!(risks(&sentences, None).contains(expected));
    assert!(!risks(RFQ, None).contains("Incomplete list"));
}

#[test]
fn an_analysis_of_a_hostile_text_ends_in_linear_time_or_with_its_budget() {
    let none = RequirementList::default();
    let analyse = |text: &str, budget: &AnalysisBudget| {
        let (text, company) = (PagedText::from_plain_text(text), CompanyQualifications::default());
        ANALYST.analyse(&text, &none, &company, None, DateTime::UNIX_EPOCH, budget)
    };
    let start = std::time::Instant::now();
    analyse(&"x\n".repeat(200_000), &AnalysisBudget::for_tests()).unwrap();
    analyse(&"B1. C2. ".repeat(50_000), &AnalysisBudget::for_tests()).unwrap();
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    let over = AnalysisBudget::start(tokio_util::sync::CancellationToken::new(), std::time::Duration::ZERO);
    assert!(matches!(analyse(RFQ, &over), Err(AnalysisError::TooSlow { .. })));
    let large = analyse(&"x\n".repeat(300_000), &AnalysisBudget::for_tests());
    assert!(matches!(large, Err(AnalysisError::TooManyLines { .. })));
}
