//! The events of companies.

use super::{EventSchema, event};

pub(super) fn schemas() -> Vec<EventSchema> {
    vec![
        event!("company", "registered", "1.0", "Registered"),
        event!("company", "profile_changed", "1.0", "ProfileChanged"),
        event!("company", "member_added", "1.0", "MemberAdded"),
        event!("company", "role_changed", "1.0", "RoleChanged"),
        event!("company", "member_removed", "1.0", "MemberRemoved"),
        event!("company", "api_key_issued", "1.0", "ApiKeyIssued"),
        event!("company", "api_key_revoked", "1.0", "ApiKeyRevoked"),
        event!("company", "closed", "1.0", "Closed"),
    ]
}
