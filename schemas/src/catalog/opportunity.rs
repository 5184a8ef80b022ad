//! The events of opportunities.

use super::EventSchema;

/// One version of one event, from the file that is named after both.
macro_rules! event {
    ($event_type:literal, $version:literal, $record:literal) => {
        EventSchema::new(
            concat!("opportunity.", $event_type),
            $version,
            concat!("medhub.opportunity.", $record),
            include_str!(concat!("../../avro/opportunity/opportunity.", $event_type, "-", $version, ".avsc")),
        )
    };
}

pub(super) fn schemas() -> Vec<EventSchema> {
    vec![
        event!("discovered", "1.0", "Discovered"),
        event!("amended", "1.0", "Amended"),
        event!("deadline_changed", "1.0", "DeadlineChanged"),
        event!("deadline_changed", "1.1", "DeadlineChanged"),
        event!("awarded", "1.0", "Awarded"),
    ]
}
