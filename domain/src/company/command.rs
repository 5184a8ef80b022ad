//! What can be asked of a company.

use super::{
    api_key::{ApiKey, ApiKeyId},
    role::Role,
    value::{ClosingReason, CompanyName, CompanyProfile},
};
use crate::value::{AuditStamp, UserId};

/// A wish about one company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompanyCommand {
    /// Let it use the platform.
    Register {
        /// What it is called.
        name: CompanyName,
        /// Its first member, who runs it.
        founder: UserId,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Let it be like something else.
    ChangeProfile {
        /// What it is to be like.
        profile: Box<CompanyProfile>,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Let somebody belong to it.
    AddMember {
        /// Who.
        user: UserId,
        /// What they may do.
        role: Role,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Let a member do something else.
    ChangeRole {
        /// Who.
        user: UserId,
        /// What they may do from now on.
        role: Role,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Let somebody no longer belong to it.
    RemoveMember {
        /// Who.
        user: UserId,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Let a machine act for it.
    IssueApiKey {
        /// By which key.
        key: ApiKey,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Let a key no longer count.
    RevokeApiKey {
        /// Which one.
        key_id: ApiKeyId,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Let it no longer use the platform.
    Close {
        /// Why.
        reason: ClosingReason,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
}
