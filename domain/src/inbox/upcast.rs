//! The versions that events of inboxes ever had.

use crate::upcast::Lineage;

/// Every event of an inbox.
pub(crate) const LINEAGES: &[Lineage] = &[
    Lineage { event_type: "inbox.notified", current: "1.0", earlier: &[] },
    Lineage { event_type: "inbox.read", current: "1.0", earlier: &[] },
    Lineage { event_type: "inbox.all_read", current: "1.0", earlier: &[] },
    Lineage { event_type: "inbox.dismissed", current: "1.0", earlier: &[] },
];
