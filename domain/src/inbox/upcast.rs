//! The schema versions of the events of inboxes.

use crate::event_version::VersionHistory;

/// The version history of every event type of an inbox.
pub(crate) const VERSION_HISTORIES: &[VersionHistory] = &[
    VersionHistory { event_type: "inbox.notified", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "inbox.read", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "inbox.all_read", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "inbox.dismissed", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "inbox.mail_preferences_changed", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "inbox.mail_unsubscribed", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "inbox.mail_requested", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "inbox.mail_attempted", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "inbox.mail_sent", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "inbox.mail_failed", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "inbox.mail_suppressed", current: "1.0", earlier: &[] },
];
