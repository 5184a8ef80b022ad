//! Why what somebody showed does not tell who they are.

/// A request that claims to be somebody's and is not. Says no more than its sender knows.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// The header is no `Bearer` token.
    #[error("the header Authorization has to say: Bearer, a space, and the token")]
    Malformed,
    /// The token is forged, expired, of another issuer, or none at all.
    #[error("the token is not valid: {reason}")]
    InvalidToken {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The key is unknown, revoked or expired: which of them is not told.
    #[error("the API key is not valid")]
    InvalidKey,
    /// The header names another tenant than the token.
    #[error("the header X-Medhub-Tenant names another tenant than the token")]
    TenantMismatch,
    /// Nobody can be recognised now; trying later may help.
    #[error("who you are cannot be found out now, try again")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why nobody can be recognised by these settings.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticatorSetupError {
    /// No client for the identity provider can be made.
    #[error("making a client for the identity provider")]
    Provider(#[from] reqwest::Error),
    /// Tokens count that were made for others.
    #[error(
        "{setting} is not set: tokens that the identity provider makes for other services would count here; set \
         MEDHUB__AUTH__ISSUER and MEDHUB__AUTH__AUDIENCE, which only the development login does without"
    )]
    MissingClaimSetting {
        /// The setting that is missing.
        setting: &'static str,
    },
    /// The URL of Redis is none.
    #[error("reading the URL of Redis")]
    Redis(#[from] redis::RedisError),
}

/// Why a token was not signed out.
#[derive(Debug, thiserror::Error)]
pub enum SignOutError {
    /// It is no token that was shown.
    #[error("only a token is signed out; a key is revoked by its company")]
    NoToken,
    /// Redis did not take it.
    #[error("remembering that a token was signed out")]
    Unavailable(#[from] redis::RedisError),
}
