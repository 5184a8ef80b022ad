//! Documents that come over a WebSocket: many at a time, and some that go on.

use std::{any::TypeId, sync::Arc};

use async_graphql::{Data, Executor, Request, Response};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::Semaphore;

use super::{GraphQl, Standing, error, refused};

/// Documents that one connection may have under way.
pub(super) const MOST_AT_ONCE: usize = 64;

/// One connection.
#[derive(Clone)]
pub(crate) struct Session {
    standing: Standing,
    places: Arc<Semaphore>,
}

impl Session {
    /// The data of a connection, made when it is begun.
    pub(crate) fn data(standing: Standing) -> Data {
        let mut data = Data::default();
        data.insert(Self { standing, places: Arc::new(Semaphore::new(MOST_AT_ONCE)) });
        data.insert(standing);
        data
    }

    fn of(data: Arc<Data>) -> Option<(Arc<Data>, Self)> {
        let session = data.get(&TypeId::of::<Self>())?.downcast_ref::<Self>()?.clone();
        Some((data, session))
    }
}

impl Executor for GraphQl {
    async fn execute(&self, request: Request) -> Response {
        self.execute(request, Standing::Visitor).await
    }

    fn execute_stream(&self, request: Request, session_data: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let answer = |response| stream::once(std::future::ready(response)).boxed();
        let Some((data, session)) = session_data.and_then(Session::of) else {
            return answer(refused("the connection was not begun"));
        };
        let Ok(place) = session.places.try_acquire_owned() else {
            return answer(refused(format!("more than {MOST_AT_ONCE} documents are under way on this connection")));
        };
        match self.admit(request, session.standing) {
            Err(refusal) => answer(*refusal),
            Ok(request) => {
                let answers = self.schema.execute_stream_with_session_data(request, data);
                answers
                    .map(move |answer| {
                        // Held for as long as the stream is.
                        let _place = &place;
                        error::with_codes(answer)
                    })
                    .boxed()
            }
        }
    }
}
