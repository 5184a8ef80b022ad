//! Errors of authentication.

/// Why credentials are not accepted. The messages reveal nothing that the sender does not know.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// The header is no `Bearer` token.
    #[error("the header Authorization must be `Bearer`, a space, and the token")]
    Malformed,
    /// The token is malformed, forged, expired, or of another issuer.
    #[error("the token is not valid: {reason}")]
    InvalidToken {
        /// The defect, for the client.
        reason: &'static str,
    },
    /// The key is unknown, revoked or expired; the message does not reveal which.
    #[error("the API key is not valid")]
    InvalidKey,
    /// The header names another tenant than the token.
    #[error("the header X-Medhub-Tenant names another tenant than the token")]
    TenantMismatch,
    /// Authentication is unavailable; retrying may help.
    #[error("authentication is unavailable, try again")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why an authenticator cannot be created from a configuration.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticatorSetupError {
    /// The client for the identity provider cannot be created.
    #[error("creating the client of the identity provider")]
    Provider(#[from] reqwest::Error),
    /// Tokens for other services would be accepted.
    #[error(
        "{setting} is not set: tokens that the identity provider issues for other services would be accepted; set \
         MEDHUB__AUTH__ISSUER and MEDHUB__AUTH__AUDIENCE, which only the development login does without"
    )]
    MissingClaimSetting {
        /// The setting that is missing.
        setting: &'static str,
    },
    /// The URL of Redis is invalid.
    #[error("reading the URL of Redis")]
    Redis(#[from] redis::RedisError),
}

/// Why a token cannot be signed out.
#[derive(Debug, thiserror::Error)]
pub enum SignOutError {
    /// The caller was not authenticated by a token.
    #[error("only tokens can be signed out; a company revokes its API keys")]
    NoToken,
    /// The sign-out cannot be stored in Redis.
    #[error("cannot store the sign-out of a token")]
    Unavailable(#[from] redis::RedisError),
}
