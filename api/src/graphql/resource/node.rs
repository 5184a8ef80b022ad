//! The resource as clients see it, and as they set it.

use async_graphql::{Enum, InputObject, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{
    resource::{self as record, ResourceBody, ResourceContent, ResourceName, ResourceTags},
    value::DocumentId,
};
use projections::tenant_views::StoredAggregate;
use uuid::Uuid;

use crate::graphql::{error, input_validation::parse_value, tenant_node::TenantNode};

/// Kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ResourceKind", remote = "record::ResourceKind")]
pub(in crate::graphql) enum ResourceKindEnum {
    /// A contract that the company performed.
    PastPerformance,
    /// The company's capabilities.
    CapabilityStatement,
    /// Reusable text.
    Boilerplate,
    /// A certificate or registration.
    Certification,
    /// A person's experience.
    Resume,
    /// Prices.
    PriceList,
    /// Anything else.
    Other,
}

/// The content of a resource.
#[derive(InputObject)]
#[graphql(name = "ResourceInput")]
pub(super) struct ResourceContentInput {
    /// Name, at most 200 characters.
    name: String,
    /// Kind of resource.
    kind: ResourceKindEnum,
    /// Text, at most 100,000 characters.
    body: String,
    /// Tags, at most 20: lower-case letters, digits and hyphens.
    #[graphql(default)]
    tags: Vec<String>,
    /// Id of the document that it was taken from.
    document_id: Option<Uuid>,
}

impl ResourceContentInput {
    pub(super) fn into_content(self) -> Result<ResourceContent> {
        Ok(ResourceContent {
            name: parse_value("input.name", &self.name, ResourceName::try_new)?,
            kind: self.kind.into(),
            body: parse_value("input.body", &self.body, ResourceBody::try_new)?,
            tags: ResourceTags::try_new(self.tags).map_err(|reason| error::invalid_value("input.tags", &reason))?,
            document_id: self.document_id.map(DocumentId::new),
        })
    }
}

/// Content that a company reuses in its proposals.
#[derive(SimpleObject)]
#[graphql(name = "Resource")]
pub(super) struct ResourceNode {
    /// Id.
    id: String,
    /// Version: the number of recorded changes.
    version: u64,
    /// Name.
    name: String,
    /// Kind.
    kind: ResourceKindEnum,
    /// Text.
    body: String,
    /// Tags.
    tags: Vec<String>,
    /// Id of the document that it was taken from.
    document_id: Option<String>,
    /// When it was created.
    created_at: DateTime<Utc>,
    /// Who created it.
    created_by: String,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
    /// Who last changed it.
    updated_by: String,
}

impl TenantNode for ResourceNode {
    type Aggregate = record::Resource;

    fn from_stored(id: String, stored: StoredAggregate<Self::Aggregate>) -> Option<Self> {
        let content = stored.state.content()?.clone();
        Some(Self {
            id,
            version: stored.version,
            name: content.name.to_string(),
            kind: content.kind.into(),
            body: content.body.to_string(),
            tags: content.tags.iter().map(ToString::to_string).collect(),
            document_id: content.document_id.map(|id| id.to_string()),
            created_at: stored.created_at,
            created_by: stored.created_by,
            updated_at: stored.updated_at,
            updated_by: stored.updated_by,
        })
    }
}
