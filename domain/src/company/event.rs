//! What has happened to a company.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. The golden test beside this
//! file pins the stored JSON. A changed shape is a new version, which `upcast.rs` lifts the old one to;
//! `schemas/README.md` says what else it takes.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::{
    api_key::{ApiKey, ApiKeyId},
    role::Role,
    value::{ClosingReason, CompanyName, CompanyProfile},
};
use crate::value::{AuditStamp, UserId};

/// Something that happened to a company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CompanyEvent {
    /// It uses the platform from now on.
    Registered {
        /// What it is called.
        name: CompanyName,
        /// Its first member, who runs it.
        founder: UserId,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// It is like something else.
    ProfileChanged {
        /// What it is like from then on, all of it.
        profile: Box<CompanyProfile>,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// Somebody belongs to it.
    MemberAdded {
        /// Who.
        user: UserId,
        /// What they may do.
        role: Role,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A member may do something else.
    RoleChanged {
        /// Who.
        user: UserId,
        /// What they may do from then on.
        role: Role,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// Somebody no longer belongs to it.
    MemberRemoved {
        /// Who.
        user: UserId,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A machine may act for it.
    ApiKeyIssued {
        /// By which key.
        key: ApiKey,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A key no longer counts.
    ApiKeyRevoked {
        /// Which one.
        key_id: ApiKeyId,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// It no longer uses the platform.
    Closed {
        /// Why.
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
