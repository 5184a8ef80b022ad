//! Who did something, and when.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::UserId;

/// Who did something, and when. Part of a command, and copied to its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditStamp {
    /// Who.
    pub by: UserId,
    /// When.
    pub at: DateTime<Utc>,
}
