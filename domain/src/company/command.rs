//! The commands of a company.

use super::{
    api_key::{ApiKey, ApiKeyId},
    role::Role,
    value::{ClosingReason, CompanyName, CompanyProfile},
};
use crate::value::{AuditStamp, UserId};

/// A command for one company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompanyCommand {
    /// Registers the company on the platform.
    Register {
        /// The company's name.
        name: CompanyName,
        /// Its first member, who becomes an admin.
        founder: UserId,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Replaces the profile.
    ChangeProfile {
        /// The new profile, complete.
        profile: Box<CompanyProfile>,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Adds a member.
    AddMember {
        /// The new member.
        user: UserId,
        /// Their role.
        role: Role,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Changes a member's role.
    ChangeRole {
        /// The member.
        user: UserId,
        /// Their new role.
        role: Role,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Removes a member.
    RemoveMember {
        /// The member.
        user: UserId,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Issues an API key, which lets a machine act for the company.
    IssueApiKey {
        /// The key, with the hash of its secret.
        key: ApiKey,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Revokes an API key for good.
    RevokeApiKey {
        /// The key's id.
        key_id: ApiKeyId,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Closes the company for good.
    Close {
        /// Why it is closed.
        reason: ClosingReason,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
}
