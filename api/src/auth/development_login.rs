//! Development login: tokens issued by the service itself, where the configuration allows it.

use chrono::{DateTime, TimeDelta, Utc};
use domain::value::{TenantId, UserId};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::ExposeSecret;

use super::token_verifier::TokenClaims;
use crate::config::AuthConfig;

const TOKEN_LIFETIME: TimeDelta = TimeDelta::hours(12);

/// Why no token is issued.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The development login is not enabled.
    #[error("the development login is disabled; enable auth.development_login only where developers alone have access")]
    Disabled,
    /// The token cannot be signed.
    #[error("signing a token")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

#[derive(Clone)]
pub(super) struct DevelopmentLogin {
    key: Option<EncodingKey>,
    issuer: Option<String>,
    audience: Option<String>,
}

impl DevelopmentLogin {
    pub(super) fn new(config: &AuthConfig) -> Self {
        let key = config.signing_secret().filter(|_| config.development_login);
        Self {
            key: key.map(|secret| EncodingKey::from_secret(secret.expose_secret().as_bytes())),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
        }
    }

    /// Issues a token for a user; returns it with its expiry.
    pub(super) fn issue_token(
        &self,
        user: &UserId,
        tenant: Option<&TenantId>,
        now: DateTime<Utc>,
    ) -> Result<(String, DateTime<Utc>), LoginError> {
        let key = self.key.as_ref().ok_or(LoginError::Disabled)?;
        let expires_at = now + TOKEN_LIFETIME;
        let claims = TokenClaims {
            sub: user.to_string(),
            exp: expires_at.timestamp(),
            tenant: tenant.map(ToString::to_string),
            iss: self.issuer.clone(),
            aud: self.audience.clone().map(Into::into),
        };
        let token = encode(&Header::new(Algorithm::HS256), &claims, key).map_err(LoginError::Signing)?;
        Ok((token, expires_at))
    }
}
