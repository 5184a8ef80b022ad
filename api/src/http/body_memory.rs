//! The memory that bodies of requests take: so much for all that are under way together.
//!
//! A body may be long, and there may be many connections: without a bound for all of them, those who send much and slowly
//! would fill the memory. Bodies take of it what has come of them, so that nobody takes anything by announcing it; short
//! ones take nothing. Where it is used up, long bodies are refused with 503 until others are done.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// Bodies up to this long take nothing, in bytes.
const UNCOUNTED_BYTES: usize = 64 * 1024;

/// What is taken at a time, in bytes.
const PERMIT_BYTES: usize = 1024;

/// When somebody may come back whose body was refused, in seconds.
const RETRY_AFTER_S: u64 = 1;

/// The memory for the bodies of all requests. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct BodyMemory(Arc<Semaphore>);

/// What one request takes of it, until it is dropped. Clones are of the same request.
#[derive(Debug, Clone)]
pub(crate) struct BodyShare {
    memory: Arc<Semaphore>,
    usage: Arc<Mutex<MemoryUse>>,
}

#[derive(Debug, Default)]
struct MemoryUse {
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
    is_refused: bool,
}

/// There is no more memory for bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more is sent than can be taken in now, try again")]
pub(crate) struct BodyMemoryExhausted;

impl BodyMemory {
    /// So many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / PERMIT_BYTES).min(Semaphore::MAX_PERMITS))))
    }

    fn open_share(&self) -> BodyShare {
        BodyShare { memory: Arc::clone(&self.0), usage: Arc::default() }
    }
}

impl BodyShare {
    /// Takes memory for so many bytes more.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<(), BodyMemoryExhausted> {
        let mut taken = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        taken.bytes = taken.bytes.saturating_add(bytes);
        let has = taken.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let needs = taken.bytes.saturating_sub(UNCOUNTED_BYTES).div_ceil(PERMIT_BYTES).saturating_sub(has);
        if needs == 0 {
            return Ok(());
        }
        let more =
            u32::try_from(needs).ok().and_then(|needs| Arc::clone(&self.memory).try_acquire_many_owned(needs).ok());
        match (more, &mut taken.permit) {
            (None, _) => {
                taken.is_refused = true;
                return Err(BodyMemoryExhausted);
            }
            (Some(more), Some(permit)) => permit.merge(more),
            (Some(more), none) => *none = Some(more),
        }
        Ok(())
    }

    fn is_refused(&self) -> bool {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner).is_refused
    }
}

/// Lets a request take memory while it is under way; layers inside find its [`BodyShare`] in it.
pub(super) async fn limit_body_memory(State(memory): State<BodyMemory>, request: Request, next: Next) -> Response {
    let share = memory.open_share();
    let mut request = request.map(|body| Body::new(MeteredBody { body, share: share.clone() }));
    request.extensions_mut().insert(share.clone());
    let answer = next.run(request).await;
    if !share.is_refused() {
        return answer;
    }
    let mut answer =
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", BodyMemoryExhausted.to_string()).into_response();
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    answer
}

/// A body that takes memory as it comes.
struct MeteredBody {
    body: Body,
    share: BodyShare,
}

impl hyper::body::Body for MeteredBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
            && let Err(none) = self.share.reserve(bytes.len())
        {
            return Poll::Ready(Some(Err(axum::Error::new(none))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_bodies_share_what_there_is_and_short_ones_take_nothing() {
        let memory = BodyMemory::new(100 * PERMIT_BYTES);
        let (one, other, short) = (memory.open_share(), memory.open_share(), memory.open_share());
        one.reserve(UNCOUNTED_BYTES).unwrap();
        one.reserve(90 * PERMIT_BYTES).unwrap();
        assert_eq!(other.reserve(UNCOUNTED_BYTES + 11 * PERMIT_BYTES), Err(BodyMemoryExhausted));
        assert!(other.is_refused() && !one.is_refused());
        short.reserve(UNCOUNTED_BYTES).unwrap();
        drop(one);
        memory.open_share().reserve(UNCOUNTED_BYTES + 100 * PERMIT_BYTES).unwrap();
        assert_eq!(memory.0.available_permits(), 100, "all of it came back");
    }
}
