//! The state of a registered company: profile, members and API keys.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    api_key::{ApiKey, ApiKeyId, MAX_API_KEYS},
    command::CompanyCommand,
    error::CompanyError,
    event::CompanyEvent,
    role::Role,
    value::{CompanyName, CompanyProfile},
};
use crate::value::{AuditStamp, UserId};

/// Maximum number of members of one company.
pub const MAX_MEMBERS: usize = 1_000;

/// A registered company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredCompany {
    profile: CompanyProfile,
    members: BTreeMap<UserId, Role>,
    /// The keys that are not revoked.
    keys: BTreeMap<ApiKeyId, ApiKey>,
    /// Ids of revoked keys, so that a repeated revocation changes nothing and a key id is never reused.
    revoked: Vec<ApiKeyId>,
}

impl RegisteredCompany {
    pub(super) fn new(name: CompanyName, founder: UserId) -> Self {
        Self {
            profile: CompanyProfile::with_name(name),
            members: BTreeMap::from([(founder, Role::Admin)]),
            keys: BTreeMap::new(),
            revoked: vec![],
        }
    }

    /// The company's profile.
    pub fn profile(&self) -> &CompanyProfile {
        &self.profile
    }

    /// The members with their roles, in the order of their user ids.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&UserId, Role)> {
        self.members.iter().map(|(user, role)| (user, *role))
    }

    /// The role of a user; `None` for a user who is not a member.
    pub fn find_role(&self, user: &UserId) -> Option<Role> {
        self.members.get(user).copied()
    }

    /// The keys that are not revoked; some may have expired.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &ApiKey> {
        self.keys.values()
    }

    /// The key with that id, if it is neither revoked nor expired at that time.
    pub fn find_valid_key(&self, id: ApiKeyId, now: DateTime<Utc>) -> Option<&ApiKey> {
        self.keys.get(&id).filter(|key| key.is_valid_at(now))
    }

    pub(super) fn decide(&self, command: CompanyCommand) -> Result<Vec<CompanyEvent>, CompanyError> {
        match command {
            CompanyCommand::Register { name, founder, .. } => {
                let is_repetition = self.profile.name == name && self.find_role(&founder) == Some(Role::Admin);
                if is_repetition { Ok(vec![]) } else { Err(CompanyError::AlreadyRegistered) }
            }
            CompanyCommand::ChangeProfile { profile, .. } if *profile == self.profile => Ok(vec![]),
            CompanyCommand::ChangeProfile { profile, stamp } => {
                Ok(vec![CompanyEvent::ProfileChanged { profile, stamp }])
            }
            CompanyCommand::AddMember { user, role, stamp } => self.add_member(user, role, stamp),
            CompanyCommand::ChangeRole { user, role, stamp } => self.change_role(user, role, stamp),
            CompanyCommand::RemoveMember { user, stamp } => match self.find_role(&user) {
                None => Ok(vec![]),
                Some(Role::Admin) if self.admin_count() == 1 => Err(CompanyError::LastAdmin),
                Some(_) => Ok(vec![CompanyEvent::MemberRemoved { user, stamp }]),
            },
            CompanyCommand::IssueApiKey { key, stamp } => self.issue_key(key, stamp),
            CompanyCommand::RevokeApiKey { key_id, .. } if self.revoked.contains(&key_id) => Ok(vec![]),
            CompanyCommand::RevokeApiKey { key_id, stamp } if self.keys.contains_key(&key_id) => {
                Ok(vec![CompanyEvent::ApiKeyRevoked { key_id, stamp }])
            }
            CompanyCommand::RevokeApiKey { .. } => Err(CompanyError::NoSuchKey),
            CompanyCommand::Close { reason, stamp } => Ok(vec![CompanyEvent::Closed { reason, stamp }]),
        }
    }

    fn add_member(&self, user: UserId, role: Role, stamp: AuditStamp) -> Result<Vec<CompanyEvent>, CompanyError> {
        match self.find_role(&user) {
            _ if !role.is_for_people() => Err(CompanyError::NotForPeople),
            Some(known) if known == role => Ok(vec![]),
            Some(known) => Err(CompanyError::AlreadyMember { role: known }),
            None if self.members.len() >= MAX_MEMBERS => Err(CompanyError::TooManyMembers),
            None => Ok(vec![CompanyEvent::MemberAdded { user, role, stamp }]),
        }
    }

    fn change_role(&self, user: UserId, role: Role, stamp: AuditStamp) -> Result<Vec<CompanyEvent>, CompanyError> {
        match self.find_role(&user) {
            _ if !role.is_for_people() => Err(CompanyError::NotForPeople),
            None => Err(CompanyError::NoSuchMember),
            Some(known) if known == role => Ok(vec![]),
            Some(Role::Admin) if self.admin_count() == 1 => Err(CompanyError::LastAdmin),
            Some(_) => Ok(vec![CompanyEvent::RoleChanged { user, role, stamp }]),
        }
    }

    fn issue_key(&self, key: ApiKey, stamp: AuditStamp) -> Result<Vec<CompanyEvent>, CompanyError> {
        if self.keys.get(&key.key_id) == Some(&key) {
            return Ok(vec![]);
        }
        if self.keys.contains_key(&key.key_id) || self.revoked.contains(&key.key_id) {
            return Err(CompanyError::KeyIdTaken);
        }
        if self.keys.values().any(|known| known.name == key.name) {
            return Err(CompanyError::KeyNameTaken);
        }
        if self.keys.len() >= MAX_API_KEYS {
            return Err(CompanyError::TooManyKeys);
        }
        Ok(vec![CompanyEvent::ApiKeyIssued { key, stamp }])
    }

    fn admin_count(&self) -> usize {
        self.members.values().filter(|role| **role == Role::Admin).count()
    }

    pub(super) fn evolve(&mut self, event: CompanyEvent) {
        match event {
            CompanyEvent::ProfileChanged { profile, .. } => self.profile = *profile,
            CompanyEvent::MemberAdded { user, role, .. } | CompanyEvent::RoleChanged { user, role, .. } => {
                self.members.insert(user, role);
            }
            CompanyEvent::MemberRemoved { user, .. } => {
                self.members.remove(&user);
            }
            CompanyEvent::ApiKeyIssued { key, .. } => {
                self.keys.insert(key.key_id, key);
            }
            CompanyEvent::ApiKeyRevoked { key_id, .. } => {
                self.keys.remove(&key_id);
                self.revoked.push(key_id);
            }
            // `Company::evolve` handles both: they replace the whole state.
            CompanyEvent::Registered { .. } | CompanyEvent::Closed { .. } => {}
        }
    }
}
