//! The events of a company.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version and an upcaster in `upcast.rs`; `schemas/README.md` lists the other
//! steps.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::{
    api_key::{ApiKey, ApiKeyId},
    role::Role,
    value::{ClosingReason, CompanyName, CompanyProfile},
};
use crate::value::{AuditStamp, UserId};

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

impl DomainEvent for CompanyEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Registered { .. } => "company.registered",
            Self::ProfileChanged { .. } => "company.profile_changed",
            Self::MemberAdded { .. } => "company.member_added",
            Self::RoleChanged { .. } => "company.role_changed",
            Self::MemberRemoved { .. } => "company.member_removed",
            Self::ApiKeyIssued { .. } => "company.api_key_issued",
            Self::ApiKeyRevoked { .. } => "company.api_key_revoked",
            Self::Closed { .. } => "company.closed",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        match self {
            Self::Registered { .. }
            | Self::ProfileChanged { .. }
            | Self::MemberAdded { .. }
            | Self::RoleChanged { .. }
            | Self::MemberRemoved { .. }
            | Self::ApiKeyIssued { .. }
            | Self::ApiKeyRevoked { .. }
            | Self::Closed { .. } => "1.0",
        }
        .to_owned()
    }
}
