//! The versions that events of visits ever had.

use crate::upcast::Lineage;

/// Every event of a visit.
pub(crate) const LINEAGES: &[Lineage] = &[
    Lineage { event_type: "visit.page_viewed", current: "1.0", earlier: &[] },
    Lineage { event_type: "visit.link_clicked", current: "1.0", earlier: &[] },
];
