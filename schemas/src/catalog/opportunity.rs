//! The events of opportunities.

use super::{EventSchema, event};

pub(super) fn schemas() -> Vec<EventSchema> {
    vec![
        event!("opportunity", "discovered", "1.0", "Discovered"),
        event!("opportunity", "amended", "1.0", "Amended"),
        event!("opportunity", "deadline_changed", "1.0", "DeadlineChanged"),
        event!("opportunity", "deadline_changed", "1.1", "DeadlineChanged"),
        event!("opportunity", "awarded", "1.0", "Awarded"),
        event!("opportunity", "cancelled", "1.0", "Cancelled"),
        event!("opportunity", "archived", "1.0", "Archived"),
    ]
}
