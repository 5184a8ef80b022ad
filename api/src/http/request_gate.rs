//! Request gate: authenticates and rate-limits every request before anything else is done for it, and admits those that
//! the process has room for.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tracing::Span;
use uuid::Uuid;

pub(crate) use super::client_address::ClientAddress;
use super::{
    load_shedder::{LoadShedder, RequestPermit, RequestPriority},
    problem::Problem,
    rate_limiter::{PublicRoute, RateLimitStatus, RateLimiter},
    socket_permits::TooManySockets,
};
use crate::{
    admission_queue::QueueFull,
    auth::{AuthenticationError, Authenticator, CheckedCredentials, Credentials, Principal, RateLimitSubject},
};

/// Names the tenant that a member of several companies acts for.
pub(crate) const TENANT_HEADER: HeaderName = HeaderName::from_static("x-medhub-tenant");

/// Authenticates callers, applies their rate limits, and limits the requests that are worked on. Cheap to clone; every
/// request clones it several times.
#[derive(Clone)]
pub struct RequestGate(Arc<RequestGateState>);

struct RequestGateState {
    authenticator: Authenticator,
    limiter: RateLimiter,
    load_shedder: LoadShedder,
}

/// Why a request is not admitted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdmissionError {
    /// The credentials are not valid, or cannot be checked.
    #[error(transparent)]
    Unauthenticated(#[from] AuthenticationError),
    /// The rate limit is exceeded.
    #[error("too many requests, try again in {} s", .0.retry_after_s.unwrap_or(1))]
    RateLimited(RateLimitStatus),
    /// The client has reached its limit of open `WebSocket`s.
    #[error(transparent)]
    TooManySockets(#[from] TooManySockets),
}

impl RequestGate {
    /// Creates a gate.
    pub fn new(authenticator: Authenticator, limiter: RateLimiter, load_shedder: LoadShedder) -> Self {
        Self(Arc::new(RequestGateState { authenticator, limiter, load_shedder }))
    }

    /// A gate without rate limits, over the default configuration.
    #[cfg(test)]
    pub(crate) fn permissive() -> Self {
        use projections::storage::redis::RedisConfig;

        use crate::config::{AdminConfig, AuthConfig, HttpConfig};

        let pool = eventstore::postgres::open_pool(&eventstore::postgres::PostgresConfig::default()).unwrap();
        let store = eventstore::store::PgEventStore::new(pool, &eventstore::postgres::PostgresConfig::default());
        let authenticator =
            Authenticator::new(&AuthConfig::default(), &AdminConfig::default(), store, &RedisConfig::default())
                .unwrap();
        Self::new(authenticator, RateLimiter::unlimited(), LoadShedder::new(&HttpConfig::default()))
    }

    /// Authenticates the caller and charges one request before any lookup.
    ///
    /// Invalid tokens are charged to the client's address, so that tokens cannot be guessed by brute force. An API key
    /// that is not cached as valid is charged to its address first and refunded if it is valid, so that guesses beyond
    /// the limit cost no query.
    pub(crate) async fn admit(
        &self,
        credentials: &Credentials,
        address: &ClientAddress,
    ) -> Result<(Principal, Option<RateLimitStatus>), AdmissionError> {
        let checked = match self.0.authenticator.check_credentials(credentials).await {
            Ok(checked) => checked,
            Err(error) => return Err(self.charge_refused_credentials(error, address).await),
        };
        let Some(subject) = checked.rate_limit_subject() else {
            return self.admit_unknown_key(checked, address).await;
        };
        let rate_limit = self.charge(&subject, address, 1).await?;
        match self.0.authenticator.load_principal(checked).await {
            Ok(principal) => Ok((principal, rate_limit)),
            Err(error) => Err(self.charge_refused_credentials(error, address).await),
        }
    }

    /// [`Self::admit`] for credentials that arrive after a connection was opened.
    pub(crate) async fn identify(
        &self,
        credentials: &Credentials,
        address: &ClientAddress,
    ) -> Result<Principal, AdmissionError> {
        self.admit(credentials, address).await.map(|(principal, _)| principal)
    }

    /// Waits for the right to work on an admitted request, which the caller holds meanwhile. Operators need none.
    ///
    /// # Errors
    /// [`QueueFull`] when the process works on too many requests.
    pub(crate) async fn begin_work(
        &self,
        subject: &RateLimitSubject,
        priority: RequestPriority,
    ) -> Result<Option<RequestPermit<'_>>, QueueFull> {
        match subject {
            RateLimitSubject::Unlimited => Ok(None),
            RateLimitSubject::Address | RateLimitSubject::User(_) | RateLimitSubject::Key(_) => {
                self.0.load_shedder.admit(priority).await.map(Some)
            }
        }
    }

    async fn admit_unknown_key(
        &self,
        key: CheckedCredentials,
        address: &ClientAddress,
    ) -> Result<(Principal, Option<RateLimitStatus>), AdmissionError> {
        let rate_limit = self.0.limiter.charge_unverified_credential(address).await;
        if let Some(rate_limit) = rate_limit.filter(RateLimitStatus::is_exceeded) {
            return Err(AdmissionError::RateLimited(rate_limit));
        }
        // Nothing is refunded while the event store is unavailable, so that retries do not add to its load.
        let principal = self.0.authenticator.load_principal(key).await?;
        self.0.limiter.refund_unverified_credential(address).await;
        let rate_limit = self.charge(&principal.rate_limit_subject, address, 1).await?;
        Ok((principal, rate_limit))
    }

    async fn charge_refused_credentials(&self, error: AuthenticationError, address: &ClientAddress) -> AdmissionError {
        if matches!(error, AuthenticationError::Unavailable(_)) {
            return error.into();
        }
        match self.0.limiter.charge_unverified_credential(address).await {
            Some(rate_limit) if rate_limit.is_exceeded() => AdmissionError::RateLimited(rate_limit),
            Some(_) | None => error.into(),
        }
    }

    /// Returns a principal for another request of a caller that was authenticated before, with its current authority.
    pub(crate) async fn reauthenticate(&self, previous: &Principal) -> Result<Principal, AuthenticationError> {
        let mut principal = previous.with_new_correlation();
        principal.sender.authority = self.0.authenticator.load_authority(previous).await?;
        Ok(principal)
    }

    /// Charges one request.
    pub(crate) async fn charge_request(
        &self,
        principal: &Principal,
        address: &ClientAddress,
    ) -> Result<Option<RateLimitStatus>, AdmissionError> {
        self.charge(&principal.rate_limit_subject, address, 1).await
    }

    /// Charges a GraphQL document of this cost, on top of the request that carried it.
    pub(crate) async fn charge_query_cost(
        &self,
        principal: &Principal,
        address: &ClientAddress,
        query_cost: usize,
    ) -> Result<Option<RateLimitStatus>, AdmissionError> {
        match self.0.limiter.requests_for_query_cost(query_cost) {
            0 => Ok(None),
            cost => self.charge(&principal.rate_limit_subject, address, cost).await,
        }
    }

    /// Charges `cost` requests; returns the status after it, `None` if no limit applies.
    pub(crate) async fn charge(
        &self,
        subject: &RateLimitSubject,
        address: &ClientAddress,
        cost: u32,
    ) -> Result<Option<RateLimitStatus>, AdmissionError> {
        match self.0.limiter.charge(subject, address, cost).await {
            Some(rate_limit) if rate_limit.is_exceeded() => Err(AdmissionError::RateLimited(rate_limit)),
            rate_limit => Ok(rate_limit),
        }
    }

    /// Charges an address one request to a route that needs no login.
    pub(crate) fn charge_public_request(
        &self,
        address: &ClientAddress,
    ) -> Result<Option<RateLimitStatus>, AdmissionError> {
        match self.0.limiter.charge_public_request(PublicRoute::Other, address) {
            Some(rate_limit) if rate_limit.is_exceeded() => Err(AdmissionError::RateLimited(rate_limit)),
            rate_limit => Ok(rate_limit),
        }
    }

    /// The address of the client, from the forwarding headers where they are trusted.
    pub(crate) fn client_address(&self, headers: &HeaderMap, connected: Option<SocketAddr>) -> ClientAddress {
        ClientAddress::from_request(headers, connected, self.0.limiter.trusts_forwarded())
    }

    /// A meter that charges this request for more than the one request counted on admission.
    pub(crate) fn start_meter(
        &self,
        principal: &Principal,
        address: &ClientAddress,
        rate_limit: Option<RateLimitStatus>,
    ) -> RequestMeter {
        RequestMeter(Arc::new(RequestMeterState {
            gate: self.clone(),
            subject: principal.rate_limit_subject.clone(),
            address: address.clone(),
            status: Mutex::new(rate_limit),
        }))
    }
}

