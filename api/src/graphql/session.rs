//! Documents that come over a WebSocket: many at a time, and some that go on.

use std::{any::TypeId, sync::Arc};

use async_graphql::{Data, Executor, Request, Response};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::Semaphore;

use super::{GraphQl, error, refused, refused_with};
use crate::{
    http::door::{Address, Door},
    identity::Identity,
};

/// Documents that one connection may have under way.
pub(super) const MOST_AT_ONCE: usize = 64;

/// One connection.
#[derive(Clone)]
pub(crate) struct Session {
    identity: Identity,
    door: Door,
    address: Address,
    places: Arc<Semaphore>,
}

impl Session {
    /// The data of a connection, made when it is begun.
    pub(crate) fn data(identity: Identity, door: Door, address: Address) -> Data {
        let mut data = Data::default();
        data.insert(Self { identity, door, address, places: Arc::new(Semaphore::new(MOST_AT_ONCE)) });
        data
    }

    fn of(data: Arc<Data>) -> Option<(Arc<Data>, Self)> {
        let session = data.get(&TypeId::of::<Self>())?.downcast_ref::<Self>()?.clone();
        Some((data, session))
    }
}

impl Executor for GraphQl {
    async fn execute(&self, request: Request) -> Response {
        self.execute(request, &Identity::anonymous()).await
    }

    fn execute_stream(&self, request: Request, session_data: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let answer = |response: Response| stream::once(std::future::ready(response)).boxed();
        let Some((data, session)) = session_data.and_then(Session::of) else {
            return answer(refused("the connection was not begun"));
        };
        let Ok(place) = session.places.try_acquire_owned() else {
            return answer(refused(format!("more than {MOST_AT_ONCE} documents are under way on this connection")));
        };
        let graphql = self.clone();
        let begin = async move {
            // Documents count as requests do, whatever way they come.
            if let Err(refusal) = session.door.count(&session.identity, &session.address).await {
                return answer(refused_with(refusal.to_string(), "RATE_LIMITED"));
            }
            // What they may is asked for each document: the connection may be older than their role.
            let identity = match session.door.again(&session.identity).await {
                Ok(identity) => identity,
                Err(away) => return answer(refused_with(away.to_string(), "UNAVAILABLE")),
            };
            match graphql.admit(request, &identity) {
                Err(refusal) => answer(*refusal),
                Ok(request) => graphql.schema.execute_stream_with_session_data(request, data).boxed(),
            }
        };
        stream::once(begin)
            .flatten()
            .map(move |answer| {
                // Held for as long as the stream is.
                let _place = &place;
                error::with_codes(answer)
            })
            .boxed()
    }
}
