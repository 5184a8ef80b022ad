//! The short names that a text has for the agency and its people, such as `OFA`.

use std::collections::BTreeSet;

use regex::Regex;

use super::TextBlock;
use crate::{AnalysisBudget, AnalysisError};

/// Most names that are looked for.
const MAX_NAMES: usize = 50;

/// Short names of agencies that texts use without saying the long one.
const KNOWN_NAMES: &[&str] =
    &["GSA", "TTS", "18F", "VA", "VHA", "DHA", "DoD", "HHS", "NIH", "CMS", "DLA", "FDA", "CDC", "IHS", "BARDA", "FAS"];

/// The short names of agencies in a text: well-known ones, and those that it introduces, as in `Office of Family
/// Assistance (OFA)`.
///
/// # Errors
/// [`AnalysisError`] when the budget ends.
pub(super) fn find_agency_names(blocks: &[TextBlock], budget: &AnalysisBudget) -> Result<Vec<String>, AnalysisError> {
    let introduced = Regex::new(
        r"\b(?:Office|Department|Administration|Agency|Division|Services?|Bureau|Command|Center|Authority|Institute|Commission|Board|Officer(?:['’]s Representative)?)\b(?:[ ,]+(?:[A-Z][\w'’&.-]*|of|and|for|the|on|within)){0,8}[ ,]*\((?P<name>[A-Z][A-Za-z&]{1,7})\)",
    )?;
    let mut names: BTreeSet<String> = KNOWN_NAMES.iter().map(|name| (*name).to_owned()).collect();
    for block in blocks {
        budget.check()?;
        for captures in introduced.captures_iter(&block.text) {
            if names.len() < MAX_NAMES {
                names.extend(captures.name("name").map(|name| name.as_str().to_owned()));
            }
        }
    }
    Ok(names.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PagedText, requirements::BlockSplitter};

    #[test]
    fn names_are_those_that_the_text_introduces() {
        let text = "The Office of Family Assistance (OFA) buys. The Department of Health and Social Services (DHSS), Division \
                    of Public Assistance (DPA) too. The TANF Data Reporting System (TDRS) is built.";
        let budget = AnalysisBudget::for_tests();
        let blocks = BlockSplitter::new().unwrap().split(&PagedText::from_plain_text(text), &budget).unwrap();
        let names = find_agency_names(&blocks, &budget).unwrap();
        for name in ["OFA", "DHSS", "DPA", "GSA"] {
            assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
        }
        assert!(!names.iter().any(|known| known == "TDRS"), "{names:?}");
    }
}
