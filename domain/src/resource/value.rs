//! What a resource is made of.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::value::{DocumentId, InvalidValue, is_prose, text_value, vocabulary};

/// How many tags one resource has, at most.
pub const MAX_TAGS: usize = 20;

vocabulary!(
    /// What a resource is good for.
    ResourceKind, "kind of resource" {
        /// A contract that was carried out.
        PastPerformance = "past_performance",
        /// What the company can do.
        CapabilityStatement = "capability_statement",
        /// Text that is used again and again.
        Boilerplate = "boilerplate",
        /// A certificate or registration.
        Certification = "certification",
        /// What a person has done.
        Resume = "resume",
        /// What things cost.
        PriceList = "price_list",
        /// Anything else.
        Other = "other",
    }
);

text_value!(
    /// What a resource is called.
    ResourceName, "name", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// What a resource says.
    ResourceBody, "body", max 100_000, is_prose, "text"
);

text_value!(
    /// A word to find resources by.
    ResourceTag, "tag", max 50, |c| c.is_lowercase() || c.is_ascii_digit() || c == '-', "lower-case letters, digits and hyphens"
);

/// The tags of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceTags(BTreeSet<ResourceTag>);

impl ResourceTags {
    /// Each tag once, in order.
    ///
    /// # Errors
    /// [`InvalidValue`] for a tag that is none, and for more than [`MAX_TAGS`].
    pub fn try_new<T: AsRef<str>>(tags: impl IntoIterator<Item = T>) -> Result<Self, InvalidValue> {
        let tags =
            tags.into_iter().map(|tag| ResourceTag::try_new(tag.as_ref())).collect::<Result<BTreeSet<_>, _>>()?;
        if tags.len() > MAX_TAGS {
            return Err(InvalidValue::TooMany { what: "tags", max: MAX_TAGS });
        }
        Ok(Self(tags))
    }

    /// The tags in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ResourceTag> {
        self.0.iter()
    }
}

/// What a resource holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceContent {
    /// What it is called.
    pub name: ResourceName,
    /// What it is good for.
    pub kind: ResourceKind,
    /// What it says.
    pub body: ResourceBody,
    /// Words to find it by.
    pub tags: ResourceTags,
    /// The document that it was taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_id: Option<DocumentId>,
}
