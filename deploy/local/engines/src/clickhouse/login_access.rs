//! The two logins of the local ClickHouse, and the credentials of a request.

use axum::http::{HeaderMap, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};

use super::exception::{ClickHouseException, ExceptionCode};

/// What a login may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginAccess {
    /// User `default`: everything.
    Full,
    /// User `analyst`: reads (`readonly=1`).
    Read,
}

/// The passwords of the two users.
#[derive(Clone, Debug)]
pub(super) struct LoginPasswords {
    pub(super) default: SecretString,
    pub(super) analyst: SecretString,
}

/// User and password of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoginCredentials {
    user: String,
    password: String,
}

impl LoginCredentials {
    /// The user's name.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// Reads the headers first, then the `user` and `password` of the URL, as ClickHouse does.
    pub(super) fn from_request(headers: &HeaderMap, user: Option<String>, password: Option<String>) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let from_headers = header("X-ClickHouse-User").map(|user| (user, header("X-ClickHouse-Key")));
        let (user, password) = from_headers
            .or_else(|| parse_basic(headers).map(|(user, password)| (user, Some(password))))
            .unwrap_or_else(|| (user.unwrap_or_else(|| "default".to_owned()), password));
        Self { user, password: password.unwrap_or_default() }
    }
}

impl LoginPasswords {
    /// Returns what the credentials allow.
    pub(super) fn check(&self, credentials: &LoginCredentials) -> Result<LoginAccess, ClickHouseException> {
        let (expected, access) = match credentials.user.as_str() {
            "default" | "" => (&self.default, LoginAccess::Full),
            "analyst" => (&self.analyst, LoginAccess::Read),
            _ => return Err(login_exception(&credentials.user)),
        };
        if expected.expose_secret() == credentials.password {
            Ok(access)
        } else {
            Err(login_exception(&credentials.user))
        }
    }
}

fn login_exception(user: &str) -> ClickHouseException {
    ExceptionCode::AuthenticationFailed.with_message(&format!(
        "{user}: Authentication failed: password is incorrect, or there is no user with such name"
    ))
}

fn parse_basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
