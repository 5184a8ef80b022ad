//! The versions that events of tasks ever had.

use crate::upcast::Lineage;

/// Every event of a task.
pub(crate) const LINEAGES: &[Lineage] = &[
    Lineage { event_type: "task.requested", current: "1.0", earlier: &[] },
    Lineage { event_type: "task.started", current: "1.0", earlier: &[] },
    Lineage { event_type: "task.progress_reported", current: "1.0", earlier: &[] },
    Lineage { event_type: "task.completed", current: "1.0", earlier: &[] },
    Lineage { event_type: "task.failed", current: "1.0", earlier: &[] },
    Lineage { event_type: "task.cancelled", current: "1.0", earlier: &[] },
];
