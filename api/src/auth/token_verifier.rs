//! Verification of tokens: signature, issuer, audience and expiry.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::value::{TenantId, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, errors::ErrorKind};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::{AuthenticationError, jwks_cache::JwksCache};
use crate::config::AuthConfig;

/// Maximum length of a token, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Claims of a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TokenClaims {
    /// User id.
    pub(super) sub: String,
    /// Expiry, in Unix seconds.
    pub(super) exp: i64,
    /// Tenant, if the provider sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<String>,
    /// Issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) iss: Option<String>,
    /// Audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) aud: Option<serde_json::Value>,
}

/// The user that a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenSubject {
    pub(super) user: UserId,
    pub(super) tenant: Option<TenantId>,
    pub(super) expires_at: Option<DateTime<Utc>>,
}

/// Verifies tokens by a shared secret, by an identity provider's keys, or both.
#[derive(Clone)]
pub(super) struct TokenVerifier {
    secret: Option<DecodingKey>,
    jwks: Option<JwksCache>,
    issuer: Option<String>,
    audience: Option<String>,
    leeway_s: u64,
}

impl TokenVerifier {
    pub(super) fn new(config: &AuthConfig) -> Result<Self, reqwest::Error> {
        let jwks = config.jwks_url.as_deref().map(|url| JwksCache::new(url, config.jwks_cache())).transpose()?;
        Ok(Self {
            secret: config.signing_secret().map(|secret| DecodingKey::from_secret(secret.expose_secret().as_bytes())),
            jwks,
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            leeway_s: config.leeway_s,
        })
    }

    /// How long a token is accepted after its expiry, since clocks differ.
    pub(super) fn leeway(&self) -> Duration {
        Duration::from_secs(self.leeway_s)
    }

    /// Verifies a token and returns its subject.
    ///
    /// The algorithm of the token's header is not trusted: the secret is used for HS256 only, and a key of the provider
    /// for the algorithm that the provider declares for it.
    pub(super) async fn verify_token(&self, token: &str) -> Result<TokenSubject, AuthenticationError> {
        let refused = |reason| AuthenticationError::InvalidToken { reason };
        if token.len() > MAX_TOKEN_BYTES {
            return Err(refused("it is too long"));
        }
        let header = decode_header(token).map_err(|_| refused("it is not an acceptable JWT"))?;
        let claims = match (header.alg, &self.secret, &self.jwks) {
            (Algorithm::HS256, Some(secret), _) => self.decode_claims(token, secret, Algorithm::HS256)?,
            (alg @ (Algorithm::RS256 | Algorithm::ES256), _, Some(jwks)) => {
                let id = header.kid.ok_or(refused("it names no key"))?;
                let key = jwks.load_key(&id).await?.ok_or(refused("the key that signed it is unknown"))?;
                let is_for = key.common.key_algorithm.is_none_or(|known| known.to_string() == format!("{alg:?}"));
                if !is_for {
                    return Err(refused("its key is for another algorithm"));
                }
                let key = DecodingKey::from_jwk(&key).map_err(|_| refused("its key cannot be used"))?;
                self.decode_claims(token, &key, alg)?
            }
            _ => return Err(refused("its algorithm is not supported")),
        };
        let user = UserId::try_new(&claims.sub).map_err(|_| refused("sub is not a user id"))?;
        let tenant = claims.tenant.as_deref().map(TenantId::try_new).transpose();
        let tenant = tenant.map_err(|_| refused("tenant is not a tenant id"))?;
        Ok(TokenSubject { user, tenant, expires_at: DateTime::from_timestamp(claims.exp, 0) })
    }

    fn decode_claims(
        &self,
        token: &str,
        key: &DecodingKey,
        algorithm: Algorithm,
    ) -> Result<TokenClaims, AuthenticationError> {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.leeway_s;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "sub"]);
        match &self.audience {
            Some(audience) => validation.set_audience(&[audience]),
            None => validation.validate_aud = false,
        }
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        if self.audience.is_some() {
            validation.required_spec_claims.insert("aud".to_owned());
        }
        decode::<TokenClaims>(token, key, &validation).map(|data| data.claims).map_err(|error| {
            #[expect(clippy::wildcard_enum_match_arm, reason = "all other errors mean the same here")]
            let reason = match error.kind() {
                ErrorKind::ExpiredSignature => "it has expired",
                ErrorKind::ImmatureSignature => "it is not valid yet",
                ErrorKind::InvalidIssuer => "it is of another issuer",
                ErrorKind::InvalidAudience => "it is for another audience",
                ErrorKind::InvalidSignature => "its signature is invalid",
                _ => "it is not an acceptable JWT",
            };
            AuthenticationError::InvalidToken { reason }
        })
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
    use secrecy::SecretString;
    use serde_json::{Value, json};

    use super::*;
    use crate::config::AuthSecret;

    const SECRET: &str = "a secret of more than thirty-two bytes";

    #[tokio::test]
    async fn a_token_must_have_the_issuer_and_the_audience() {
        let config = AuthConfig {
            hs256_secret: Some(AuthSecret::try_from(SecretString::from(SECRET)).unwrap()),
            issuer: Some("https://login.example".to_owned()),
            audience: Some("medhub".to_owned()),
            ..AuthConfig::default()
        };
        let tokens = TokenVerifier::new(&config).unwrap();
        let verify_claims = async |more: Value| {
            let mut claims = json!({ "sub": "ann", "exp": get_current_timestamp() + 60 });
            claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let key = EncodingKey::from_secret(SECRET.as_bytes());
            tokens.verify_token(&encode(&Header::default(), &claims, &key).unwrap()).await
        };
        let good = verify_claims(json!({ "iss": "https://login.example", "aud": ["other", "medhub"] })).await;
        assert_eq!(good.unwrap().user.as_str(), "ann");
        for bad in [
            json!({}),
            json!({ "iss": "https://login.example" }),
            json!({ "aud": "medhub" }),
            json!({ "iss": "https://other.example", "aud": "medhub" }),
            json!({ "iss": "https://login.example", "aud": "other" }),
        ] {
            assert!(matches!(verify_claims(bad.clone()).await, Err(AuthenticationError::InvalidToken { .. })), "{bad}");
        }
    }
}
