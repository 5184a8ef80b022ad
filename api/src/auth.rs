//! Authentication and authority of callers, shared by GraphQL, REST, ingest and gRPC.
//!
//! ```text
//! Authorization: Bearer ... ──▶ operator's token ──▶ operator
//!                           ──▶ mhk_...          ──▶ machine: the scopes of the API key
//!                           ──▶ a JWT            ──▶ member: the role that the company grants now
//! nothing                                        ──▶ anonymous: public data only
//! ```
//!
//! A token proves identity only; authority is looked up in the company's state. Withdrawing a role or revoking a key
//! therefore takes effect at once, even while tokens are still valid (ADR 20).

mod api_key;
mod authenticator;
mod company_cache;
mod development_login;
mod error;
mod jwks_cache;
mod known_keys;
mod signed_out_tokens;
mod token_verifier;
mod verified_tokens;

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

/// The authenticated or anonymous sender of a request.
#[derive(Debug, Clone)]
pub struct Principal {
    /// User, tenant and authority.
    pub sender: CommandSender,
    /// Whether it may operate the service: rebuild read models, change public data.
    pub is_operator: bool,
    /// What its rate limit is counted by.
    pub rate_limit_subject: RateLimitSubject,
    /// When long connections must end; `None` for no limit.
    pub expires_at: Option<DateTime<Utc>>,
    /// The token that it was authenticated by; `None` for API keys, operators and anonymous requests.
    pub token: Option<TokenId>,
}

/// What a rate limit is counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateLimitSubject {
    /// The client address, for requests without credentials.
    Address,
    /// A user, by id, for all companies that they act for.
    User(String),
    /// An API key, by id.
    Key(String),
    /// No limit: operators.
    Unlimited,
}

impl RateLimitSubject {
    /// Key by which connections of this client are counted; `address` identifies clients without credentials.
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
    /// A request without credentials: may read public data.
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

    /// The operator: may change public data, but has no access to data of tenants.
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

    /// The same principal with a new correlation id, for another request.
    #[must_use]
    pub fn with_new_correlation(&self) -> Self {
        let Caller { user_id, tenant_id, .. } = self.sender.caller.clone();
        let sender =
            CommandSender { caller: Caller::new(user_id, tenant_id), authority: self.sender.authority.clone() };
        Self { sender, ..self.clone() }
    }

    /// The tenant that it acts for.
    pub fn tenant(&self) -> &TenantId {
        &self.sender.caller.tenant_id
    }

    /// The user id.
    pub fn user(&self) -> &UserId {
        &self.sender.caller.user_id
    }
}
