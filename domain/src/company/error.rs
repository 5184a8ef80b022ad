//! Why a command to a company is refused.

use super::role::Role;
use crate::refusal_code::RefusalCode;

/// Why a command to a company is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CompanyError {
    /// Another company is registered under this tenant id.
    #[error("the company is already registered")]
    AlreadyRegistered,
    /// The company is not registered.
    #[error("there is no such company")]
    NotRegistered,
    /// The command assigns the role `service` to a person.
    #[error("the role service is for machines only")]
    NotForPeople,
    /// The user is a member with another role.
    #[error("the user is already a member, with the role {role}; change the role instead")]
    AlreadyMember {
        /// The member's role.
        role: Role,
    },
    /// The user is not a member.
    #[error("the user is not a member")]
    NoSuchMember,
    /// The command would remove the last admin.
    #[error("a company needs at least one admin")]
    LastAdmin,
    /// The company has the maximum number of members.
    #[error("the company has the maximum number of members; remove one first")]
    TooManyMembers,
    /// The id belongs to another key, which may be revoked.
    #[error("the key id is taken")]
    KeyIdTaken,
    /// Another key that is not revoked has this name.
    #[error("another key has this name")]
    KeyNameTaken,
    /// The company has the maximum number of keys.
    #[error("the company has the maximum number of keys; revoke one first")]
    TooManyKeys,
    /// No key with this id was ever issued.
    #[error("there is no such key")]
    NoSuchKey,
    /// The company is closed.
    #[error("the company is closed")]
    Closed,
}

impl RefusalCode for CompanyError {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::AlreadyRegistered => "ALREADY_REGISTERED",
            Self::NotRegistered => "NOT_FOUND",
            Self::NotForPeople => "NOT_FOR_PEOPLE",
            Self::AlreadyMember { .. } => "ALREADY_MEMBER",
            Self::NoSuchMember => "NO_SUCH_MEMBER",
            Self::LastAdmin => "LAST_ADMIN",
            Self::TooManyMembers => "TOO_MANY_MEMBERS",
            Self::KeyIdTaken => "KEY_ID_TAKEN",
            Self::KeyNameTaken => "KEY_NAME_TAKEN",
            Self::TooManyKeys => "TOO_MANY_KEYS",
            Self::NoSuchKey => "NO_SUCH_KEY",
            Self::Closed => "CLOSED",
        }
    }

    fn is_missing_object(&self) -> bool {
        matches!(self, Self::NotRegistered)
    }
}
