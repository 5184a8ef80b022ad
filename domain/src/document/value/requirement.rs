//! What a document asks for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::value::{InvalidValue, is_prose, text_value, vocabulary};

/// How many requirements one document has, at most.
pub const MAX_REQUIREMENTS: usize = 2_000;

vocabulary!(
    /// What kind of thing is asked for.
    RequirementKind, "kind of requirement" {
        /// Something that has to be done or to be so.
        Obligation = "obligation",
        /// A time by which something has to be there.
        Deadline = "deadline",
        /// Something that has to be handed over.
        Deliverable = "deliverable",
        /// What offers are judged by.
        Evaluation = "evaluation",
        /// A certificate or registration that one has to have.
        Certification = "certification",
    }
);

text_value!(
    /// The document's own number of a requirement, e.g. `L.3.2`.
    RequirementNumber, "number", max 50, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// What is asked for, in the document's words.
    RequirementText, "requirement", max 2_000, is_prose, "text"
);

/// One thing that a document asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRequirement {
    /// The document's own number of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<RequirementNumber>,
    /// What kind of thing it is.
    pub kind: RequirementKind,
    /// What is asked for.
    pub text: RequirementText,
    /// On which page, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// By when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<DateTime<Utc>>,
}

/// Everything that a document asks for, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequirementList(Vec<DocumentRequirement>);

impl RequirementList {
    /// These requirements.
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
