//! The versions that events of resources ever had.

use crate::upcast::Lineage;

/// Every event of a resource.
pub(crate) const LINEAGES: &[Lineage] = &[
    Lineage { event_type: "resource.created", current: "1.0", earlier: &[] },
    Lineage { event_type: "resource.updated", current: "1.0", earlier: &[] },
    Lineage { event_type: "resource.deleted", current: "1.0", earlier: &[] },
];
