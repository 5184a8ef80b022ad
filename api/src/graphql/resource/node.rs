//! What a frontend sees of a resource.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};
use domain::resource as record;
use projections::tenant_views::StoredAggregate;

/// What a resource is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ResourceKind", remote = "record::ResourceKind")]
pub(in crate::graphql) enum ResourceKindEnum {
    /// A contract that was carried out.
    PastPerformance,
    /// What the company can do.
    CapabilityStatement,
    /// Text that is used again and again.
    Boilerplate,
    /// A certificate or registration.
    Certification,
    /// What a person has done.
    Resume,
    /// What things cost.
    PriceList,
    /// Anything else.
    Other,
}

/// Something that a company keeps to use again in its proposals.
#[derive(SimpleObject)]
#[graphql(name = "Resource")]
pub(super) struct ResourceNode {
    /// Its id.
    id: String,
    /// How many changes are on record; grows with each.
    version: u64,
    /// What it is called.
    name: String,
    /// What it is good for.
    kind: ResourceKindEnum,
    /// What it says.
    body: String,
    /// Words to find it by.
    tags: Vec<String>,
    /// The document that it was taken from.
    document_id: Option<String>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// Who made it.
    created_by: String,
    /// When it was changed last.
    updated_at: DateTime<Utc>,
    /// Who changed it last.
    updated_by: String,
}

impl ResourceNode {
    /// The view of a resource that can be used.
    pub(super) fn from_stored(id: String, kept: StoredAggregate<record::Resource>) -> Option<Self> {
        let asset = kept.state.content()?.clone();
        Some(Self {
            id,
            version: kept.version,
            name: asset.name.to_string(),
            kind: asset.kind.into(),
            body: asset.body.to_string(),
            tags: asset.tags.iter().map(ToString::to_string).collect(),
            document_id: asset.document_id.map(|id| id.to_string()),
            created_at: kept.created_at,
            created_by: kept.created_by,
            updated_at: kept.updated_at,
            updated_by: kept.updated_by,
        })
    }
}
