//! What is found in short texts. [`score`] compares with lists of real documents that were made by hand.

mod score;

use std::{sync::LazyLock, time::Duration};

use domain::document::RequirementKind;
use tokio_util::sync::CancellationToken;

use super::*;

/// Compiled once for all tests.
static EXTRACTOR: LazyLock<RequirementExtractor> = LazyLock::new(|| RequirementExtractor::new().unwrap());

fn extract(text: &str) -> Vec<DocumentRequirement> {
    extract_all(text).list.iter().cloned().collect()
}

fn extract_all(text: &str) -> ExtractedRequirements {
    EXTRACTOR.extract(&PagedText::from_plain_text(text), &AnalysisBudget::for_tests()).unwrap()
}

fn kinds(text: &str) -> Vec<RequirementKind> {
    extract(text).iter().map(|requirement| requirement.kind).collect()
}

#[test]
fn a_requirement_has_its_quotation_section_and_page() {
    let found =
        extract("Introduction\u{c}L.3.2 Page Limits\nThe technical volume  shall not\nexceed 5 pages. Good luck.");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].text.as_str(), "The technical volume shall not exceed 5 pages.");
    assert_eq!(found[0].number.as_ref().map(RequirementNumber::as_str), Some("L.3.2"));
    assert_eq!((found[0].page, found[0].kind), (Some(2), RequirementKind::Submission));
}

#[test]
fn kinds_follow_from_the_wording() {
    for (sentence, expected) in [
        ("The contractor shall clean the pumps.", RequirementKind::Obligation),
        ("The contractor is responsible for spare parts.", RequirementKind::Obligation),
        ("The contractor shall submit a monthly status report.", RequirementKind::Deliverable),
        ("The Government will evaluate past performance.", RequirementKind::Evaluation),
        ("Award will be made on the basis of best value.", RequirementKind::Evaluation),
        ("All quotes must be in Excel format.", RequirementKind::Submission),
        ("Late proposals will not be considered.", RequirementKind::Submission),
        ("The offeror represents that it is a small business.", RequirementKind::Certification),
        ("Set-aside: Total Small Business", RequirementKind::Eligibility),
        ("The NAICS code is 541512 with a size standard of $34 million.", RequirementKind::Eligibility),
        ("Quotes are due by May 5, 2020 at noon Eastern.", RequirementKind::Deadline),
    ] {
        assert_eq!(kinds(sentence), [expected], "{sentence}");
    }
}

#[test]
fn duties_of_the_agency_and_stories_are_no_requirements() {
    for sentence in [
        "The Government will provide a laptop.",
        "The Office of Pumps (OPX) shall respond within 30 days. The OPX will pay.",
        "The contractor will not be required to travel.",
        "As a nurse, I need a report, so that I can plan.",
        "The contractor will receive a letter.",
        "The system was built in 1990.",
    ] {
        assert_eq!(extract(sentence), [], "{sentence}");
    }
}

#[test]
fn items_belong_to_the_sentence_that_introduces_them() {
    let open = extract("The system must:\n• Run on Linux\n• Be open source\n");
    let texts: Vec<_> = open.iter().map(|found| found.text.as_str()).collect();
    assert_eq!(texts, ["• Run on Linux", "• Be open source"]);
    let complete =
        extract("The plan must include the following:\n• the staff\n• the schedule\n\nThe Government will read it.");
    assert_eq!(complete.len(), 1, "{complete:?}");
    assert_eq!(complete[0].text.as_str(), "The plan must include the following: • the staff • the schedule");
}

#[test]
fn a_due_date_is_in_utc_where_the_zone_is_said_or_holds_for_the_document() {
    let due = |text: &str| extract(text)[0].due.map(|due| due.to_rfc3339());
    assert_eq!(
        due("Offers are due no later than 2 pm ET on May 5, 2020.").as_deref(),
        Some("2020-05-05T18:00:00+00:00")
    );
    assert_eq!(due("Offers are due on May 5, 2020 at 2 pm."), None);
    let text = "Offers are due on May 5, 2020 at 2 pm.\nAll times are Alaska Prevailing Time.";
    assert_eq!(due(text).as_deref(), Some("2020-05-05T22:00:00+00:00"));
}

#[test]
fn hostile_texts_have_bounded_results() {
    let endless = "The contractor shall pay ".repeat(20_000);
    let found = extract(&endless);
    assert!(found.iter().all(|found| found.text.as_str().chars().count() <= MAX_QUOTATION_CHARS));
    for odd in [
        "",
        "\u{c}\u{c}",
        "\0\u{1}\u{fffd} shall",
        "shall must will .",
        "é.é shall (",
        "契約者は報告書を提出する。",
        ":::: must:",
    ] {
        extract(odd);
    }
    assert_eq!(kinds(&"The contractor shall pay. ".repeat(9)), [RequirementKind::Obligation], "the same sentence once");
}

#[test]
fn a_list_is_cut_at_its_limits_and_says_so() {
    let sentence = |number| format!("The contractor shall clean pump {number}.\n");
    let sentences = |count: usize| (0..count).map(sentence).collect::<Vec<_>>().concat();
    let exact = extract_all(&sentences(MAX_REQUIREMENTS));
    assert_eq!((exact.list.iter().len(), exact.is_complete), (MAX_REQUIREMENTS, true));
    let cut = extract_all(&sentences(MAX_REQUIREMENTS + 1));
    assert_eq!((cut.list.iter().len(), cut.is_complete), (MAX_REQUIREMENTS, false));
    assert!(is_full(&cut.list) && !is_full(&extract_all(&sentences(9)).list));
    // Repetitions take nothing of the limits.
    let repeated = format!("{}{}", sentences(1).repeat(3_000), sentences(MAX_REQUIREMENTS));
    assert_eq!(extract_all(&repeated), exact);
    let long_sentence = |number| format!("The contractor shall {number} {}.\n", "pay ".repeat(350));
    let cut = extract_all(&(0..400).map(long_sentence).collect::<Vec<_>>().concat());
    let bytes: usize = cut.list.iter().map(|found| found.text.as_str().len()).sum();
    assert!((FULL_LIST_BYTES..=400_000).contains(&bytes) && is_full(&cut.list) && !cut.is_complete, "{bytes}");
}

#[test]
fn hostile_texts_end_in_linear_time() {
    let start = std::time::Instant::now();
    // Each of these items would be read with some 300 following ones.
    let items = (0..1_500).map(|number| format!("- {number}:\n")).collect::<Vec<_>>().concat();
    assert_eq!(extract(&format!("The contractor must:\n{items}")).len(), 1_500);
    // Introductions with short items, blank lines, the same item again and again, and 5 MB on one line.
    extract(&"The plan must include the following:\n- a\n- b:\n".repeat(1_000));
    extract(&format!("{}The end.", "\n".repeat(200_000)));
    extract(&format!("The contractor must:\n{}", "- x\n".repeat(5_000)));
    extract(&"word ".repeat(1_000_000));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn an_extraction_ends_with_its_budget() {
    let text = PagedText::from_plain_text(&"The contractor shall pay.\n".repeat(100));
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let budget = AnalysisBudget::start(cancelled, Duration::from_secs(20));
    assert!(matches!(EXTRACTOR.extract(&text, &budget), Err(AnalysisError::Cancelled)));
    let budget = AnalysisBudget::start(CancellationToken::new(), Duration::ZERO);
    let error = EXTRACTOR.extract(&text, &budget).unwrap_err();
    assert_eq!(error.to_string(), "the text takes longer than 0 s to analyse; split the document");
}
