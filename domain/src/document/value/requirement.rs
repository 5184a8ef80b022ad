//! The requirements in a document.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::value::{InvalidValue, is_prose, text_value, vocabulary};

/// Maximum number of requirements of one document.
pub const MAX_REQUIREMENTS: usize = 2_000;

vocabulary!(
    /// The kind of a requirement.
    RequirementKind, "kind of requirement" {
        /// Something that the contractor has to do or to fulfil.
        Obligation = "obligation",
        /// A time limit.
        Deadline = "deadline",
        /// Something that the contractor has to deliver.
        Deliverable = "deliverable",
        /// A criterion of the agency's evaluation of offers.
        Evaluation = "evaluation",
        /// A certificate or registration that the contractor needs.
        Certification = "certification",
        /// An instruction about what an offer contains and how it is submitted.
        Submission = "submission",
        /// A condition for making an offer: a set-aside, or the industry code with its size standard.
        Eligibility = "eligibility",
    }
);

text_value!(
    /// The document's own number of a requirement, e.g. `L.3.2`.
    RequirementNumber, "number", max 50, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// The wording of a requirement in the document.
    RequirementText, "requirement", max 2_000, is_prose, "text"
);

/// One requirement in a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRequirement {
    /// The document's own number of the requirement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<RequirementNumber>,
    /// The kind of the requirement.
    pub kind: RequirementKind,
    /// The wording in the document.
    pub text: RequirementText,
    /// The page, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The time limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<DateTime<Utc>>,
}

/// The requirements of a document, in the document's order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequirementList(Vec<DocumentRequirement>);

impl RequirementList {
    /// Creates the list.
    ///
    /// # Errors
    /// [`InvalidValue`] for more than [`MAX_REQUIREMENTS`].
    pub fn try_new(requirements: Vec<DocumentRequirement>) -> Result<Self, InvalidValue> {
        if requirements.len() > MAX_REQUIREMENTS {
            return Err(InvalidValue::TooMany { what: "requirements", max: MAX_REQUIREMENTS });
        }
        Ok(Self(requirements))
    }

    /// The requirements, in the document's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &DocumentRequirement> {
        self.0.iter()
    }
}
