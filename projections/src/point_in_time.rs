//! The point of an as-of read, which every read model supports.

use chrono::{DateTime, Utc};
use domain::envelope::RawEnvelope;

/// The point of an as-of read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointInTime {
    /// After the event with this sequence.
    Version(u64),
    /// After the events recorded up to this time, inclusive.
    Time(DateTime<Utc>),
}

impl PointInTime {
    pub(crate) fn includes(self, event: &RawEnvelope) -> bool {
        match self {
            Self::Version(version) => event.sequence <= version,
            Self::Time(time) => event.recorded_at <= time,
        }
    }
}
