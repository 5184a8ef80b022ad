//! Authorization of requests to the schema registry.
//!
//! | credentials | read | register versions | delete, set levels |
//! | --- | --- | --- | --- |
//! | none | yes, unless `registry.private` | no | no |
//! | the login (`registry.login`, HTTP Basic) | yes | yes | no |
//! | the operator's token (`admin.token`, as a Bearer or as the password of HTTP Basic) | yes | yes | yes |
//!
//! With the login a client may set a level to its current value: some clients do so before they register.
//!
//! If neither is configured the registry is read-only. The relay, the workers and `medhub migrate` use the login, so
//! that they can add compatible versions but never delete a schema that consumers need.

use api::{
    config::AdminConfig,
    http::{
        client_address::ClientAddress,
        rate_limiter::{PublicRoute, RateLimitStatus, RateLimiter},
        request_gate::peer_address,
    },
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use schemas::registry_client::{RegistryConfig, RegistryLogin};

use super::RegistryErrorResponse;

/// What a client may do; each right includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RegistryRight {
    Read,
    Register,
    Administer,
}

impl RegistryRight {
    /// Requires the operator's right.
    ///
    /// # Errors
    /// A response with status 403 without it.
    pub(super) fn require_administer(self) -> Result<(), RegistryErrorResponse> {
        if self == Self::Administer { Ok(()) } else { Err(RegistryAccessError::Forbidden.into()) }
    }
}

/// Authenticates, authorizes and rate-limits requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RegistryAccess {
    login: Option<RegistryLogin>,
    admin: AdminConfig,
    is_private: bool,
    limiter: RateLimiter,
}

impl RegistryAccess {
    pub(crate) fn new(config: &RegistryConfig, admin: &AdminConfig, limiter: RateLimiter) -> Self {
        Self { login: config.login.clone(), admin: admin.clone(), is_private: config.private, limiter }
    }

    /// Logs a warning if no credentials for writing are configured.
    pub(crate) fn warn_if_read_only(&self) {
        if self.is_read_only() {
            tracing::warn!(
                "schema registry is read-only: set MEDHUB__REGISTRY__LOGIN (name:password) to allow registering"
            );
        }
    }

    fn is_read_only(&self) -> bool {
        self.login.is_none() && self.admin.token.is_none()
    }

    /// Returns the right that the credentials grant, [`RegistryRight::Read`] without any; `None` if they are invalid.
    fn authenticate(&self, headers: &HeaderMap) -> Option<RegistryRight> {
        let Some(credentials) = headers.get(header::AUTHORIZATION) else {
            return Some(RegistryRight::Read);
        };
        let (scheme, credentials) = credentials.to_str().ok()?.split_once(' ')?;
        let credentials = credentials.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.admin.is_operator_token(credentials).then_some(RegistryRight::Administer);
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(BASE64_STANDARD.decode(credentials).ok()?).ok()?;
        let (name, password) = decoded.split_once(':')?;
        if self.admin.is_operator_token(password) {
            return Some(RegistryRight::Administer);
        }
        self.login.as_ref()?.matches(name, password).then_some(RegistryRight::Register)
    }

    /// Returns why `right` does not allow a request that needs `needed`; `None` if it does.
    fn check_right(
        &self,
        needed: RegistryRight,
        right: RegistryRight,
        has_credentials: bool,
    ) -> Option<RegistryAccessError> {
        match (needed, right) {
            (RegistryRight::Read, RegistryRight::Read) if self.is_private && !has_credentials => {
                Some(RegistryAccessError::Unauthenticated)
            }
            (needed, right) if needed <= right => None,
            _ if self.is_read_only() => Some(RegistryAccessError::ReadOnly),
            _ if !has_credentials => Some(RegistryAccessError::Unauthenticated),
            _ => Some(RegistryAccessError::Forbidden),
        }
    }
}

