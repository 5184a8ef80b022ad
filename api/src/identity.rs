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
mod directory;
mod error;
mod jwks;
mod jwt;
mod known_keys;
mod login;
mod signed_out;

pub use self::{
    api_key::ApiKeySecret,
    authenticator::{Authenticator, Credentials, RecognisedCaller},
    error::{SetupError, SignOutError, Unauthenticated},
    login::LoginError,
    signed_out::TokenId,
};

use chrono::{DateTime, Utc};
use commands::{authority::Authority, bus::Sender, caller::Caller};
use domain::value::{TenantId, UserId};

/// Somebody whose request is to be answered.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who it is, for which tenant, and what they may.
    pub sender: Sender,
    /// Operates the service: rebuilds read models, changes public data.
    pub is_operator: bool,
    /// Whom limits count for.
    pub counted: Counted,
    /// Until when a long connection may be kept; `None` where nothing ends it.
    pub expires_at: Option<DateTime<Utc>>,
    /// The token that they showed; `None` where it was none, or something else.
    pub token: Option<TokenId>,
}

/// Whom limits count for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// An address, of one who did not say who they are.
    Address,
    /// A person, by name: whatever company they act for.
    User(String),
    /// A key.
    Key(String),
    /// Nobody: operators are not limited.
    Nobody,
}

impl Counted {
    /// A name for the client that connections count for: who it is, else the address.
    pub fn client(&self, address: &str) -> String {
        match self {
            Self::Address => format!("address:{address}"),
            Self::User(user) => format!("user:{user}"),
            Self::Key(key) => format!("key:{key}"),
            Self::Nobody => "operator".to_owned(),
        }
    }
}

impl Identity {
    /// Of one who did not say who they are: sees what is public.
    pub fn anonymous() -> Self {
        Self {
            sender: Sender {
                caller: Caller::new(UserId::ours("anonymous"), TenantId::public()),
                authority: Authority::Anonymous,
            },
            is_operator: false,
            counted: Counted::Address,
            expires_at: None,
            token: None,
        }
    }

    /// Of one who showed the operator's token: may change what is public, and no tenant's data.
    pub fn operator() -> Self {
        Self {
            sender: Sender {
                caller: Caller::new(UserId::ours("operator"), TenantId::public()),
                authority: Authority::System,
            },
            is_operator: true,
            counted: Counted::Nobody,
            expires_at: None,
            token: None,
        }
    }

    /// The same, for another request: with a correlation id of its own.
    #[must_use]
    pub fn again(&self) -> Self {
        let Caller { user_id, tenant_id, .. } = self.sender.caller.clone();
        let sender = Sender { caller: Caller::new(user_id, tenant_id), authority: self.sender.authority.clone() };
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
