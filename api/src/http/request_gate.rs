//! The one way in: who asks is found out and counted before anything else is done, whatever is asked.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use uuid::Uuid;

pub(crate) use super::client_address::ClientAddress;
use super::{
    graphql_websocket::socket_permits::TooManySockets,
    problem::Problem,
    rate_limiter::{PublicRoute, RateLimitStatus, RateLimiter},
};
use crate::{
    auth::{AuthenticationError, Authenticator, CheckedCredentials, Credentials, Principal, RateLimitSubject},
    graphql,
};

/// Names the tenant that a member of several companies acts for.
pub(super) const TENANT_HEADER: HeaderName = HeaderName::from_static("x-medhub-tenant");

/// Finds out who asks, and counts them. Cheap to clone, since every request does.
#[derive(Clone)]
pub(crate) struct RequestGate {
    authenticator: Arc<Authenticator>,
    limiter: RateLimiter,
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdmissionError {
    /// What they show does not tell who they are.
    #[error(transparent)]
    Unauthenticated(#[from] AuthenticationError),
    /// They asked too often.
    #[error("too many requests, try again in {} s", .0.retry_after_s.unwrap_or(1))]
    RateLimited(RateLimitStatus),
    /// They have as many `WebSocket`s open as they may.
    #[error(transparent)]
    TooManySockets(#[from] TooManySockets),
}

impl RequestGate {
    pub(crate) fn new(authenticator: Authenticator, limiter: RateLimiter) -> Self {
        Self { authenticator: Arc::new(authenticator), limiter }
    }

    /// One that asks nobody and counts nothing.
    #[cfg(test)]
    pub(crate) fn permissive() -> Self {
        use projections::opportunity_views::RedisConfig;

        use crate::config::{AdminConfig, AuthConfig};

        let pool = eventstore::postgres::open_pool(&eventstore::postgres::PostgresConfig::default()).unwrap();
        let store = eventstore::store::PgEventStore::new(pool, &eventstore::postgres::PostgresConfig::default());
        let authenticator =
            Authenticator::new(&AuthConfig::default(), &AdminConfig::default(), store, &RedisConfig::default())
                .unwrap();
        Self::new(authenticator, RateLimiter::unlimited())
    }

    /// Who shows that, counted with one request before anything is looked up for them.
    ///
    /// Tokens that turn out to be none are counted by address, so that nobody tries them one after the other. A key that
    /// was not seen to be good is charged to its address first and given back if it is good: guesses cost no query each.
    pub(crate) async fn admit(
        &self,
        shown: &Credentials,
        address: &ClientAddress,
    ) -> Result<(Principal, Option<RateLimitStatus>), AdmissionError> {
        let recognised = match self.authenticator.check_credentials(shown).await {
            Ok(recognised) => recognised,
            Err(refusal) => return Err(self.charge_refused_credentials(refusal, address).await),
        };
        let Some(counted) = recognised.rate_limit_subject() else {
            return self.admit_unknown_key(recognised, address).await;
        };
        let room = self.charge(&counted, address, 1).await?;
        match self.authenticator.load_principal(recognised).await {
            Ok(identity) => Ok((identity, room)),
            Err(refusal) => Err(self.charge_refused_credentials(refusal, address).await),
        }
    }

    /// [`Self::admit`] for one who says who they are behind the beginning of a connection.
    pub(crate) async fn identify(
        &self,
        shown: &Credentials,
        address: &ClientAddress,
    ) -> Result<Principal, AdmissionError> {
        self.admit(shown, address).await.map(|(identity, _)| identity)
    }

    async fn admit_unknown_key(
        &self,
        key: CheckedCredentials,
        address: &ClientAddress,
    ) -> Result<(Principal, Option<RateLimitStatus>), AdmissionError> {
        let room = self.limiter.charge_refused_token(address).await;
        if let Some(room) = room.filter(|room| room.retry_after_s.is_some()) {
            return Err(AdmissionError::RateLimited(room));
        }
        // While the log is away nothing is given back, so that nobody makes it busier than it is.
        let identity = self.authenticator.load_principal(key).await?;
        self.limiter.refund_refused_token(address).await;
        let room = self.charge(&identity.rate_limit_subject, address, 1).await?;
        Ok((identity, room))
    }

    async fn charge_refused_credentials(
        &self,
        refusal: AuthenticationError,
        address: &ClientAddress,
    ) -> AdmissionError {
        if matches!(refusal, AuthenticationError::Unavailable(_)) {
            return refusal.into();
        }
        match self.limiter.charge_refused_token(address).await {
            Some(room) if room.retry_after_s.is_some() => AdmissionError::RateLimited(room),
            Some(_) | None => refusal.into(),
        }
    }

    /// Somebody who was identified before, for another request, with what they may now.
    pub(crate) async fn reauthenticate(&self, known: &Principal) -> Result<Principal, AuthenticationError> {
        let mut identity = known.with_new_correlation();
        identity.sender.authority = self.authenticator.load_authority(known).await?;
        Ok(identity)
    }

    /// Counts one request of theirs.
    pub(crate) async fn charge_request(
        &self,
        identity: &Principal,
        address: &ClientAddress,
    ) -> Result<Option<RateLimitStatus>, AdmissionError> {
        self.charge(&identity.rate_limit_subject, address, 1).await
    }

    /// Charges somebody a document of that complexity, beside the request that it came with.
    pub(crate) async fn charge_document(
        &self,
        identity: &Principal,
        address: &ClientAddress,
        complexity: usize,
    ) -> Result<Option<RateLimitStatus>, AdmissionError> {
        match self.limiter.cost_of_document(complexity) {
            0 => Ok(None),
            cost => self.charge(&identity.rate_limit_subject, address, cost).await,
        }
    }

    /// Charges somebody what they ask, in requests; answers how they stand, `None` where nothing is counted.
    pub(crate) async fn charge(
        &self,
        counted: &RateLimitSubject,
        address: &ClientAddress,
        cost: u32,
    ) -> Result<Option<RateLimitStatus>, AdmissionError> {
        match self.limiter.charge(counted, address, cost).await {
            Some(room) if room.retry_after_s.is_some() => Err(AdmissionError::RateLimited(room)),
            room => Ok(room),
        }
    }

    /// Charges an address one request for what needs no login.
    pub(crate) fn charge_public_request(
        &self,
        address: &ClientAddress,
    ) -> Result<Option<RateLimitStatus>, AdmissionError> {
        match self.limiter.charge_public_request(PublicRoute::Other, address) {
            Some(room) if room.retry_after_s.is_some() => Err(AdmissionError::RateLimited(room)),
            room => Ok(room),
        }
    }

    /// Where a request comes from.
    pub(crate) fn client_address(&self, headers: &HeaderMap, connected: Option<SocketAddr>) -> ClientAddress {
        ClientAddress::from_request(headers, connected, self.limiter.trusts_forwarded())
    }

    /// What charges a request of somebody's for more than the one that it is counted with.
    pub(crate) fn start_meter(
        &self,
        identity: &Principal,
        address: &ClientAddress,
        room: Option<RateLimitStatus>,
    ) -> RequestMeter {
        RequestMeter {
            gate: self.clone(),
            subject: identity.rate_limit_subject.clone(),
            address: address.clone(),
            status: Arc::new(Mutex::new(room)),
        }
    }
}

/// Charges one request with what it costs, as soon as that is known; handlers find it in the request. Its answer tells the
/// room that is left.
#[derive(Clone)]
pub(crate) struct RequestMeter {
    gate: RequestGate,
    subject: RateLimitSubject,
    address: ClientAddress,
    status: Arc<Mutex<Option<RateLimitStatus>>>,
}

impl RequestMeter {
    /// Charges so many requests more. Nothing may be done for the request where that is refused.
    pub(crate) async fn charge(&self, cost: u32) -> Result<(), AdmissionError> {
        if cost == 0 {
            return Ok(());
        }
        let room = self.gate.charge(&self.subject, &self.address, cost).await?;
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = room;
        Ok(())
    }

    /// [`Self::charge_at`] for a batch of that many events.
    pub(crate) async fn charge_events(&self, events: usize) -> Result<(), AdmissionError> {
        self.charge(self.gate.limiter.cost_of_events(events)).await
    }

    /// [`Self::charge_at`] for a document of that complexity.
    pub(crate) async fn charge_document(&self, complexity: usize) -> Result<(), AdmissionError> {
        self.charge(self.gate.limiter.cost_of_document(complexity)).await
    }

    /// How the caller stands now.
    pub(crate) fn rate_limit_status(&self) -> Option<RateLimitStatus> {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names the operation that a request is part of; one is made where none is named.
pub(super) const CORRELATION_ID_HEADER: HeaderName = HeaderName::from_static("x-correlation-id");

/// Names the event that a request answers.
pub(super) const CAUSATION_ID_HEADER: HeaderName = HeaderName::from_static("x-causation-id");

/// Why a request is part of what it says it is part of.
///
/// # Errors
/// The name of the header that has no UUID.
pub(crate) fn read_correlation(headers: &HeaderMap, identity: &mut Principal) -> Result<(), HeaderName> {
    let named = |name: &HeaderName| match headers.get(name) {
        None => Ok(None),
        Some(value) => value.to_str().ok().and_then(|id| Uuid::parse_str(id).ok()).map(Some).ok_or(name.clone()),
    };
    let caller = &mut identity.sender.caller;
    if let Some(correlation) = named(&CORRELATION_ID_HEADER)? {
        caller.correlation_id = correlation;
    }
    caller.causation_id = named(&CAUSATION_ID_HEADER)?;
    Ok(())
}

/// What the headers of a request show.
pub(crate) fn credentials(headers: &HeaderMap) -> Credentials {
    let text =
        |name: &HeaderName| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Credentials { authorization: text(&header::AUTHORIZATION), tenant: text(&TENANT_HEADER) }
}

/// Lets in whoever is somebody, or nobody, and has not asked too often; handlers find the [`Principal`] in the request.
pub(super) async fn admit_request(State(door): State<RequestGate>, mut request: Request, next: Next) -> Response {
    let address = door.client_address(request.headers(), peer_address(&request));
    let is_graphql = request.uri().path() == "/graphql";
    let (mut identity, room) = match door.admit(&credentials(request.headers()), &address).await {
        Ok(admitted) => admitted,
        Err(refusal) => return admission_error_response(&refusal, is_graphql),
    };
    if let Err(header) = read_correlation(request.headers(), &mut identity) {
        return error_response(
            StatusCode::BAD_REQUEST,
            "INVALID_INPUT",
            format!("the header {header} has to be a UUID"),
            is_graphql,
        );
    }
    let correlation = identity.sender.caller.correlation_id.to_string();
    let meter = door.start_meter(&identity, &address, room);
    request.extensions_mut().insert(identity);
    request.extensions_mut().insert(address);
    request.extensions_mut().insert(meter.clone());
    let mut answer = next.run(request).await;
    // A refusal tells the room itself.
    if let Some(room) = meter.rate_limit_status().filter(|_| !answer.headers().contains_key(header::RETRY_AFTER)) {
        room.write_headers(answer.headers_mut());
    }
    if let Ok(correlation) = HeaderValue::from_str(&correlation) {
        answer.headers_mut().insert(CORRELATION_ID_HEADER, correlation);
    }
    answer
}

/// Lets in whoever has not asked too often, for what needs no login: pages, figures, and paths that there are not.
pub(crate) async fn admit_public_request(State(limiter): State<RateLimiter>, request: Request, next: Next) -> Response {
    let address = ClientAddress::from_request(request.headers(), peer_address(&request), limiter.trusts_forwarded());
    let page = if request.uri().path() == "/health" { PublicRoute::Health } else { PublicRoute::Other };
    match limiter.charge_public_request(page, &address) {
        Some(room) if room.retry_after_s.is_some() => {
            admission_error_response(&AdmissionError::RateLimited(room), false)
        }
        room => {
            let mut answer = next.run(request).await;
            if let Some(room) = room {
                room.write_headers(answer.headers_mut());
            }
            answer
        }
    }
}

/// The socket that a request came from.
pub(crate) fn peer_address(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(at)| *at)
}

/// What is wrong, in the form that clients of that address read.
fn error_response(status: StatusCode, code: &'static str, reason: String, is_graphql: bool) -> Response {
    if is_graphql {
        (status, Json(graphql::error_response(reason, code))).into_response()
    } else {
        Problem::new(status, code, reason).into_response()
    }
}

/// The refusal in the form that clients of that address read.
pub(crate) fn admission_error_response(refusal: &AdmissionError, is_graphql: bool) -> Response {
    let (status, code) = match refusal {
        AdmissionError::RateLimited(_) => (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"),
        AdmissionError::TooManySockets(_) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        AdmissionError::Unauthenticated(AuthenticationError::Unavailable(cause)) => {
            tracing::error!(error = &**cause as &dyn std::error::Error, "nobody can be recognised");
            (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE")
        }
        AdmissionError::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
    };
    let mut answer = error_response(status, code, refusal.to_string(), is_graphql);
    match refusal {
        AdmissionError::RateLimited(room) => room.write_headers(answer.headers_mut()),
        AdmissionError::Unauthenticated(_) if status == StatusCode::UNAUTHORIZED => {
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        AdmissionError::Unauthenticated(_) | AdmissionError::TooManySockets(_) => {}
    }
    answer
}
