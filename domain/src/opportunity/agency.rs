//! The agency that publishes a notice, and its code.

use serde::{Deserialize, Serialize};

use super::value::InvalidValue;

/// Maximum length of a name in characters.
const MAX_NAME: usize = 200;

/// A department or independent agency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agency {
    /// Its Common Government-wide Accounting Classification code, or a slug of its name if no code is listed here.
    pub code: String,
    /// Its name as published.
    pub name: String,
}

impl Agency {
    /// The agency with the given name.
    ///
    /// The code is derived from the name alone, because the name is the only field that every SAM.gov format has: the
    /// same department has different CGAC codes by service (017, 021, 057 and 097 are all "DEPT OF DEFENSE"), and the
    /// text format has no code.
    ///
    /// # Errors
    /// [`InvalidValue`] when the name is empty, has no letter, or is too long.
    pub fn from_name(name: &str) -> Result<Self, InvalidValue> {
        let name = name.trim();
        if name.chars().count() > MAX_NAME {
            return Err(InvalidValue::TooLong { what: "agency", max: MAX_NAME });
        }
        let slug = slugify(name);
        if slug.is_empty() {
            return Err(InvalidValue::Empty { what: "agency" });
        }
        let code = AGENCY_CODES
            .binary_search_by_key(&slug.as_str(), |(known, _)| known)
            .map_or(slug, |index| AGENCY_CODES[index].1.to_owned());
        Ok(Self { code, name: name.to_owned() })
    }
}

/// The listed code of the agency with this code; `None` for a slug, since there may be any number of them.
pub fn find_listed_code(code: &str) -> Option<&'static str> {
    AGENCY_CODES.iter().map(|(_, listed)| *listed).find(|listed| *listed == code)
}

/// Upper case words joined by hyphens, without other characters.
fn slugify(name: &str) -> String {
    name.to_uppercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// Slug of the published name -> CGAC code, sorted by slug.
const AGENCY_CODES: &[(&str, &str)] = &[
    ("AGENCY-FOR-INTERNATIONAL-DEVELOPMENT", "072"),
    ("AGRICULTURE-DEPARTMENT-OF", "012"),
    ("COMMERCE-DEPARTMENT-OF", "013"),
    ("DEPT-OF-DEFENSE", "097"),
    ("EDUCATION-DEPARTMENT-OF", "091"),
    ("ENERGY-DEPARTMENT-OF", "089"),
    ("ENVIRONMENTAL-PROTECTION-AGENCY", "068"),
    ("EXPORT-IMPORT-BANK-OF-THE-US", "083"),
    ("GENERAL-SERVICES-ADMINISTRATION", "047"),
    ("HEALTH-AND-HUMAN-SERVICES-DEPARTMENT-OF", "075"),
    ("HOMELAND-SECURITY-DEPARTMENT-OF", "070"),
    ("HOUSING-AND-URBAN-DEVELOPMENT-DEPARTMENT-OF", "086"),
    ("INTERIOR-DEPARTMENT-OF-THE", "014"),
    ("JUSTICE-DEPARTMENT-OF", "015"),
    ("LABOR-DEPARTMENT-OF", "016"),
    ("LIBRARY-OF-CONGRESS", "003"),
    ("NATIONAL-AERONAUTICS-AND-SPACE-ADMINISTRATION", "080"),
    ("NATIONAL-SCIENCE-FOUNDATION", "049"),
    ("NUCLEAR-REGULATORY-COMMISSION", "031"),
    ("OFFICE-OF-PERSONNEL-MANAGEMENT", "024"),
    ("POSTAL-SERVICE", "018"),
    ("SOCIAL-SECURITY-ADMINISTRATION", "028"),
    ("STATE-DEPARTMENT-OF", "019"),
    ("TRANSPORTATION-DEPARTMENT-OF", "069"),
    ("TREASURY-DEPARTMENT-OF-THE", "020"),
    ("UNITED-STATES-GOVERNMENT-PUBLISHING-OFFICE", "004"),
    ("VETERANS-AFFAIRS-DEPARTMENT-OF", "036"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_for_the_binary_search() {
        assert!(AGENCY_CODES.is_sorted());
        assert_eq!(Agency::from_name(" Veterans Affairs, Department of").unwrap().code, "036");
    }

    #[test]
    fn an_unlisted_agency_gets_a_slug() {
        assert_eq!(Agency::from_name("PEACE CORPS").unwrap().code, "PEACE-CORPS");
    }

    #[test]
    fn a_name_without_letters_is_refused() {
        assert_eq!(Agency::from_name(" ,. "), Err(InvalidValue::Empty { what: "agency" }));
    }
}
