//! Authentication of users and API keys.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__AUTH__HS256_SECRET` | none | secret of HS256 tokens, at least 32 bytes; for development and tests |
//! | `MEDHUB__AUTH__JWKS_URL` | none | URL of the identity provider's key set (RS256, ES256) |
//! | `MEDHUB__AUTH__JWKS_CACHE_S` | `300` | how long the key set is cached; an unknown key is fetched at once |
//! | `MEDHUB__AUTH__ISSUER` | none | required `iss` claim; must be set where tokens are accepted, unless the development login is on |
//! | `MEDHUB__AUTH__AUDIENCE` | none | required `aud` claim; likewise |
//! | `MEDHUB__AUTH__LEEWAY_S` | `30` | allowed clock difference |
//! | `MEDHUB__AUTH__ROSTER_CACHE_MS` | `1000` | how long roles and keys are cached; changes by the same process apply at once |
//! | `MEDHUB__AUTH__DEVELOPMENT_LOGIN` | `false` | lets any client sign in as any user, by the mutation `developmentLogin` |

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Minimum length of a secret, in bytes: the length of the HS256 hash (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Configuration of authentication. Contains a secret, so it is not serialized.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Secret of HS256 tokens.
    pub hs256_secret: Option<AuthSecret>,
    /// URL of the identity provider's key set.
    pub jwks_url: Option<String>,
    /// How long the key set is cached, in seconds.
    pub jwks_cache_s: u64,
    /// Required `iss` claim.
    pub issuer: Option<String>,
    /// Required `aud` claim.
    pub audience: Option<String>,
    /// Allowed clock difference, in seconds.
    pub leeway_s: u64,
    /// How long roles and keys are cached, in milliseconds.
    pub roster_cache_ms: u64,
    /// Lets any client sign in as any user; for development only.
    pub development_login: bool,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            hs256_secret: None,
            jwks_url: None,
            jwks_cache_s: 300,
            issuer: None,
            audience: None,
            leeway_s: 30,
            roster_cache_ms: 1_000,
            development_login: false,
        }
    }
}

impl AuthConfig {
    pub(crate) fn signing_secret(&self) -> Option<&SecretString> {
        self.hs256_secret.as_ref().map(|secret| &secret.0)
    }

    /// Returns the missing setting that keeps tokens for other services from being accepted; `None` if no tokens are
    /// accepted or the development login is enabled.
    pub(crate) fn missing_claim_setting(&self) -> Option<&'static str> {
        let takes_tokens = self.hs256_secret.is_some() || self.jwks_url.is_some();
        let bounds = [("auth.issuer", &self.issuer), ("auth.audience", &self.audience)];
        let mut missing = bounds.into_iter().filter(|(_, value)| value.as_ref().is_none_or(String::is_empty));
        missing.next().filter(|_| takes_tokens && !self.development_login).map(|(setting, _)| setting)
    }

    pub(crate) fn jwks_cache(&self) -> Duration {
        Duration::from_secs(self.jwks_cache_s)
    }

    pub(crate) fn roster_cache(&self) -> Duration {
        Duration::from_millis(self.roster_cache_ms)
    }
}

/// A secret of sufficient length that signs tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "SecretString")]
pub struct AuthSecret(SecretString);

/// The secret is shorter than 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is shorter than {MIN_SECRET_BYTES} bytes")]
pub struct SecretTooShort;

impl TryFrom<SecretString> for AuthSecret {
    type Error = SecretTooShort;

    fn try_from(secret: SecretString) -> Result<Self, SecretTooShort> {
        if secret.expose_secret().len() < MIN_SECRET_BYTES { Err(SecretTooShort) } else { Ok(Self(secret)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuer_and_audience_are_required_unless_the_development_login_is_enabled() {
        let open = AuthConfig { jwks_url: Some("http://127.0.0.1:1".to_owned()), ..AuthConfig::default() };
        assert_eq!(open.missing_claim_setting(), Some("auth.issuer"));
        let half = AuthConfig { issuer: Some("https://login".to_owned()), ..open.clone() };
        assert_eq!(half.missing_claim_setting(), Some("auth.audience"));
        let whole = AuthConfig { audience: Some("medhub".to_owned()), ..half };
        assert_eq!(whole.missing_claim_setting(), None);
        assert_eq!(AuthConfig { development_login: true, ..open }.missing_claim_setting(), None);
        assert_eq!(AuthConfig::default().missing_claim_setting(), None, "no tokens are accepted");
    }

    #[test]
    fn a_short_secret_is_refused_and_debug_hides_a_valid_one() {
        let parse_secret = |secret: &str| AuthSecret::try_from(SecretString::from(secret));
        assert_eq!(parse_secret("short").unwrap_err(), SecretTooShort);
        assert!(!format!("{:?}", parse_secret(&"correct-horse".repeat(3)).unwrap()).contains("horse"));
    }
}
