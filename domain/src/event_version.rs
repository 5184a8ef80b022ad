//! The schema versions of an event type.

use serde_json::{Map, Value};

/// Converts the fields of one version into the next version's, in place.
pub type Upcaster = fn(&mut Map<String, Value>);

/// The schema versions of one event type.
#[derive(Debug, Clone, Copy)]
pub struct VersionHistory {
    /// The event's name, e.g. `opportunity.deadline_changed`.
    pub event_type: &'static str,
    /// The version that is recorded now.
    pub current: &'static str,
    /// The earlier versions, oldest first, each with its upcaster to the next version.
    pub earlier: &'static [(&'static str, Upcaster)],
}

/// Events that have schema versions.
pub trait VersionedEvents {
    /// The version history of each event type.
    const VERSION_HISTORIES: &'static [VersionHistory];
}

/// Declares the type and the schema version of every variant of an event, in a line each; an earlier version has an
/// upcaster to the next one, the oldest first. The calling crate depends on `cqrs-es`.
///
/// ```text
/// event_versions! {
///     BookingEvent {
///         Booked => "booking.booked", "1.0";
///         Moved => "booking.moved", "1.2", from "1.0" by |fields| { .. }, from "1.1" by |fields| { .. };
///     }
/// }
/// ```
#[macro_export]
macro_rules! event_versions {
    ($event:ident { $(
        $variant:ident => $event_type:literal, $current:literal $(, from $earlier:literal by $upcaster:expr)*;
    )+ }) => {
        impl cqrs_es::DomainEvent for $event {
            fn event_type(&self) -> String {
                match self {
                    $(Self::$variant { .. } => $event_type,)+
                }
                .to_owned()
            }

            fn event_version(&self) -> String {
                match self {
                    $(Self::$variant { .. } => $current,)+
                }
                .to_owned()
            }
        }

        impl $crate::event_version::VersionedEvents for $event {
            const VERSION_HISTORIES: &'static [$crate::event_version::VersionHistory] =
                &[$($crate::event_version::VersionHistory {
                    event_type: $event_type,
                    current: $current,
                    earlier: &[$(($earlier, $upcaster)),*],
                },)+];
        }
    };
}

pub use event_versions;

#[cfg(test)]
mod tests {
    use cqrs_es::DomainEvent as _;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum BookingEvent {
        Booked,
        Moved { room: u32 },
    }

    event_versions! {
        BookingEvent {
            Booked => "booking.booked", "1.0";
            Moved => "booking.moved", "1.2", from "1.0" by |fields| fields.clear(), from "1.1" by |fields| {
                fields.insert("room".to_owned(), 7.into());
            };
        }
    }

    #[test]
    fn each_variant_has_its_type_and_current_version() {
        let recorded = [BookingEvent::Booked, BookingEvent::Moved { room: 7 }]
            .map(|event| (event.event_type(), event.event_version()));
        let expected = [("booking.booked", "1.0"), ("booking.moved", "1.2")];
        assert_eq!(recorded, expected.map(|(event_type, version)| (event_type.to_owned(), version.to_owned())));
        let histories = BookingEvent::VERSION_HISTORIES.iter().map(|history| (history.event_type, history.current));
        assert_eq!(histories.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn upcasters_are_in_order() {
        let [booked, moved] = BookingEvent::VERSION_HISTORIES else { panic!("two event types") };
        assert!(booked.earlier.is_empty());
        let mut fields = Map::from_iter([("hall".to_owned(), Value::Null)]);
        let versions = moved.earlier.iter().map(|(version, upcaster)| {
            upcaster(&mut fields);
            *version
        });
        assert_eq!(versions.collect::<Vec<_>>(), ["1.0", "1.1"]);
        assert_eq!(Value::Object(fields), serde_json::json!({ "room": 7 }));
    }
}
