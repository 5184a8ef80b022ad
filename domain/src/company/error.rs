//! Why a command on a company is refused.

use super::role::Role;

/// A business reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CompanyError {
    /// The tenant is taken by another company.
    #[error("the company is registered already")]
    AlreadyRegistered,
    /// Nobody has registered it.
    #[error("there is no such company")]
    NotRegistered,
    /// A machine's role was given to a person.
    #[error("the role service is for machines only")]
    NotForPeople,
    /// They belong to it with another role.
    #[error("they are a member already, as {role}; change the role instead")]
    AlreadyMember {
        /// The role they have.
        role: Role,
    },
    /// They do not belong to it.
    #[error("they are no member")]
    NoSuchMember,
    /// Nobody could run the company any more.
    #[error("a company has at least one admin")]
    LastAdmin,
    /// It has as many members as a company may.
    #[error("the company has as many members as it may")]
    TooManyMembers,
    /// The id belongs to another key, perhaps one that was revoked.
    #[error("the key id is taken")]
    KeyIdTaken,
    /// Another key that was not revoked is called so.
    #[error("another key has that name")]
    KeyNameTaken,
    /// It has as many keys as a company may.
    #[error("the company has as many keys as it may; revoke one first")]
    TooManyKeys,
    /// No such key was ever issued.
    #[error("there is no such key")]
    NoSuchKey,
    /// It no longer uses the platform.
    #[error("the company was closed")]
    Closed,
}
