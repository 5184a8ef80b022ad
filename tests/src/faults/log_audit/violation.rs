//! The violations that an audit finds.

use std::fmt;

/// A difference between log, topics and ledger, or a failed recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditViolation {
    /// An event of the log is on no topic.
    Lost {
        /// Its position in the log.
        position: u64,
        /// Its identity.
        event_id: String,
        /// Its stream.
        aggregate_id: String,
    },
    /// A record's event is not in the log.
    Foreign {
        /// The record.
        location: String,
        /// The event id that it names.
        event_id: String,
    },
    /// An aggregate's events are not in the order of their positions.
    Reordered {
        /// The stream.
        aggregate_id: String,
        /// The position of the event that comes too late.
        position: u64,
        /// The position before it.
        after: u64,
    },
    /// Positions decrease along a partition.
    Backwards {
        /// The record.
        location: String,
        /// Its position.
        position: u64,
        /// The position before it.
        after: u64,
    },
    /// An event is on a topic twice, and no disturbance explains it.
    Duplicate {
        /// The repetition.
        location: String,
        /// Its position.
        position: u64,
        /// Its identity.
        event_id: String,
    },
    /// A key is on more than one partition.
    Moved {
        /// The key.
        aggregate_id: String,
        /// One record of each partition.
        locations: Vec<String>,
    },
    /// A record's key or header differs from the log.
    Header {
        /// The record.
        location: String,
        /// The header's name, or `key`.
        name: &'static str,
        /// The value in the log.
        log: String,
        /// The value in the record.
        record: Option<String>,
    },
    /// A beacon is malformed or its statement is wrong.
    Beacon {
        /// The record that shows it.
        location: String,
        /// What is wrong.
        reason: String,
    },
    /// The ordinals of a partition are not consecutive.
    Ordinal {
        /// The record.
        location: String,
        /// The ordinal that it carries.
        found: Option<String>,
        /// The ordinal that it should carry.
        expected: u64,
    },
    /// An acknowledged append is missing in the log, or is there only in part.
    Unrecorded {
        /// The append.
        append: String,
        /// The name of its method.
        method: &'static str,
    },
    /// Something that was rolled back is in the log.
    Undead {
        /// The append.
        append: String,
        /// The name of its method.
        method: &'static str,
    },
    /// An append with an unknown outcome is in the log in part.
    Torn {
        /// The append.
        append: String,
        /// The name of its method.
        method: &'static str,
    },
    /// One event of a writer is in the log twice.
    Doubled {
        /// Its mark.
        mark: String,
        /// Its positions in the log.
        positions: [u64; 2],
    },
    /// An event is in the log that no writer wrote.
    Unaccounted {
        /// Its position in the log.
        position: u64,
        /// The mark it carries.
        mark: String,
    },
    /// The system did not recover from a fault without help, or did not catch up at the end.
    NotRecovered {
        /// The fault, or the last append.
        after: String,
        /// The last error.
        reason: String,
    },
}

impl AuditViolation {
    /// The name under which it is counted.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Lost { .. } => "lost",
            Self::Foreign { .. } => "foreign",
            Self::Reordered { .. } => "reordered",
            Self::Backwards { .. } => "backwards",
            Self::Duplicate { .. } => "duplicate",
            Self::Moved { .. } => "moved",
            Self::Header { .. } => "header",
            Self::Beacon { .. } => "beacon",
            Self::Ordinal { .. } => "ordinal",
            Self::Unrecorded { .. } => "unrecorded",
            Self::Undead { .. } => "undead",
            Self::Torn { .. } => "torn",
            Self::Doubled { .. } => "doubled",
            Self::Unaccounted { .. } => "unaccounted",
            Self::NotRecovered { .. } => "not_recovered",
        }
    }
}

impl fmt::Display for AuditViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.rule())?;
        match self {
            Self::Lost { position, event_id, aggregate_id } => {
                write!(f, "event {event_id} at position {position} of {aggregate_id} is on no topic")
            }
            Self::Foreign { location, event_id } => {
                write!(f, "{location} carries event {event_id:?}, which is not in the log")
            }
            Self::Reordered { aggregate_id, position, after } => {
                write!(f, "{aggregate_id}: position {position} comes after {after}")
            }
            Self::Backwards { location, position, after } => {
                write!(f, "{location}: position {position} comes after {after}")
            }
            Self::Duplicate { location, position, event_id } => {
                write!(f, "{location} repeats event {event_id} at position {position}; no disturbance explains it")
            }
            Self::Moved { aggregate_id, locations } => write!(f, "{aggregate_id} is on {}", locations.join(" and on ")),
            Self::Header { location, name, log, record } => {
                write!(f, "{location}: {name} is {record:?}, the log says {log:?}")
            }
            Self::Beacon { location, reason } => write!(f, "{location}: {reason}"),
            Self::Ordinal { location, found, expected } => {
                write!(f, "{location}: the event's ordinal is {found:?}, it should be {expected}")
            }
            Self::Unrecorded { append, method } => {
                write!(f, "{append} ({method}) was acknowledged but is missing in the log, or not whole")
            }
            Self::Undead { append, method } => write!(f, "{append} ({method}) was rolled back but is in the log"),
            Self::Torn { append, method } => write!(f, "{append} ({method}) is in the log in part"),
            Self::Doubled { mark, positions: [first, second] } => {
                write!(f, "{mark} is in the log at {first} and at {second}")
            }
            Self::Unaccounted { position, mark } => write!(f, "no writer wrote {mark:?} at position {position}"),
            Self::NotRecovered { after, reason } => write!(f, "after {after}: {reason}"),
        }
    }
}
