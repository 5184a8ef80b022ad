//! Signed tokens in links to unsubscribe: they say who stops which mail, and need no login.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::value::{TenantId, UserId};
use secrecy::{ExposeSecret as _, SecretString};

use crate::AddressDigest;

/// Longest token that is read, in characters.
const MAX_TOKEN: usize = 800;

/// Version of the token's content, which is signed with it.
const VERSION: &str = "1";

/// Separates the fields of a token; no field contains it.
const SEPARATOR: char = '\n';

/// Shortest secret that signs tokens, in bytes.
pub const MIN_SECRET_BYTES: usize = 16;

/// What a token allows: to stop mail of one category to one user of a tenant. It does not expire, like the mail that
/// contains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsubscribeRequest {
    /// The user's tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// The name of the category.
    pub category: String,
    /// The address that the link was sent to.
    pub address: AddressDigest,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsubscribeTokenError {
    /// It is no token of this program, was changed, or was signed with another secret.
    #[error("this link is not valid: it is incomplete, or was changed")]
    Invalid,
}

/// Signs and checks tokens.
#[derive(Clone)]
pub struct UnsubscribeTokenSigner {
    key: hmac::Key,
}

impl UnsubscribeTokenSigner {
    /// Signs with this secret, which all processes must share. After a change of the secret, links of earlier mails are
    /// no longer accepted.
    pub fn new(secret: &SecretString) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()) }
    }

    /// The token for a request.
    pub fn sign(&self, request: &UnsubscribeRequest) -> String {
        let UnsubscribeRequest { tenant, user, category, address } = request;
        let fields = [VERSION, tenant.as_str(), user.as_str(), category, address.as_str()];
        let content = fields.join(&SEPARATOR.to_string());
        let tag = hmac::sign(&self.key, content.as_bytes());
        format!("{}.{}", URL_SAFE_NO_PAD.encode(content), URL_SAFE_NO_PAD.encode(tag))
    }

    /// Checks a token and returns what it allows.
    ///
    /// # Errors
    /// [`UnsubscribeTokenError::Invalid`].
    pub fn verify(&self, token: &str) -> Result<UnsubscribeRequest, UnsubscribeTokenError> {
        self.decode_verified(token).ok_or(UnsubscribeTokenError::Invalid)
    }

    fn decode_verified(&self, token: &str) -> Option<UnsubscribeRequest> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let (content, tag) = token.split_once('.')?;
        let (content, tag) = (URL_SAFE_NO_PAD.decode(content).ok()?, URL_SAFE_NO_PAD.decode(tag).ok()?);
        hmac::verify(&self.key, &content, &tag).ok()?;
        let content = String::from_utf8(content).ok()?;
        let mut fields = content.split(SEPARATOR);
        let (version, tenant, user) = (fields.next()?, fields.next()?, fields.next()?);
        let (category, address) = (fields.next()?, fields.next()?);
        if version != VERSION || fields.next().is_some() {
            return None;
        }
        Some(UnsubscribeRequest {
            tenant: TenantId::try_new(tenant).ok()?,
            user: UserId::try_new(user).ok()?,
            category: category.to_owned(),
            address: AddressDigest::parse(address)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use domain::inbox::MailAddress;

    use super::*;

    fn signer(secret: &str) -> UnsubscribeTokenSigner {
        UnsubscribeTokenSigner::new(&SecretString::from(secret))
    }

    fn request(user: &str) -> UnsubscribeRequest {
        UnsubscribeRequest {
            tenant: TenantId::try_new("acme").unwrap(),
            user: UserId::try_new(user).unwrap(),
            category: "daily_digest".to_owned(),
            address: AddressDigest::from_address(&MailAddress::try_new("ann@clinic.example").unwrap()),
        }
    }

    #[test]
    fn a_token_says_what_was_signed_and_fits_a_url() {
        let token = signer("a secret of the test").sign(&request("auth0|ann@clinic.example"));
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{token}");
        assert_eq!(signer("a secret of the test").verify(&token), Ok(request("auth0|ann@clinic.example")));
    }

    #[test]
    fn changed_cut_and_foreign_tokens_are_refused() {
        let (signer, other_signer) = (signer("a secret of the test"), signer("another secret"));
        let token = signer.sign(&request("ann"));
        let (content, tag) = token.split_once('.').unwrap();
        let other = signer.sign(&request("bob"));
        let foreign = other_signer.sign(&request("ann"));
        let mixed = format!("{}.{tag}", other.split_once('.').unwrap().0);
        let long = format!("{content}.{}", "A".repeat(MAX_TOKEN));
        for bad in ["", ".", content, &format!("{content}."), &token[..token.len() - 1], &foreign, &mixed, &long] {
            assert_eq!(signer.verify(bad), Err(UnsubscribeTokenError::Invalid), "{bad}");
        }
    }
}
