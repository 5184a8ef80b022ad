//! The events of inboxes.

use super::{EventSchema, event};

pub(super) fn schemas() -> Vec<EventSchema> {
    vec![
        event!("inbox", "notified", "1.0", "Notified"),
        event!("inbox", "read", "1.0", "Read"),
        event!("inbox", "all_read", "1.0", "AllRead"),
        event!("inbox", "dismissed", "1.0", "Dismissed"),
    ]
}
