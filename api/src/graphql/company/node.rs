//! The company, its members and API keys as clients see them, and its profile as they set it.

use async_graphql::{Enum, InputObject, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{
    company::{self as record, CageCode, CapabilityText, CompanyName, CompanyProfile, RegisteredCompany, Uei},
    opportunity::{NaicsCode, SetAside},
};
use projections::tenant_views::StoredAggregate;

use crate::graphql::{
    error,
    input_validation::{parse_optional, parse_value},
};

/// Role of a member in a company.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "Role", remote = "record::Role")]
pub(super) enum RoleEnum {
    /// May read.
    Viewer,
    /// May also write proposals, resources and documents.
    Contributor,
    /// May also approve and submit proposals and delete what others created.
    Manager,
    /// May also manage the company's profile, members and keys.
    Admin,
    /// A machine with an API key; not assignable to a person.
    Service,
}

/// Scope of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "Scope", remote = "record::Scope")]
pub(super) enum ScopeEnum {
    /// Read.
    Read,
    /// Send commands, with the rights of a contributor.
    Write,
    /// Send views and clicks.
    Ingest,
    /// Take and complete tasks.
    Tasks,
}

/// A company's new profile.
#[derive(InputObject)]
pub(super) struct CompanyProfileInput {
    /// Name, at most 200 characters.
    name: String,
    /// Capabilities in the company's own words, at most 20,000 characters.
    capabilities: Option<String>,
    /// NAICS codes of its industries, at most 100.
    #[graphql(default)]
    naics: Vec<String>,
    /// Codes of the set-asides it is eligible for, at most 30.
    #[graphql(default)]
    set_asides: Vec<String>,
    /// Unique Entity ID in SAM.gov.
    uei: Option<String>,
    /// CAGE code.
    cage: Option<String>,
}

impl CompanyProfileInput {
    pub(super) fn into_profile(self) -> Result<CompanyProfile> {
        let codes = |naics: &String| parse_value("profile.naics", naics, NaicsCode::try_new);
        let set_asides = |code: &String| parse_value("profile.setAsides", code, SetAside::try_new);
        let profile = CompanyProfile {
            name: parse_value("profile.name", &self.name, CompanyName::try_new)?,
            capabilities: parse_optional("profile.capabilities", self.capabilities, CapabilityText::try_new)?,
            naics: self.naics.iter().map(codes).collect::<Result<_>>()?,
            set_asides: self.set_asides.iter().map(set_asides).collect::<Result<_>>()?,
            uei: parse_optional("profile.uei", self.uei, Uei::try_new)?,
            cage: parse_optional("profile.cage", self.cage, CageCode::try_new)?,
        };
        profile.validate().map_err(|reason| error::invalid_value("profile", &reason))
    }
}

/// A company that uses the platform.
#[derive(SimpleObject)]
#[graphql(name = "Company")]
pub(super) struct CompanyNode {
    /// Short name, as used in tokens, keys and headers.
    tenant: String,
    /// Version: the number of recorded changes.
    version: u64,
    /// Name.
    name: String,
    /// Capabilities in the company's own words.
    capabilities: Option<String>,
    /// NAICS codes of its industries.
    naics: Vec<String>,
    /// Codes of the set-asides it is eligible for.
    set_asides: Vec<String>,
    /// Unique Entity ID in SAM.gov.
    uei: Option<String>,
    /// CAGE code.
    cage: Option<String>,
    /// Members, ordered by user id.
    members: Vec<MemberNode>,
    /// API keys that are not revoked; empty unless the caller is an admin.
    api_keys: Vec<ApiKeyNode>,
}

/// A member of a company.
#[derive(SimpleObject)]
#[graphql(name = "Member")]
struct MemberNode {
    /// User id as the identity provider states it.
    user: String,
    /// Role.
    role: RoleEnum,
}

/// An API key, which lets a machine act for a company. Its secret is shown only when it is issued.
#[derive(SimpleObject)]
#[graphql(name = "ApiKey")]
struct ApiKeyNode {
    /// Id.
    id: String,
    /// Name.
    name: String,
    /// Scopes.
    scopes: Vec<ScopeEnum>,
    /// Expiry; null if unlimited.
    expires_at: Option<DateTime<Utc>>,
}

impl CompanyNode {
    /// The node of a company; `None` if it is not registered. API keys are included only for admins.
    pub(super) fn from_stored(tenant: &str, stored: &StoredAggregate<record::Company>, is_admin: bool) -> Option<Self> {
        let registered = stored.state.as_registered()?;
        let profile = registered.profile();
        let key = |key: &record::ApiKey| ApiKeyNode {
            id: key.key_id.to_string(),
            name: key.name.to_string(),
            scopes: key.scopes.iter().map(ScopeEnum::from).collect(),
            expires_at: key.expires_at,
        };
        Some(Self {
            tenant: tenant.to_owned(),
            version: stored.version,
            name: profile.name.to_string(),
            capabilities: profile.capabilities.as_ref().map(ToString::to_string),
            naics: profile.naics.iter().map(ToString::to_string).collect(),
            set_asides: profile.set_asides.iter().map(ToString::to_string).collect(),
            uei: profile.uei.as_ref().map(|uei| uei.as_str().to_owned()),
            cage: profile.cage.as_ref().map(|cage| cage.as_str().to_owned()),
            members: list_members(registered),
            api_keys: if is_admin { registered.keys().map(key).collect() } else { vec![] },
        })
    }
}

fn list_members(registered: &RegisteredCompany) -> Vec<MemberNode> {
    registered.members().map(|(user, role)| MemberNode { user: user.to_string(), role: role.into() }).collect()
}
