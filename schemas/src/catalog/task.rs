//! The events of tasks.

use super::{EventSchema, event};

pub(super) fn schemas() -> Vec<EventSchema> {
    vec![
        event!("task", "requested", "1.0", "Requested"),
        event!("task", "started", "1.0", "Started"),
        event!("task", "progress_reported", "1.0", "ProgressReported"),
        event!("task", "completed", "1.0", "Completed"),
        event!("task", "failed", "1.0", "Failed"),
        event!("task", "cancelled", "1.0", "Cancelled"),
    ]
}
