//! The schema versions of the events of companies.

use crate::event_version::VersionHistory;

/// The version history of every event type of a company.
pub(crate) const VERSION_HISTORIES: &[VersionHistory] = &[
    VersionHistory { event_type: "company.registered", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "company.profile_changed", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "company.member_added", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "company.role_changed", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "company.member_removed", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "company.api_key_issued", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "company.api_key_revoked", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "company.closed", current: "1.0", earlier: &[] },
];
