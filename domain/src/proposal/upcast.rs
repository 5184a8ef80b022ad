//! The schema versions of the events of proposals.

use crate::event_version::VersionHistory;

/// The version history of every event type of a proposal.
pub(crate) const VERSION_HISTORIES: &[VersionHistory] = &[
    VersionHistory { event_type: "proposal.drafted", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "proposal.section_edited", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "proposal.section_removed", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "proposal.commented", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "proposal.comment_resolved", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "proposal.submitted_for_review", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "proposal.approved", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "proposal.rejected", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "proposal.submitted", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "proposal.decided", current: "1.0", earlier: &[] },
    VersionHistory { event_type: "proposal.withdrawn", current: "1.0", earlier: &[] },
];
