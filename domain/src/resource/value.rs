//! The values of a resource.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::value::{DocumentId, InvalidValue, is_prose, text_value, vocabulary};

/// Maximum number of tags of one resource.
pub const MAX_TAGS: usize = 20;

vocabulary!(
    /// The kind of a resource.
    ResourceKind, "kind of resource" {
        /// A contract that the company has carried out.
        PastPerformance = "past_performance",
        /// A description of the company's capabilities.
        CapabilityStatement = "capability_statement",
        /// Text that many proposals use.
        Boilerplate = "boilerplate",
        /// A certificate or registration.
        Certification = "certification",
        /// A person's experience.
        Resume = "resume",
        /// A list of prices.
        PriceList = "price_list",
        /// Anything else.
        Other = "other",
    }
);

text_value!(
    /// A resource's name.
    ResourceName, "name", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// A resource's text.
    ResourceBody, "body", max 100_000, is_prose, "text"
);

text_value!(
    /// A tag for finding resources.
    ResourceTag, "tag", max 50, |c| c.is_lowercase() || c.is_ascii_digit() || c == '-', "lower-case letters, digits and hyphens"
);

/// The tags of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceTags(BTreeSet<ResourceTag>);

impl ResourceTags {
    /// Creates the set; repeated tags count once.
    ///
    /// # Errors
    /// [`InvalidValue`] for an invalid tag and for more than [`MAX_TAGS`].
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

/// The content of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceContent {
    /// The resource's name.
    pub name: ResourceName,
    /// The kind of the resource.
    pub kind: ResourceKind,
    /// The text.
    pub body: ResourceBody,
    /// The tags.
    pub tags: ResourceTags,
    /// The document that it was taken from, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_id: Option<DocumentId>,
}

impl ResourceContent {
    /// Content with what every resource has; the rest is empty.
    pub fn new(name: ResourceName, kind: ResourceKind, body: ResourceBody) -> Self {
        Self { name, kind, body, tags: ResourceTags::default(), document_id: None }
    }
}
