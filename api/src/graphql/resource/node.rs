//! The resource as clients see it.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};
use domain::resource as record;
use projections::tenant_views::StoredAggregate;

use crate::graphql::tenant_node::TenantNode;

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
        let asset = stored.state.content()?.clone();
        Some(Self {
            id,
            version: stored.version,
            name: asset.name.to_string(),
            kind: asset.kind.into(),
            body: asset.body.to_string(),
            tags: asset.tags.iter().map(ToString::to_string).collect(),
            document_id: asset.document_id.map(|id| id.to_string()),
            created_at: stored.created_at,
            created_by: stored.created_by,
            updated_at: stored.updated_at,
            updated_by: stored.updated_by,
        })
    }
}
