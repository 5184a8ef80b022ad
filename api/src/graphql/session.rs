//! Documents that come over a WebSocket: many at a time, and some that go on.

use std::{sync::Arc, time::Duration};

use async_graphql::{Request, Response, parser::types::OperationType};
use chrono::{DateTime, Utc};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::Semaphore;

use super::{GraphQl, error_response, invalid_query_response, timeout_response};
use crate::{
    auth::Principal,
    http::{
        SocketPermit,
        request_gate::{ClientAddress, RequestGate},
    },
};

/// Documents that one connection may have under way.
pub(super) const MAX_CONCURRENT_DOCUMENTS: usize = 64;

/// One connection that was begun.
#[derive(Clone)]
pub(crate) struct GraphQlSession {
    identity: Principal,
    request_gate: RequestGate,
    address: ClientAddress,
    /// The place of the connection, which is not given to others while a document is under way.
    socket_slot: SocketPermit,
    document_permits: Arc<Semaphore>,
    /// How long a document may run that does not go on.
    time_limit: Duration,
}

impl GraphQlSession {
    /// The connection of somebody, by what they said at its beginning.
    pub(crate) fn new(
        identity: Principal,
        door: RequestGate,
        address: ClientAddress,
        place: SocketPermit,
        time_limit: Duration,
    ) -> Self {
        Self {
            identity,
            request_gate: door,
            address,
            socket_slot: place,
            document_permits: Arc::new(Semaphore::new(MAX_CONCURRENT_DOCUMENTS)),
            time_limit,
        }
    }

    /// Until when what was shown counts; `None` where nothing ends it.
    pub(crate) fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.identity.expires_at
    }

    /// The same connection goes on with a fresh token, if it is of the same person or key for the same company. Whether
    /// it is.
    pub(crate) fn renew_identity(&mut self, identity: Principal) -> bool {
        let is_same = identity.user() == self.identity.user() && identity.tenant() == self.identity.tenant();
        if is_same {
            self.identity = identity;
        }
        is_same
    }

    /// Runs one document: an answer, or many where it is a subscription. Nothing happens until the stream is polled, and
    /// nothing goes on when it is dropped.
    pub(crate) fn run_document(&self, graphql: &GraphQl, request: Request) -> BoxStream<'static, Response> {
        let answer = |response: Response| stream::once(std::future::ready(response)).boxed();
        let Ok(place) = Arc::clone(&self.document_permits).try_acquire_owned() else {
            return answer(invalid_query_response(format!(
                "more than {MAX_CONCURRENT_DOCUMENTS} documents are under way on this connection"
            )));
        };
        let busy = self.socket_slot.mark_busy();
        let (session, graphql) = (self.clone(), graphql.clone());
        let begin = async move {
            // Documents count as requests do, whatever way they come.
            if let Err(refusal) = session.request_gate.charge_request(&session.identity, &session.address).await {
                return answer(error_response(refusal.to_string(), "RATE_LIMITED"));
            }
            let document = match graphql.prepare(request) {
                Ok(document) => document,
                Err(refusal) => return answer(*refusal),
            };
            let cost = document.cost().complexity;
            if let Err(refusal) = session.request_gate.charge_document(&session.identity, &session.address, cost).await
            {
                return answer(error_response(refusal.to_string(), "RATE_LIMITED"));
            }
            // What they may is asked for each document: the connection may be older than their role.
            let identity = match session.request_gate.reauthenticate(&session.identity).await {
                Ok(identity) => identity,
                Err(away) => return answer(error_response(away.to_string(), "UNAVAILABLE")),
            };
            if document.kind() == OperationType::Subscription {
                return graphql.run_stream(document, &identity);
            }
            let answered = tokio::time::timeout(session.time_limit, graphql.run(document, &identity)).await;
            answer(answered.unwrap_or_else(|_elapsed| timeout_response()))
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