/// Charges the cost of a request as soon as it is known. Handlers find the meter in the request's extensions; the
/// response reports the rate limit's status from it.
#[derive(Clone)]
pub(crate) struct RequestMeter(Arc<RequestMeterState>);

struct RequestMeterState {
    gate: RequestGate,
    subject: RateLimitSubject,
    address: ClientAddress,
    status: Mutex<Option<RateLimitStatus>>,
}

impl RequestMeter {
    /// Charges `cost` more requests. After an error the request must not be processed.
    pub(crate) async fn charge(&self, cost: u32) -> Result<(), AdmissionError> {
        if cost == 0 {
            return Ok(());
        }
        let meter = &*self.0;
        let rate_limit = meter.gate.charge(&meter.subject, &meter.address, cost).await?;
        *meter.status.lock().unwrap_or_else(PoisonError::into_inner) = rate_limit;
        Ok(())
    }

    /// [`Self::charge`] for a batch of this many events.
    pub(crate) async fn charge_events(&self, events: usize) -> Result<(), AdmissionError> {
        self.charge(self.0.gate.0.limiter.requests_for_events(events)).await
    }

    /// [`Self::charge`] for a GraphQL document of this cost.
    pub(crate) async fn charge_query_cost(&self, query_cost: usize) -> Result<(), AdmissionError> {
        self.charge(self.0.gate.0.limiter.requests_for_query_cost(query_cost)).await
    }

