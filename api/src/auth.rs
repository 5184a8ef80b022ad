//! Who asks, and what they may: said once for GraphQL, REST, ingest and gRPC.
//!
//! ```text
//! Authorization: Bearer ... ──▶ operator's token ──▶ operator
//!                           ──▶ mhk_...          ──▶ machine: the key's scopes
//!                           ──▶ a JWT            ──▶ member: the role that the company gives them now
//! nothing                                        ──▶ anonymous: public data only
//! ```
//!
//! A token says who somebody is; what they may is what their company says, so that a role that was taken away or a key
//! that was revoked counts for nothing from then on, whatever tokens are about (ADR 20).

mod api_key;
mod authenticator;
mod company_cache;
mod development_login;
mod error;
mod jwks_cache;
mod known_keys;
mod signed_out_tokens;
mod token_verifier;

pub use self::{
    api_key::ApiKeySecret,
    authenticator::{Authenticator, CheckedCredentials, Credentials},
    development_login::LoginError,
    error::{AuthenticationError, AuthenticatorSetupError, SignOutError},
    signed_out_tokens::TokenId,
};

use chrono::{DateTime, Utc};
use commands::{authorization::CallerAuthority, caller::Caller, dispatcher::CommandSender};
use domain::value::{TenantId, UserId};

/// Somebody whose request is to be answered.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Who it is, for which tenant, and what they may.
    pub sender: CommandSender,
    /// Operates the service: rebuilds read models, changes public data.
    pub is_operator: bool,
    /// Whom limits count for.
    pub rate_limit_subject: RateLimitSubject,
    /// Until when a long connection may be kept; `None` where nothing ends it.
    pub expires_at: Option<DateTime<Utc>>,
    /// The token that they showed; `None` where it was none, or something else.
    pub token: Option<TokenId>,
}

/// Whom limits count for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateLimitSubject {
    /// An address, of one who did not say who they are.
    Address,
    /// A person, by name: whatever company they act for.
    User(String),
    /// A key.
    Key(String),
    /// Nobody: operators are not limited.
    Unlimited,
}

impl RateLimitSubject {
    /// A name for the client that connections count for: who it is, else the address.
    pub fn client_key(&self, address: &str) -> String {
        match self {
            Self::Address => format!("address:{address}"),
            Self::User(user) => format!("user:{user}"),
            Self::Key(key) => format!("key:{key}"),
            Self::Unlimited => "operator".to_owned(),
        }
    }
}

impl Principal {
    /// Of one who did not say who they are: sees what is public.
    pub fn anonymous() -> Self {
        Self {
            sender: CommandSender {
                caller: Caller::new(UserId::from_program("anonymous"), TenantId::public()),
                authority: CallerAuthority::Anonymous,
            },
            is_operator: false,
            rate_limit_subject: RateLimitSubject::Address,
            expires_at: None,
            token: None,
        }
    }

    /// Of one who showed the operator's token: may change what is public, and no tenant's data.
    pub fn operator() -> Self {
        Self {
            sender: CommandSender {
                caller: Caller::new(UserId::from_program("operator"), TenantId::public()),
                authority: CallerAuthority::System,
            },
            is_operator: true,
            rate_limit_subject: RateLimitSubject::Unlimited,
            expires_at: None,
            token: None,
        }
    }

    /// The same, for another request: with a correlation id of its own.
    #[must_use]
    pub fn with_new_correlation(&self) -> Self {
        let Caller { user_id, tenant_id, .. } = self.sender.caller.clone();
        let sender =
            CommandSender { caller: Caller::new(user_id, tenant_id), authority: self.sender.authority.clone() };
        Self { sender, ..self.clone() }
    }

    /// The tenant that they act for.
    pub fn tenant(&self) -> &TenantId {
        &self.sender.caller.tenant_id
    }

    /// Who they are.
    pub fn user(&self) -> &UserId {
        &self.sender.caller.user_id
    }
}
