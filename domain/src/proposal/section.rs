//! The parts of a proposal.

use serde::{Deserialize, Serialize};

use super::value::{SectionContent, SectionHeading};
use crate::value::{InvalidValue, text_value};

/// How many sections one proposal has, at most.
pub const MAX_SECTIONS: usize = 100;

text_value!(
    /// A section, by a short name that stays when its heading changes.
    SectionKey, "section", max 60, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    "lower-case letters, digits and hyphens"
);

/// A section as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Which section.
    pub key: SectionKey,
    /// What it is called.
    pub heading: SectionHeading,
    /// What it says; nothing yet where it was only planned.
    pub content: Option<SectionContent>,
    /// Grows with each edit; 0 where it was only planned.
    pub revision: u32,
}

/// A section to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSection {
    /// Which section.
    pub key: SectionKey,
    /// What it is called.
    pub heading: SectionHeading,
}

/// The sections that are planned at the start, in their order; each key once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProposalOutline(Vec<PlannedSection>);

impl ProposalOutline {
    /// These sections.
    ///
    /// # Errors
    /// [`InvalidValue`] for more than [`MAX_SECTIONS`] and for a key that comes twice.
    pub fn try_new(sections: Vec<(SectionKey, SectionHeading)>) -> Result<Self, InvalidValue> {
        if sections.len() > MAX_SECTIONS {
            return Err(InvalidValue::TooMany { what: "sections", max: MAX_SECTIONS });
        }
        let mut planned: Vec<PlannedSection> = vec![];
        for (key, heading) in sections {
            if planned.iter().any(|known| known.key == key) {
                return Err(InvalidValue::malformed("section", key.as_str(), "different from the other sections"));
            }
            planned.push(PlannedSection { key, heading });
        }
        Ok(Self(planned))
    }

    pub(super) fn into_sections(self) -> Vec<Section> {
        let section = |planned: PlannedSection| Section {
            key: planned.key,
            heading: planned.heading,
            content: None,
            revision: 0,
        };
        self.0.into_iter().map(section).collect()
    }
}

/// A requested change of a section, new or existing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionChange {
    /// Which section.
    pub section: SectionKey,
    /// What it is to be called.
    pub heading: SectionHeading,
    /// What it is to say.
    pub content: SectionContent,
    /// The revision that the author has seen; 0 for a section that is new or only planned. At any other revision a
    /// change of heading or content is refused, so that no author overwrites text they have not read.
    pub based_on: u32,
}
