//! Scores of short documents.

use std::sync::LazyLock;

use domain::{
    company::{CapabilityText, CompanyName, CompanyProfile},
    opportunity::{NaicsCode, SetAside},
    resource::{ResourceBody, ResourceContent, ResourceKind, ResourceName},
};

use super::*;
use crate::RequirementExtractor;

static ASSESSOR: LazyLock<FitAssessor> = LazyLock::new(|| FitAssessor::new().unwrap());
static EXTRACTOR: LazyLock<RequirementExtractor> = LazyLock::new(|| RequirementExtractor::new().unwrap());

const RFQ: &str = "Set-aside: Total Small Business\nThe NAICS code is 811210 with a size standard of $34 million.\n\
    The contractor must be certified to ISO 13485. The contractor shall maintain infusion pumps. Infusion pumps are tested.";

fn profile(naics: &[&str], set_asides: &[&str], capabilities: Option<&str>) -> CompanyProfile {
    let mut profile = CompanyProfile::with_name(CompanyName::try_new("Acme").unwrap());
    profile.naics = naics.iter().map(|code| NaicsCode::try_new(code).unwrap()).collect();
    profile.set_asides = set_asides.iter().map(|code| SetAside::try_new(code).unwrap()).collect();
    profile.capabilities = capabilities.map(|text| CapabilityText::try_new(text).unwrap());
    profile
}

fn certificate() -> ResourceContent {
    let name = ResourceName::try_new("ISO 13485 certificate").unwrap();
    ResourceContent::new(name, ResourceKind::Certification, ResourceBody::try_new("Valid until 2030.").unwrap())
}

fn assess(text: &str, profile: &CompanyProfile, resources: Vec<ResourceContent>) -> (Option<u8>, String) {
    assess_with(text, profile, Some(resources))
}

fn assess_with(text: &str, profile: &CompanyProfile, resources: Option<Vec<ResourceContent>>) -> (Option<u8>, String) {
    let (text, budget) = (PagedText::from_plain_text(text), AnalysisBudget::for_tests());
    let requirements = EXTRACTOR.extract(&text, &budget).unwrap().list;
    let texts = resources.map(|list| list.iter().map(resource_reader::format_resource).collect());
    let company = CompanyQualifications::new(Some(profile), texts);
    let fit = ASSESSOR.assess(&text, &requirements, &company, &budget).unwrap();
    let reasons: Vec<_> = fit.reasons.iter().map(ToString::to_string).collect();
    (fit.score.map(FitScore::number), reasons.join("\n"))
}

