//! What can be asked of a company.

use super::{
    key::{ApiKey, ApiKeyId},
    role::Role,
    value::{ClosingReason, CompanyName, Profile},
};
use crate::value::{Stamp, UserId};

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
        stamp: Stamp,
    },
    /// Let it be like something else.
    ChangeProfile {
        /// What it is to be like.
        profile: Box<Profile>,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Let somebody belong to it.
    AddMember {
        /// Who.
        user: UserId,
        /// What they may do.
        role: Role,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Let a member do something else.
    ChangeRole {
        /// Who.
        user: UserId,
        /// What they may do from now on.
        role: Role,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Let somebody no longer belong to it.
    RemoveMember {
        /// Who.
        user: UserId,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Let a machine act for it.
    IssueApiKey {
        /// By which key.
        key: ApiKey,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Let a key no longer count.
    RevokeApiKey {
        /// Which one.
        key_id: ApiKeyId,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Let it no longer use the platform.
    Close {
        /// Why.
        reason: ClosingReason,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
}
