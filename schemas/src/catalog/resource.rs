//! The events of resources.

use super::{EventSchema, event};

pub(super) fn schemas() -> Vec<EventSchema> {
    vec![
        event!("resource", "created", "1.0", "Created"),
        event!("resource", "updated", "1.0", "Updated"),
        event!("resource", "deleted", "1.0", "Deleted"),
    ]
}
