//! The one way in: who asks is found out and counted before anything else is done, whatever is asked.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use super::{
    limiter::{Asked, Limiter, Room},
    problem::Problem,
};
use crate::{
    graphql,
    identity::{Authenticator, Counted, Credentials, Identity, Unauthenticated},
};

/// Names the tenant that a member of several companies acts for.
pub(super) const TENANT: HeaderName = HeaderName::from_static("x-medhub-tenant");

/// Finds out who asks, and counts them. Cheap to clone, since every request does.
#[derive(Clone)]
pub(crate) struct Door {
    authenticator: Arc<Authenticator>,
    limiter: Arc<Limiter>,
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// What they show does not tell who they are.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// They asked too often.
    #[error("too many requests, try again in {} s", .0.retry_after_s.unwrap_or(1))]
    TooMany(Room),
}

/// The address of a client, as far as limits go by it.
#[derive(Debug, Clone)]
pub(crate) struct Address(pub(crate) String);

impl Door {
    pub(crate) fn new(authenticator: Authenticator, limiter: Limiter) -> Self {
        Self { authenticator: Arc::new(authenticator), limiter: Arc::new(limiter) }
    }

    /// One that asks nobody and counts nothing.
    #[cfg(test)]
    pub(crate) fn open() -> Self {
        use projections::views::ViewsConfig;

        use crate::config::{AdminConfig, AuthConfig};

        let pool = eventstore::postgres::open(&eventstore::postgres::PostgresConfig::default()).unwrap();
        let store = eventstore::store::PgStore::new(pool, &eventstore::postgres::PostgresConfig::default());
        let authenticator =
            Authenticator::new(&AuthConfig::default(), &AdminConfig::default(), store, &ViewsConfig::default())
                .unwrap();
        Self::new(authenticator, Limiter::none())
    }

    /// Who shows that. Tokens that turn out to be none are counted, so that nobody tries them one after the other.
    pub(crate) async fn identify(&self, shown: &Credentials, address: &Address) -> Result<Identity, Refusal> {
        match self.authenticator.identify(shown).await {
            Ok(identity) => Ok(identity),
            Err(refusal @ Unauthenticated::Unavailable(_)) => Err(refusal.into()),
            Err(refusal) => {
                let room = self.limiter.count(Asked::RefusedToken, &Counted::Address, &address.0).await;
                match room {
                    Some(room) if room.retry_after_s.is_some() => Err(Refusal::TooMany(room)),
                    Some(_) | None => Err(refusal.into()),
                }
            }
        }
    }

    /// Somebody who was identified before, for another request, with what they may now.
    pub(crate) async fn again(&self, known: &Identity) -> Result<Identity, Unauthenticated> {
        let mut identity = known.again();
        identity.sender.authority = self.authenticator.authority_now(known).await?;
        Ok(identity)
    }

    /// Counts one request of theirs.
    pub(crate) async fn count(&self, identity: &Identity, address: &Address) -> Result<Option<Room>, Refusal> {
        match self.limiter.count(Asked::Request, &identity.counted, &address.0).await {
            Some(room) if room.retry_after_s.is_some() => Err(Refusal::TooMany(room)),
            room => Ok(room),
        }
    }

    /// Where a request comes from.
    pub(crate) fn address(&self, headers: &HeaderMap, connected: Option<SocketAddr>) -> Address {
        let forwarded = headers.get("x-forwarded-for").filter(|_| self.limiter.trusts_forwarded());
        // The proxy adds the address that it sees at the end; what stands before is what the client says.
        let told = forwarded.and_then(|list| list.to_str().ok()?.rsplit(',').next().map(|last| last.trim().to_owned()));
        Address(told.unwrap_or_else(|| connected.map_or_else(|| "unknown".to_owned(), |at| at.ip().to_string())))
    }
}

/// Names the operation that a request is part of; one is made where none is named.
pub(super) const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");

/// Names the event that a request answers.
pub(super) const CAUSATION: HeaderName = HeaderName::from_static("x-causation-id");

/// Why a request is part of what it says it is part of.
///
/// # Errors
/// The name of the header that has no UUID.
pub(crate) fn origin(headers: &HeaderMap, identity: &mut Identity) -> Result<(), HeaderName> {
    let named = |name: &HeaderName| match headers.get(name) {
        None => Ok(None),
        Some(value) => value.to_str().ok().and_then(|id| Uuid::parse_str(id).ok()).map(Some).ok_or(name.clone()),
    };
    let caller = &mut identity.sender.caller;
    if let Some(correlation) = named(&CORRELATION)? {
        caller.correlation_id = correlation;
    }
    caller.causation_id = named(&CAUSATION)?;
    Ok(())
}

/// What the headers of a request show.
pub(crate) fn shown(headers: &HeaderMap) -> Credentials {
    let text =
        |name: &HeaderName| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Credentials { authorization: text(&header::AUTHORIZATION), tenant: text(&TENANT) }
}

/// Lets in whoever is somebody, or nobody, and has not asked too often; handlers find the [`Identity`] in the request.
pub(super) async fn guard(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let connected = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(at)| *at);
    let address = door.address(request.headers(), connected);
    let is_graphql = request.uri().path() == "/graphql";
    let mut identity = match door.identify(&shown(request.headers()), &address).await {
        Ok(identity) => identity,
        Err(refusal) => return refused(&refusal, is_graphql),
    };
    if let Err(header) = origin(request.headers(), &mut identity) {
        return told(
            StatusCode::BAD_REQUEST,
            "INVALID_INPUT",
            format!("the header {header} has to be a UUID"),
            is_graphql,
        );
    }
    let room = match door.count(&identity, &address).await {
        Ok(room) => room,
        Err(refusal) => return refused(&refusal, is_graphql),
    };
    let correlation = identity.sender.caller.correlation_id.to_string();
    request.extensions_mut().insert(identity);
    request.extensions_mut().insert(address);
    let mut answer = next.run(request).await;
    if let Some(room) = room {
        room.tell(answer.headers_mut());
    }
    if let Ok(correlation) = HeaderValue::from_str(&correlation) {
        answer.headers_mut().insert(CORRELATION, correlation);
    }
    answer
}

/// What is wrong, in the form that clients of that address read.
fn told(status: StatusCode, code: &'static str, reason: String, is_graphql: bool) -> Response {
    if is_graphql {
        (status, Json(graphql::refused_with(reason, code))).into_response()
    } else {
        Problem::new(status, code, reason).into_response()
    }
}

/// The refusal in the form that clients of that address read.
pub(super) fn refused(refusal: &Refusal, is_graphql: bool) -> Response {
    let (status, code) = match refusal {
        Refusal::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"),
        Refusal::Unauthenticated(Unauthenticated::Unavailable(cause)) => {
            tracing::error!(error = &**cause as &dyn std::error::Error, "nobody can be recognised");
            (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE")
        }
        Refusal::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
    };
    let mut answer = told(status, code, refusal.to_string(), is_graphql);
    match refusal {
        Refusal::TooMany(room) => room.tell(answer.headers_mut()),
        Refusal::Unauthenticated(_) if status == StatusCode::UNAUTHORIZED => {
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        Refusal::Unauthenticated(_) => {}
    }
    answer
}
