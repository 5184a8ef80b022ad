//! The events of a resource.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version and an upcaster in `upcast.rs`; `schemas/README.md` lists the other
//! steps.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::value::ResourceContent;
use crate::value::AuditStamp;

/// An event of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResourceEvent {
    /// The resource was created.
    Created {
        /// The content.
        asset: ResourceContent,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The content was replaced.
    Updated {
        /// The new content, complete.
        asset: ResourceContent,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The resource was deleted.
    Deleted {
        /// Who did it, and when.
        stamp: AuditStamp,
    },
}

impl DomainEvent for ResourceEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Created { .. } => "resource.created",
            Self::Updated { .. } => "resource.updated",
            Self::Deleted { .. } => "resource.deleted",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        match self {
            Self::Created { .. } | Self::Updated { .. } | Self::Deleted { .. } => "1.0",
        }
        .to_owned()
    }
}
