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

pub(crate) use super::address::Address;
use super::{
    limiter::{Limiter, Page, Room},
    problem::Problem,
    socket::places::NoPlace,
};
use crate::{
    graphql,
    identity::{Authenticator, Counted, Credentials, Identity, RecognisedCaller, Unauthenticated},
};

/// Names the tenant that a member of several companies acts for.
pub(super) const TENANT: HeaderName = HeaderName::from_static("x-medhub-tenant");

/// Finds out who asks, and counts them. Cheap to clone, since every request does.
#[derive(Clone)]
pub(crate) struct Door {
    authenticator: Arc<Authenticator>,
    limiter: Limiter,
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
    /// They have as many `WebSocket`s open as they may.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
}

impl Door {
    pub(crate) fn new(authenticator: Authenticator, limiter: Limiter) -> Self {
        Self { authenticator: Arc::new(authenticator), limiter }
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

    /// Who shows that, counted with one request before anything is looked up for them.
    ///
    /// Tokens that turn out to be none are counted by address, so that nobody tries them one after the other. A key that
    /// was not seen to be good is charged to its address first and given back if it is good: guesses cost no query each.
    pub(crate) async fn admit(
        &self,
        shown: &Credentials,
        address: &Address,
    ) -> Result<(Identity, Option<Room>), Refusal> {
        let recognised = match self.authenticator.recognise(shown).await {
            Ok(recognised) => recognised,
            Err(refusal) => return Err(self.count_refused(refusal, address).await),
        };
        let Some(counted) = recognised.counted() else { return self.admit_unknown_key(recognised, address).await };
        let room = self.charge(&counted, address, 1).await?;
        match self.authenticator.look_up(recognised).await {
            Ok(identity) => Ok((identity, room)),
            Err(refusal) => Err(self.count_refused(refusal, address).await),
        }
    }

    /// [`Self::admit`] for one who says who they are behind the beginning of a connection.
    pub(crate) async fn identify(&self, shown: &Credentials, address: &Address) -> Result<Identity, Refusal> {
        self.admit(shown, address).await.map(|(identity, _)| identity)
    }

    async fn admit_unknown_key(
        &self,
        key: RecognisedCaller,
        address: &Address,
    ) -> Result<(Identity, Option<Room>), Refusal> {
        let room = self.limiter.charge_refused_token(address).await;
        if let Some(room) = room.filter(|room| room.retry_after_s.is_some()) {
            return Err(Refusal::TooMany(room));
        }
        // While the log is away nothing is given back, so that nobody makes it busier than it is.
        let identity = self.authenticator.look_up(key).await?;
        self.limiter.give_back_refused_token(address).await;
        let room = self.charge(&identity.counted, address, 1).await?;
        Ok((identity, room))
    }

    async fn count_refused(&self, refusal: Unauthenticated, address: &Address) -> Refusal {
        if matches!(refusal, Unauthenticated::Unavailable(_)) {
            return refusal.into();
        }
        match self.limiter.charge_refused_token(address).await {
            Some(room) if room.retry_after_s.is_some() => Refusal::TooMany(room),
            Some(_) | None => refusal.into(),
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
        self.charge(&identity.counted, address, 1).await
    }

    /// Charges somebody a document of that complexity, beside the request that it came with.
    pub(crate) async fn charge_document(
        &self,
        identity: &Identity,
        address: &Address,
        complexity: usize,
    ) -> Result<Option<Room>, Refusal> {
        match self.limiter.cost_of_document(complexity) {
            0 => Ok(None),
            cost => self.charge(&identity.counted, address, cost).await,
        }
    }

    /// Charges somebody what they ask, in requests; answers how they stand, `None` where nothing is counted.
    pub(crate) async fn charge(
        &self,
        counted: &Counted,
        address: &Address,
        cost: u32,
    ) -> Result<Option<Room>, Refusal> {
        match self.limiter.charge(counted, address, cost).await {
            Some(room) if room.retry_after_s.is_some() => Err(Refusal::TooMany(room)),
            room => Ok(room),
        }
    }

    /// Charges an address one request for what needs no login.
    pub(crate) fn charge_page(&self, address: &Address) -> Result<Option<Room>, Refusal> {
        match self.limiter.charge_page(Page::Other, address) {
            Some(room) if room.retry_after_s.is_some() => Err(Refusal::TooMany(room)),
            room => Ok(room),
        }
    }

    /// Where a request comes from.
    pub(crate) fn address(&self, headers: &HeaderMap, connected: Option<SocketAddr>) -> Address {
        Address::of_request(headers, connected, self.limiter.trusts_forwarded())
    }

    /// What charges a request of somebody's for more than the one that it is counted with.
    pub(crate) fn meter(&self, identity: &Identity, address: &Address, room: Option<Room>) -> Meter {
        Meter {
            door: self.clone(),
            counted: identity.counted.clone(),
            address: address.clone(),
            room: Arc::new(Mutex::new(room)),
        }
    }
}

/// Charges one request with what it costs, as soon as that is known; handlers find it in the request. Its answer tells the
/// room that is left.
#[derive(Clone)]
pub(crate) struct Meter {
    door: Door,
    counted: Counted,
    address: Address,
    room: Arc<Mutex<Option<Room>>>,
}

impl Meter {
    /// Charges so many requests more. Nothing may be done for the request where that is refused.
    pub(crate) async fn charge(&self, cost: u32) -> Result<(), Refusal> {
        if cost == 0 {
            return Ok(());
        }
        let room = self.door.charge(&self.counted, &self.address, cost).await?;
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = room;
        Ok(())
    }

    /// [`Self::charge`] for a batch of that many events.
    pub(crate) async fn charge_events(&self, events: usize) -> Result<(), Refusal> {
        self.charge(self.door.limiter.cost_of_events(events)).await
    }

    /// [`Self::charge`] for a document of that complexity.
    pub(crate) async fn charge_document(&self, complexity: usize) -> Result<(), Refusal> {
        self.charge(self.door.limiter.cost_of_document(complexity)).await
    }

    /// How the caller stands now.
    pub(crate) fn room(&self) -> Option<Room> {
        *self.room.lock().unwrap_or_else(PoisonError::into_inner)
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
    let address = door.address(request.headers(), connected(&request));
    let is_graphql = request.uri().path() == "/graphql";
    let (mut identity, room) = match door.admit(&shown(request.headers()), &address).await {
        Ok(admitted) => admitted,
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
    let correlation = identity.sender.caller.correlation_id.to_string();
    let meter = door.meter(&identity, &address, room);
    request.extensions_mut().insert(identity);
    request.extensions_mut().insert(address);
    request.extensions_mut().insert(meter.clone());
    let mut answer = next.run(request).await;
    // A refusal tells the room itself.
    if let Some(room) = meter.room().filter(|_| !answer.headers().contains_key(header::RETRY_AFTER)) {
        room.tell(answer.headers_mut());
    }
    if let Ok(correlation) = HeaderValue::from_str(&correlation) {
        answer.headers_mut().insert(CORRELATION, correlation);
    }
    answer
}

/// Lets in whoever has not asked too often, for what needs no login: pages, figures, and paths that there are not.
pub(crate) async fn guard_pages(State(limiter): State<Limiter>, request: Request, next: Next) -> Response {
    let address = Address::of_request(request.headers(), connected(&request), limiter.trusts_forwarded());
    let page = if request.uri().path() == "/health" { Page::Health } else { Page::Other };
    match limiter.charge_page(page, &address) {
        Some(room) if room.retry_after_s.is_some() => refused(&Refusal::TooMany(room), false),
        room => {
            let mut answer = next.run(request).await;
            if let Some(room) = room {
                room.tell(answer.headers_mut());
            }
            answer
        }
    }
}

/// The socket that a request came from.
pub(crate) fn connected(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(at)| *at)
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
pub(crate) fn refused(refusal: &Refusal, is_graphql: bool) -> Response {
    let (status, code) = match refusal {
        Refusal::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"),
        Refusal::NoPlace(_) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
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
        Refusal::Unauthenticated(_) | Refusal::NoPlace(_) => {}
    }
    answer
}
