//! What a frontend sees of a company and of those who act for it.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};
use domain::company::{self as record, RegisteredCompany};
use projections::tenant_views::StoredAggregate;

/// What somebody may do for a company.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "Role", remote = "record::Role")]
pub(super) enum RoleEnum {
    /// Reads.
    Viewer,
    /// Writes: proposals, resources, documents.
    Contributor,
    /// Decides: approves and submits proposals, deletes what others made.
    Manager,
    /// Runs the company: profile, members, keys.
    Admin,
    /// A machine, by an API key; no person can have it.
    Service,
}

/// What an API key lets a machine do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "Scope", remote = "record::Scope")]
pub(super) enum ScopeEnum {
    /// Ask.
    Read,
    /// Give commands, as a contributor may.
    Write,
    /// Tell of views and clicks.
    Ingest,
    /// Take and finish tasks.
    Tasks,
}

/// A company that uses the platform.
#[derive(SimpleObject)]
#[graphql(name = "Company")]
pub(super) struct CompanyNode {
    /// The short name by which tokens, keys and headers name it.
    tenant: String,
    /// How many changes are on record; grows with each.
    version: u64,
    /// What it is called.
    name: String,
    /// What it can do, in its own words.
    capabilities: Option<String>,
    /// The industries it is in, by NAICS codes.
    naics: Vec<String>,
    /// The set-asides it is eligible for, by their codes.
    set_asides: Vec<String>,
    /// The Unique Entity ID by which SAM.gov knows it.
    uei: Option<String>,
    /// Its CAGE code.
    cage: Option<String>,
    /// Who belongs to it, in the order of their names.
    members: Vec<MemberNode>,
    /// The keys of its machines that were not revoked; admins see them.
    api_keys: Vec<ApiKeyNode>,
}

/// Somebody who belongs to a company.
#[derive(SimpleObject)]
#[graphql(name = "Member")]
struct MemberNode {
    /// Who, as the identity provider names them.
    user: String,
    /// What they may do.
    role: RoleEnum,
}

/// A key by which a machine acts for a company; its secret was shown once.
#[derive(SimpleObject)]
#[graphql(name = "ApiKey")]
struct ApiKeyNode {
    /// Its id.
    id: String,
    /// What people call it.
    name: String,
    /// What it lets a machine do.
    scopes: Vec<ScopeEnum>,
    /// Until when it counts; for ever where nothing is said.
    expires_at: Option<DateTime<Utc>>,
}

impl CompanyNode {
    /// The view of a company that is registered; keys only for those who run it.
    pub(super) fn from_stored(tenant: &str, kept: &StoredAggregate<record::Company>, runs_it: bool) -> Option<Self> {
        let roster = kept.state.as_registered()?;
        let profile = roster.profile();
        let key = |key: &record::ApiKey| ApiKeyNode {
            id: key.key_id.to_string(),
            name: key.name.to_string(),
            scopes: key.scopes.iter().map(ScopeEnum::from).collect(),
            expires_at: key.expires_at,
        };
        Some(Self {
            tenant: tenant.to_owned(),
            version: kept.version,
            name: profile.name.to_string(),
            capabilities: profile.capabilities.as_ref().map(ToString::to_string),
            naics: profile.naics.iter().map(ToString::to_string).collect(),
            set_asides: profile.set_asides.iter().map(ToString::to_string).collect(),
            uei: profile.uei.as_ref().map(|uei| uei.as_str().to_owned()),
            cage: profile.cage.as_ref().map(|cage| cage.as_str().to_owned()),
            members: list_members(roster),
            api_keys: if runs_it { roster.keys().map(key).collect() } else { vec![] },
        })
    }
}

fn list_members(roster: &RegisteredCompany) -> Vec<MemberNode> {
    roster.members().map(|(user, role)| MemberNode { user: user.to_string(), role: role.into() }).collect()
}