    /// The rate limit's status after the latest charge.
    pub(crate) fn rate_limit_status(&self) -> Option<RateLimitStatus> {
        *self.0.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names the operation that a request is part of; generated where it is missing.
pub(crate) const CORRELATION_ID_HEADER: HeaderName = HeaderName::from_static("x-correlation-id");

/// Names the event that caused a request.
pub(crate) const CAUSATION_ID_HEADER: HeaderName = HeaderName::from_static("x-causation-id");

/// Takes the correlation and causation ids from the headers.
///
/// # Errors
/// The name of the header that has no UUID.
pub(crate) fn read_correlation(headers: &HeaderMap, principal: &mut Principal) -> Result<(), HeaderName> {
    let parse_id = |name: &HeaderName| match headers.get(name) {
        None => Ok(None),
        Some(value) => value.to_str().ok().and_then(|id| Uuid::parse_str(id).ok()).map(Some).ok_or(name.clone()),
    };
    let caller = &mut principal.sender.caller;
    if let Some(correlation) = parse_id(&CORRELATION_ID_HEADER)? {
        caller.correlation_id = correlation;
    }
    caller.causation_id = parse_id(&CAUSATION_ID_HEADER)?;
    Ok(())
}

/// The span that adds the ids of a request to the lines of the log; adds them to the current span too.
pub(crate) fn log_context(principal: &Principal) -> Span {
    let caller = &principal.sender.caller;
    let server_span = Span::current();
    server_span.record("medhub.correlation_id", tracing::field::display(caller.correlation_id));
    server_span.record("medhub.tenant_id", caller.tenant_id.as_str());
    // The highest level, so that no filter of the log takes the ids from the lines that it lets pass.
    tracing::error_span!("request", correlation_id = %caller.correlation_id, tenant_id = caller.tenant_id.as_str())
}

/// The credentials in a request's headers.
pub(crate) fn credentials(headers: &HeaderMap) -> Credentials {
    let text =
        |name: &HeaderName| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Credentials { authorization: text(&header::AUTHORIZATION), tenant: text(&TENANT_HEADER) }
}

/// The socket address of the peer.
pub fn peer_address(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(at)| *at)
}

/// A refused admission as a problem.
pub(crate) fn admission_problem(error: &AdmissionError) -> Response {
    admission_error_response(error, |status, code, reason| Problem::new(status, code, reason).into_response())
}

/// Responds to a refused admission, with the body that `render` creates from status, code and reason.
pub(crate) fn admission_error_response(
    error: &AdmissionError,
    render: impl FnOnce(StatusCode, &'static str, String) -> Response,
) -> Response {
    let (status, code) = match error {
        AdmissionError::RateLimited(_) => (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"),
        AdmissionError::TooManySockets(_) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        AdmissionError::Unauthenticated(AuthenticationError::Unavailable(cause)) => {
            tracing::error!(error = &**cause as &dyn std::error::Error, "authentication backend unavailable");
            (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE")
        }
        AdmissionError::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
    };
    let mut response = render(status, code, error.to_string());
    match error {
        AdmissionError::RateLimited(rate_limit) => rate_limit.write_headers(response.headers_mut()),
        AdmissionError::Unauthenticated(_) if status == StatusCode::UNAUTHORIZED => {
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        AdmissionError::Unauthenticated(_) | AdmissionError::TooManySockets(_) => {}
    }
    response
}
