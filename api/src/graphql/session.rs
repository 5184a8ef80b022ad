//! Documents that come over a WebSocket: many at a time, and some that go on.

use std::{sync::Arc, time::Duration};

use async_graphql::{Request, Response, parser::types::OperationType};
use chrono::{DateTime, Utc};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::Semaphore;

use super::{GraphQl, refused, refused_with, timed_out};
use crate::{
    http::{
        SocketPlace,
        door::{Address, Door},
    },
    identity::Identity,
};

/// Documents that one connection may have under way.
pub(super) const MOST_AT_ONCE: usize = 64;

/// One connection that was begun.
#[derive(Clone)]
pub(crate) struct Session {
    identity: Identity,
    door: Door,
    address: Address,
    /// The place of the connection, which is not given to others while a document is under way.
    place: SocketPlace,
    places: Arc<Semaphore>,
    /// How long a document may run that does not go on.
    time_limit: Duration,
}

impl Session {
    /// The connection of somebody, by what they said at its beginning.
    pub(crate) fn new(
        identity: Identity,
        door: Door,
        address: Address,
        place: SocketPlace,
        time_limit: Duration,
    ) -> Self {
        Self { identity, door, address, place, places: Arc::new(Semaphore::new(MOST_AT_ONCE)), time_limit }
    }

    /// Until when what was shown counts; `None` where nothing ends it.
    pub(crate) fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.identity.expires_at
    }

    /// The same connection goes on with a fresh token, if it is of the same person or key for the same company. Whether
    /// it is.
    pub(crate) fn renew(&mut self, identity: Identity) -> bool {
        let is_same = identity.user() == self.identity.user() && identity.tenant() == self.identity.tenant();
        if is_same {
            self.identity = identity;
        }
        is_same
    }

    /// Runs one document: an answer, or many where it is a subscription. Nothing happens until the stream is polled, and
    /// nothing goes on when it is dropped.
    pub(crate) fn run(&self, graphql: &GraphQl, request: Request) -> BoxStream<'static, Response> {
        let answer = |response: Response| stream::once(std::future::ready(response)).boxed();
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return answer(refused(format!("more than {MOST_AT_ONCE} documents are under way on this connection")));
        };
        let busy = self.place.busy();
        let (session, graphql) = (self.clone(), graphql.clone());
        let begin = async move {
            // Documents count as requests do, whatever way they come.
            if let Err(refusal) = session.door.count(&session.identity, &session.address).await {
                return answer(refused_with(refusal.to_string(), "RATE_LIMITED"));
            }
            let document = match graphql.prepare(request) {
                Ok(document) => document,
                Err(refusal) => return answer(*refusal),
            };
            let cost = document.cost().complexity;
            if let Err(refusal) = session.door.charge_document(&session.identity, &session.address, cost).await {
                return answer(refused_with(refusal.to_string(), "RATE_LIMITED"));
            }
            // What they may is asked for each document: the connection may be older than their role.
            let identity = match session.door.again(&session.identity).await {
                Ok(identity) => identity,
                Err(away) => return answer(refused_with(away.to_string(), "UNAVAILABLE")),
            };
            if document.kind() == OperationType::Subscription {
                return graphql.run_stream(document, &identity);
            }
            let answered = tokio::time::timeout(session.time_limit, graphql.run(document, &identity)).await;
            answer(answered.unwrap_or_else(|_elapsed| timed_out()))
        };
        stream::once(begin)
            .flatten()
            .map(move |answer| {
                // Held for as long as the stream is.
                let _held = (&place, &busy);
                answer
            })
            .boxed()
    }
}
