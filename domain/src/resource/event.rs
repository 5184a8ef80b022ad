//! What has happened to a resource.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. The golden test beside this
//! file pins the stored JSON. A changed shape is a new version, which `upcast.rs` lifts the old one to;
//! `schemas/README.md` says what else it takes.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::value::ResourceContent;
use crate::value::AuditStamp;

/// Something that happened to a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResourceEvent {
    /// It was made.
    Created {
        /// What it held.
        asset: ResourceContent,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// It was changed.
    Updated {
        /// What it held from then on, all of it.
        asset: ResourceContent,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// It was deleted.
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
