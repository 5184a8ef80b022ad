//! The events of a company.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version with an upcaster, in `event_versions!`; `schemas/README.md` lists the
//! other steps.

use serde::{Deserialize, Serialize};

use super::{
    api_key::{ApiKey, ApiKeyId},
    role::Role,
    value::{ClosingReason, CompanyName, CompanyProfile},
};
use crate::{
    event_version::event_versions,
    value::{AuditStamp, UserId},
};

/// An event of a company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CompanyEvent {
    /// The company was registered.
    Registered {
        /// The company's name.
        name: CompanyName,
        /// The first member, who is an admin.
        founder: UserId,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The profile was replaced.
    ProfileChanged {
        /// The new profile, complete.
        profile: Box<CompanyProfile>,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A member was added.
    MemberAdded {
        /// The member.
        user: UserId,
        /// The member's role.
        role: Role,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A member's role changed.
    RoleChanged {
        /// The member.
        user: UserId,
        /// The new role.
        role: Role,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A member was removed.
    MemberRemoved {
        /// The member.
        user: UserId,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// An API key was issued.
    ApiKeyIssued {
        /// The key, with the hash of its secret.
        key: ApiKey,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// An API key was revoked.
    ApiKeyRevoked {
        /// The key's id.
        key_id: ApiKeyId,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The company was closed.
    Closed {
        /// Why it was closed.
        reason: ClosingReason,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
}

event_versions! {
    CompanyEvent {
        Registered => "company.registered", "1.0";
        ProfileChanged => "company.profile_changed", "1.0";
        MemberAdded => "company.member_added", "1.0";
        RoleChanged => "company.role_changed", "1.0";
        MemberRemoved => "company.member_removed", "1.0";
        ApiKeyIssued => "company.api_key_issued", "1.0";
        ApiKeyRevoked => "company.api_key_revoked", "1.0";
        Closed => "company.closed", "1.0";
    }
}
