//! Documents over a WebSocket: several at a time, subscriptions included.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_graphql::{Request, Response, parser::types::OperationType};
use chrono::{DateTime, Utc};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::{GraphQl, error_response, invalid_query_response, operation_metrics, queue_full_response};
use crate::{
    auth::Principal,
    http::{
        request_gate::{ClientAddress, RequestGate},
        socket_permits::SocketPermit,
    },
};

/// Maximum number of documents that one connection may execute at the same time.
pub(super) const MAX_CONCURRENT_DOCUMENTS: usize = 64;

/// An established WebSocket connection.
#[derive(Clone)]
pub(crate) struct GraphQlSession {
    identity: Principal,
    request_gate: RequestGate,
    address: ClientAddress,
    /// Permit of the connection, marked busy while a document is executed so that no other connection takes it.
    socket_slot: SocketPermit,
    document_permits: Arc<Semaphore>,
    /// Documents other than subscriptions that are not complete.
    unanswered: TaskTracker,
    /// Time limit of queries and mutations.
    time_limit: Duration,
}

impl GraphQlSession {
    /// A session of the principal that the connection's first message authenticated.
    pub(crate) fn new(
        identity: Principal,
        request_gate: RequestGate,
        address: ClientAddress,
        socket_slot: SocketPermit,
        time_limit: Duration,
    ) -> Self {
        let unanswered = TaskTracker::new();
        // Nothing waits for its end, only until it is empty at some moment.
        unanswered.close();
        Self {
            identity,
            request_gate,
            address,
            socket_slot,
            document_permits: Arc::new(Semaphore::new(MAX_CONCURRENT_DOCUMENTS)),
            unanswered,
            time_limit,
        }
    }

    /// Returns when every document except subscriptions is complete.
    pub(crate) async fn wait_until_answered(&self) {
        self.unanswered.wait().await;
    }

    /// When the credentials expire; `None` if they do not.
    pub(crate) fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.identity.expires_at
    }

    /// Replaces the principal after a token renewal. Returns whether the new one has the same user and tenant;
    /// otherwise nothing changes.
    pub(crate) fn renew_identity(&mut self, identity: Principal) -> bool {
        let is_same = identity.user() == self.identity.user() && identity.tenant() == self.identity.tenant();
        if is_same {
            self.identity = identity;
        }
        is_same
    }

    /// Executes one document: one response, or many for a subscription. Execution starts when the stream is polled, and
    /// stops when it is dropped.
    pub(crate) fn run_document(&self, graphql: &GraphQl, request: Request) -> BoxStream<'static, Response> {
        let answer = |response: Response| stream::once(std::future::ready(response)).boxed();
        let Ok(permit) = Arc::clone(&self.document_permits).try_acquire_owned() else {
            return answer(invalid_query_response(format!(
                "more than {MAX_CONCURRENT_DOCUMENTS} documents are running on this connection"
            )));
        };
        let busy = self.socket_slot.mark_busy();
        // Held until the stream ends: a client sends a document again that is answered and not complete.
        let unanswered = Arc::new(Mutex::new(Some(self.unanswered.token())));
        let unanswered_document = Arc::clone(&unanswered);
        let (session, graphql) = (self.clone(), graphql.clone());
        let begin = async move {
            // Documents over WebSocket are charged like HTTP requests.
            if let Err(refusal) = session.request_gate.charge_request(&session.identity, &session.address).await {
                return answer(error_response(refusal.to_string(), "RATE_LIMITED"));
            }
            let document = match graphql.prepare(request) {
                Ok(document) => document,
                Err(refusal) => return answer(*refusal),
            };
            let cost = document.cost().complexity;
            if let Err(refusal) =
                session.request_gate.charge_query_cost(&session.identity, &session.address, cost).await
            {
                return answer(error_response(refusal.to_string(), "RATE_LIMITED"));
            }
            // The role is checked for each document, because it may have changed since the connection was opened.
            let identity = match session.request_gate.reauthenticate(&session.identity).await {
                Ok(identity) => identity,
                Err(error) => return answer(error_response(error.to_string(), "UNAVAILABLE")),
            };
            if document.kind() == OperationType::Subscription {
                drop(unanswered_document.lock().unwrap_or_else(PoisonError::into_inner).take());
                return graphql.run_stream(document, &identity);
            }
            let (subject, waiting_since) = (&identity.rate_limit_subject, Instant::now());
            let _permit = match session.request_gate.begin_work(subject, document.priority()).await {
                Ok(permit) => permit,
                Err(full) => {
                    operation_metrics::record_shed_operation(document.kind(), waiting_since.elapsed());
                    return answer(queue_full_response(full));
                }
            };
            answer(graphql.run_within(session.time_limit, document, &identity).await)
        };
        stream::once(begin)
            .flatten()
            .map(move |answer| {
                // Holds the permits for as long as the stream lives.
                let _held = (&permit, &busy, &unanswered);
                answer
            })
            .boxed()
    }
}
