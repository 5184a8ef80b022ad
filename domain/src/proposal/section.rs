//! The sections of a proposal.

use serde::{Deserialize, Serialize};

use super::value::{SectionContent, SectionHeading};
use crate::value::{InvalidValue, text_value};

/// Maximum number of sections in one proposal.
pub const MAX_SECTIONS: usize = 100;

text_value!(
    /// The key of a section: a short name that stays when the heading changes.
    SectionKey, "section", max 60, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    "lower-case letters, digits and hyphens"
);

/// A section of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The section's key.
    pub key: SectionKey,
    /// The section's heading.
    pub heading: SectionHeading,
    /// The content; `None` while the section is only planned.
    pub content: Option<SectionContent>,
    /// Grows with each edit; 0 while the section is only planned.
    pub revision: u32,
}

/// A section of an outline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSection {
    /// The section's key.
    pub key: SectionKey,
    /// The section's heading.
    pub heading: SectionHeading,
}

/// The planned sections of a new proposal, in their order; each key once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProposalOutline(Vec<PlannedSection>);

impl ProposalOutline {
    /// Creates the outline.
    ///
    /// # Errors
    /// [`InvalidValue`] for more than [`MAX_SECTIONS`] and for a repeated key.
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
    /// The section's key.
    pub section: SectionKey,
    /// The new heading.
    pub heading: SectionHeading,
    /// The new content.
    pub content: SectionContent,
    /// The revision that the author has seen; 0 for a section that is new or only planned. If the section has another
    /// revision, a change of heading or content is refused, so that no author overwrites text they have not read.
    pub based_on: u32,
}