#[test]
fn a_company_that_has_all_that_is_asked_for_fits() {
    let acme = profile(&["811210", "541512"], &["SBA"], Some("We repair infusion pumps."));
    let (score, reasons) = assess(RFQ, &acme, vec![certificate()]);
    assert_eq!(score, Some(100), "{reasons}");
    let expected = [
        "NAICS code 811210 of the document is one of the company's: 35 of 35 points",
        "The company is eligible for the set-aside small business: 25 of 25 points",
        "Certificates that the document requires are in the resources: ISO 13485: 15 of 15 points",
        "2 of the 2 most frequent terms are in the company's texts: infusion, pump: 25 of 25 points",
    ];
    assert_eq!(reasons.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_missing_costs_its_points_and_is_named() {
    let (score, reasons) = assess(RFQ, &profile(&["811219"], &["8AN"], Some("We clean wards.")), vec![]);
    // 21 of 35, 25 of 25, 0 of 15, 0 of 25.
    assert_eq!(score, Some(46), "{reasons}");
    assert!(
        reasons.contains("NAICS code 811210 of the document is of the same group as 811219: 21 of 35 points"),
        "{reasons}"
    );
    assert!(reasons.contains("No resource names what the document requires: ISO 13485: 0 of 15 points"), "{reasons}");
    assert!(
        reasons.contains("0 of the 2 most frequent terms are in the company's texts; not infusion, pump"),
        "{reasons}"
    );
}

#[test]
fn a_set_aside_for_others_excludes() {
    let hubzone = RFQ.replace("Total Small Business", "HUBZone Small Business");
    let acme = profile(&["811210"], &["SBA"], Some("We repair infusion pumps."));
    let (score, reasons) = assess(&hubzone, &acme, vec![certificate()]);
    assert_eq!(score, Some(20), "{reasons}");
    assert!(
        reasons.contains("The profile has none of the set-asides of the document (HUBZone): 0 of 25 points"),
        "{reasons}"
    );
    assert!(reasons.ends_with("The set-aside excludes the company: 20 at most"), "{reasons}");
}

#[test]
fn there_is_no_score_without_anything_to_compare() {
    let (score, reasons) = assess(RFQ, &profile(&[], &[], None), vec![]);
    assert_eq!(score, None);
    assert!(reasons.starts_with("No score: the company's profile has no NAICS codes"), "{reasons}");
    let (score, reasons) = assess("It opened in 1990.", &profile(&["541512"], &[], None), vec![]);
    assert_eq!(score, None, "{reasons}");
    assert!(reasons.starts_with("No score: the document names neither"), "{reasons}");
}

#[test]
fn a_part_that_the_document_is_silent_about_does_not_count() {
    let (score, reasons) = assess(
        "The contractor shall maintain infusion pumps. Infusion pumps are tested.",
        &profile(&["541512"], &["SBA"], Some("We repair infusion devices.")),
        vec![],
    );
    assert_eq!((score, reasons.lines().count()), (Some(100), 1), "{reasons}");
}

#[test]
fn resources_that_cannot_be_read_are_not_compared() {
    let acme = profile(&["811219"], &["SBA"], Some("We repair infusion pumps."));
    let (score, reasons) = assess_with(RFQ, &acme, None);
    // 21 of 35, 25 of 25.
    assert_eq!(score, Some(77), "{reasons}");
    let expected = "Certificates and terms were not compared: the company's resources could not be read";
    assert_eq!(reasons.lines().last(), Some(expected), "{reasons}");
    let (score, reasons) = assess_with(RFQ, &profile(&[], &[], Some("We repair infusion pumps.")), None);
    assert_eq!((score, reasons.lines().last()), (None, Some(expected)), "{reasons}");
    let (score, reasons) = assess_with(RFQ, &profile(&[], &[], None), None);
    assert_eq!((score, reasons.lines().last()), (None, Some(expected)), "{reasons}");
}

#[test]
fn a_set_aside_that_is_negated_or_conditional_is_none() {
    let acme = profile(&["811210"], &["VSA"], None);
    for sentence in [
        "This acquisition is not set aside for small business concerns.",
        "This is an unrestricted acquisition; no small business set-aside applies.",
        "This clause applies only to contracts that have been set aside for small business concerns or 8(a) participants.",
        "If the order is set aside for small business concerns, the offeror shall perform 50 percent of it.",
        "The contracting officer may set aside orders for HUBZone small business concerns.",
    ] {
        let text = format!("The NAICS code is 811210 with a size standard of $34 million. {sentence}");
        let (score, reasons) = assess(&text, &profile(&["811210"], &["8AN"], None), vec![]);
        assert_eq!((score, reasons.lines().count()), (Some(100), 1), "{sentence}: {reasons}");
        let (score, reasons) = assess(&text, &acme, vec![]);
        assert_eq!((score, reasons.lines().count()), (Some(100), 1), "{sentence}: {reasons}");
    }
}

#[test]
fn only_a_stated_set_aside_excludes() {
    let acme = profile(&["811210"], &["VSA"], Some("We repair infusion pumps."));
    let assess_sentence = |sentence: &str| {
        let text = format!("The NAICS code is 811210 with a size standard of $34 million. {sentence}");
        assess(&text, &acme, vec![])
    };
    for stated in [
        "Set-aside: HUBZone.",
        "This acquisition is set aside for HUBZone small business concerns.",
        "This requirement has been set aside exclusively for HUBZone concerns.",
        "This is a total HUBZone set-aside.",
    ] {
        let (score, reasons) = assess_sentence(stated);
        assert_eq!(score, Some(20), "{stated}: {reasons}");
        assert!(reasons.contains("The set-aside excludes the company"), "{stated}: {reasons}");
    }
    let (score, reasons) = assess_sentence("A partial HUBZone set-aside is described in section 7.");
    assert_eq!(score, Some(58), "{reasons}");
    assert!(!reasons.contains("excludes"), "{reasons}");
}
