//! The events of a resource.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version with an upcaster, in `event_versions!`; `schemas/README.md` lists the
//! other steps.

use serde::{Deserialize, Serialize};

use super::value::ResourceContent;
use crate::{event_version::event_versions, value::AuditStamp};

/// An event of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResourceEvent {
    /// The resource was created.
    Created {
        /// The content.
        #[serde(rename = "asset")]
        content: ResourceContent,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The content was replaced.
    Updated {
        /// The new content, complete.
        #[serde(rename = "asset")]
        content: ResourceContent,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The resource was deleted.
    Deleted {
        /// Who did it, and when.
        stamp: AuditStamp,
    },
}

event_versions! {
    ResourceEvent {
        Created => "resource.created", "1.0";
        Updated => "resource.updated", "1.0";
        Deleted => "resource.deleted", "1.0";
    }
}