/// Returns the right that a request needs.
fn required_right(method: &Method, path: &str) -> RegistryRight {
    let mut segments = path.split('/').skip(1);
    match (method, segments.next(), segments.nth(1)) {
        (&Method::GET | &Method::HEAD | &Method::OPTIONS, ..)
        | (&Method::POST, Some("compatibility"), _)
        // Looks up a registered schema.
        | (&Method::POST, Some("subjects"), None)
        // The mode never changes.
        | (_, Some("mode"), _) => RegistryRight::Read,
        (&Method::POST, Some("subjects"), Some("versions"))
        // The handler requires an operator if the level changes.
        | (&Method::PUT, Some("config"), _) => RegistryRight::Register,
        _ => RegistryRight::Administer,
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RegistryAccessError {
    Unauthenticated,
    Forbidden,
    ReadOnly,
    RateLimited(RateLimitStatus),
}

/// Middleware that authenticates, rate-limits and authorizes a request.
pub(super) async fn authorize_request(
    State(access): State<RegistryAccess>,
    mut request: Request,
    next: Next,
) -> Response {
    let limiter = &access.limiter;
    let address = ClientAddress::from_request(request.headers(), peer_address(&request), limiter.trusts_forwarded());
    let path = request.uri().path();
    if path == "/health" || path == "/ready" {
        let route = if path == "/health" { PublicRoute::Health } else { PublicRoute::Other };
        return respond_with_rate_limit(limiter.charge_public_request(route, &address), request, next).await;
    }
    let has_credentials = request.headers().contains_key(header::AUTHORIZATION);
    let Some(right) = access.authenticate(request.headers()) else {
        let status = limiter.charge_failed_login(&address).filter(RateLimitStatus::is_exceeded);
        return status.map_or(RegistryAccessError::Unauthenticated, RegistryAccessError::RateLimited).into_response();
    };
    let status = match right {
        RegistryRight::Read => limiter.charge_public_request(PublicRoute::Other, &address),
        RegistryRight::Register => limiter.charge_login("registry"),
        RegistryRight::Administer => None,
    };
    if let Some(status) = status.filter(RateLimitStatus::is_exceeded) {
        return RegistryAccessError::RateLimited(status).into_response();
    }
    if let Some(error) = access.check_right(required_right(request.method(), path), right, has_credentials) {
        return error.into_response();
    }
    request.extensions_mut().insert(right);
    respond_with_rate_limit(status, request, next).await
}

/// Runs the request and adds the rate limit headers; refuses it if the limit is exceeded.
async fn respond_with_rate_limit(status: Option<RateLimitStatus>, request: Request, next: Next) -> Response {
    match status {
        None => next.run(request).await,
        Some(status) if status.is_exceeded() => RegistryAccessError::RateLimited(status).into_response(),
        Some(status) => {
            let mut response = next.run(request).await;
            status.write_headers(response.headers_mut());
            response
        }
    }
}

impl From<RegistryAccessError> for RegistryErrorResponse {
    /// Uses the error codes of Confluent's security plugin.
    fn from(error: RegistryAccessError) -> Self {
        let (status, code, message) = match error {
            RegistryAccessError::Unauthenticated => (
                StatusCode::UNAUTHORIZED,
                40101,
                "User cannot be authenticated: send the login of MEDHUB__REGISTRY__LOGIN by HTTP Basic",
            ),
            RegistryAccessError::Forbidden => (
                StatusCode::FORBIDDEN,
                40301,
                "User is denied operation: the login only registers; to delete or set levels, send the operator's token",
            ),
            RegistryAccessError::ReadOnly => (
                StatusCode::FORBIDDEN,
                40301,
                "User is denied operation: this registry is read-only, as no MEDHUB__REGISTRY__LOGIN is configured",
            ),
            RegistryAccessError::RateLimited(_) => {
                (StatusCode::TOO_MANY_REQUESTS, 42901, "Too many requests, try again later")
            }
        };
        Self::new(status, code, message)
    }
}

impl IntoResponse for RegistryAccessError {
    fn into_response(self) -> Response {
        let mut response = RegistryErrorResponse::from(self).into_response();
        match self {
            Self::Unauthenticated => {
                let challenge = HeaderValue::from_static("Basic realm=\"schema registry\", charset=\"UTF-8\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            Self::RateLimited(status) => status.write_headers(response.headers_mut()),
            Self::Forbidden | Self::ReadOnly => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use api::config::{AdminToken, RateLimitConfig};

    const TOKEN: &str = "correct-horse-battery";

    fn registry_access(login: Option<&str>, token: Option<&str>, private: bool) -> RegistryAccess {
        let login = login.map(|login| RegistryLogin::try_from(SecretString::from(login)).unwrap());
        let token = token.map(|token| AdminToken::try_from(SecretString::from(token)).unwrap());
        let config = RegistryConfig { login, private, ..RegistryConfig::default() };
        RegistryAccess::new(&config, &AdminConfig { token }, RateLimiter::local_only(&RateLimitConfig::default()))
    }

    fn authenticate_header(access: &RegistryAccess, credentials: &str) -> Option<RegistryRight> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, credentials.parse().unwrap());
        access.authenticate(&headers)
    }

    fn basic_header(login: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(login))
    }

    #[test]
    fn the_credentials_determine_the_right() {
        let access = registry_access(Some("medhub:a:long:password"), Some(TOKEN), false);
        assert_eq!(
            authenticate_header(&access, &basic_header("medhub:a:long:password")),
            Some(RegistryRight::Register)
        );
        assert_eq!(
            authenticate_header(&access, &basic_header(&format!("any:{TOKEN}"))),
            Some(RegistryRight::Administer)
        );
        assert_eq!(authenticate_header(&access, &format!("bearer {TOKEN}")), Some(RegistryRight::Administer));
        for bad in [
            &basic_header("medhub:wrong"),
            &basic_header("other:a:long:password"),
            "Basic !!",
            "Bearer x",
            "Digest x",
            "x",
        ] {
            assert_eq!(authenticate_header(&access, bad), None, "{bad}");
        }
        assert_eq!(access.authenticate(&HeaderMap::new()), Some(RegistryRight::Read));
    }

    #[test]
    fn a_request_requires_the_right_of_its_method_and_path() {
        for (method, path, right) in [
            (Method::GET, "/subjects/a/versions/1", RegistryRight::Read),
            (Method::POST, "/subjects/a", RegistryRight::Read),
            (Method::POST, "/compatibility/subjects/a/versions/latest", RegistryRight::Read),
            (Method::PUT, "/mode", RegistryRight::Read),
            (Method::POST, "/subjects/a/versions", RegistryRight::Register),
            (Method::DELETE, "/subjects/a", RegistryRight::Administer),
            (Method::DELETE, "/subjects/a/versions/1", RegistryRight::Administer),
            (Method::PUT, "/config", RegistryRight::Register),
            (Method::DELETE, "/config/a", RegistryRight::Administer),
            (Method::POST, "/anything/new", RegistryRight::Administer),
        ] {
            assert_eq!(required_right(&method, path), right, "{method} {path}");
        }
    }

    #[test]
    fn writing_requires_a_configured_login_and_its_credentials() {
        let read_only = registry_access(None, None, false);
        assert_eq!(read_only.check_right(RegistryRight::Read, RegistryRight::Read, false), None);
        assert_eq!(
            read_only.check_right(RegistryRight::Register, RegistryRight::Read, false),
            Some(RegistryAccessError::ReadOnly)
        );
        let writable = registry_access(Some("medhub:a long password"), None, false);
        assert_eq!(
            writable.check_right(RegistryRight::Register, RegistryRight::Read, false),
            Some(RegistryAccessError::Unauthenticated)
        );
        assert_eq!(writable.check_right(RegistryRight::Register, RegistryRight::Register, true), None);
        assert_eq!(
            writable.check_right(RegistryRight::Administer, RegistryRight::Register, true),
            Some(RegistryAccessError::Forbidden)
        );
        assert_eq!(writable.check_right(RegistryRight::Read, RegistryRight::Read, false), None);
        let private = registry_access(Some("medhub:a long password"), None, true);
        assert_eq!(
            private.check_right(RegistryRight::Read, RegistryRight::Read, false),
            Some(RegistryAccessError::Unauthenticated)
        );
    }
}
