//! Identifies the solicitation that a notice is about (ADR 0002).
//!
//! SAM.gov has ids for notices only, not for solicitations. The id is therefore made of the agency's code and the
//! normalised solicitation number; a notice without a number is a separate opportunity.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{agency::Agency, value::NoticeId};

/// Maximum length of an id in bytes; also bounds the Kafka key.
const MAX_ID_BYTES: usize = 200;

/// The stream of one opportunity, e.g. `097:SPE4A726RX326` or `notice:f7de794d27e242e89584e27bd9e2b7aa`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpportunityId(String);

impl OpportunityId {
    /// The id of the opportunity that a notice belongs to.
    pub fn from_notice(agency: &Agency, solicitation_number: Option<&str>, notice: &NoticeId) -> Self {
        let number = solicitation_number.map(normalize_number).unwrap_or_default();
        if number.is_empty() || agency.code.len() + 1 + number.len() > MAX_ID_BYTES {
            return Self(format!("notice:{notice}"));
        }
        Self(format!("{}:{number}", agency.code))
    }

    /// Parses an id that a client sends; checks its form only.
    pub fn parse(text: &str) -> Option<Self> {
        let (agency, number) = text.split_once(':')?;
        let is_valid =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
        (text.len() <= MAX_ID_BYTES && is_valid(agency) && is_valid(number)).then(|| Self(text.to_owned()))
    }

    /// The id as text: the aggregate id in the log and the key on Kafka.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OpportunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Letters and digits only, in upper case: `SPE4A6-26-R-X062` and `spe4a626rx062 ` are the same solicitation.
fn normalize_number(number: &str) -> String {
    number.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(agency: &str, number: Option<&str>) -> String {
        let notice = NoticeId::try_new("f7de794d").unwrap();
        OpportunityId::from_notice(&Agency::from_name(agency).unwrap(), number, &notice).to_string()
    }

    #[test]
    fn spelling_variants_of_a_number_give_the_same_id() {
        assert_eq!(id("DEPT OF DEFENSE", Some("SPE4A6-26-R-X062")), "097:SPE4A626RX062");
        assert_eq!(id("DEPT OF DEFENSE", Some(" spe4a626rx062 ")), "097:SPE4A626RX062");
    }

    #[test]
    fn a_notice_without_a_usable_number_gets_an_id_of_its_own() {
        assert_eq!(id("DEPT OF DEFENSE", None), "notice:f7de794d");
        assert_eq!(id("DEPT OF DEFENSE", Some(" -- ")), "notice:f7de794d");
        assert_eq!(id("DEPT OF DEFENSE", Some(&"9".repeat(500))), "notice:f7de794d");
    }

    #[test]
    fn equal_numbers_of_two_departments_give_different_ids() {
        assert_ne!(id("DEPT OF DEFENSE", Some("1")), id("ENERGY, DEPARTMENT OF", Some("1")));
    }

    #[test]
    fn only_well_formed_ids_are_parsed() {
        assert!(OpportunityId::parse("097:SPE4A626RX062").is_some());
        for bad in ["", "097", "097:", ":X", "097:A B", "097:A:B", &format!("097:{}", "9".repeat(200))] {
            assert_eq!(OpportunityId::parse(bad), None, "{bad}");
        }
    }
}
