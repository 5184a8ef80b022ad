//! The audit stamp of commands and events.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::UserId;

/// Who issued a command, and when. Part of the command and copied to its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditStamp {
    /// The user.
    pub by: UserId,
    /// The time.
    pub at: DateTime<Utc>,
}
