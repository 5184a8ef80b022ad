//! Limits the memory that bodies of all requests in progress take together.
//!
//! A body may be long, and there may be many connections: without a common limit, clients that send much and slowly
//! would exhaust the memory. Memory is reserved for the bytes that have arrived, so that declaring a long body
//! reserves nothing; short bodies are not counted. When the memory is used up, long bodies are refused with 503 until
//! other requests end.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    observed_body::{FrameObserver, ObservedBody},
    problem::Problem,
};

/// Bodies up to this length are not counted, in bytes.
const UNCOUNTED_BYTES: usize = 64 * 1024;

/// Unit of reservations, in bytes.
const PERMIT_BYTES: usize = 1024;

/// Seconds until a refused client may retry.
const RETRY_AFTER_S: u64 = 1;

/// Memory for the bodies of all requests. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct BodyMemory(Arc<Semaphore>);

/// The share of one request, released on drop. Clones refer to the same request.
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

/// The memory for bodies is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the memory for request bodies is used up, try again")]
pub(crate) struct BodyMemoryExhausted;

impl BodyMemory {
    /// Creates a memory of `bytes` bytes, rounded down to KiB.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / PERMIT_BYTES).min(Semaphore::MAX_PERMITS))))
    }

    fn open_share(&self) -> BodyShare {
        BodyShare { memory: Arc::clone(&self.0), usage: Arc::default() }
    }
}

impl BodyShare {
    /// Reserves memory for more bytes.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<(), BodyMemoryExhausted> {
        let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        usage.bytes = usage.bytes.saturating_add(bytes);
        let reserved = usage.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = usage.bytes.saturating_sub(UNCOUNTED_BYTES).div_ceil(PERMIT_BYTES).saturating_sub(reserved);
        if missing == 0 {
            return Ok(());
        }
        let additional = u32::try_from(missing)
            .ok()
            .and_then(|missing| Arc::clone(&self.memory).try_acquire_many_owned(missing).ok());
        match (additional, &mut usage.permit) {
            (None, _) => {
                usage.is_refused = true;
                return Err(BodyMemoryExhausted);
            }
            (Some(additional), Some(permit)) => permit.merge(additional),
            (Some(additional), none) => *none = Some(additional),
        }
        Ok(())
    }

    fn is_refused(&self) -> bool {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner).is_refused
    }
}

/// Meters the body of a request; layers inside find its [`BodyShare`] in the request's extensions.
pub(crate) async fn limit_body_memory(State(memory): State<BodyMemory>, request: Request, next: Next) -> Response {
    let share = memory.open_share();
    let mut request = request.map(|body| Body::new(ObservedBody::new(body, share.clone())));
    request.extensions_mut().insert(share.clone());
    let response = next.run(request).await;
    if !share.is_refused() {
        return response;
    }
    let mut response =
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", BodyMemoryExhausted.to_string()).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    response
}

/// Reserves memory for a body as it arrives.
impl FrameObserver for BodyShare {
    fn observe_frame(&mut self, frame: &Frame<Bytes>) -> Result<(), axum::Error> {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        self.reserve(bytes).map_err(axum::Error::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_bodies_share_the_memory_and_short_ones_reserve_nothing() {
        let memory = BodyMemory::new(100 * PERMIT_BYTES);
        let (one, other, short) = (memory.open_share(), memory.open_share(), memory.open_share());
        one.reserve(UNCOUNTED_BYTES).unwrap();
        one.reserve(90 * PERMIT_BYTES).unwrap();
        assert_eq!(other.reserve(UNCOUNTED_BYTES + 11 * PERMIT_BYTES), Err(BodyMemoryExhausted));
        assert!(other.is_refused() && !one.is_refused());
        short.reserve(UNCOUNTED_BYTES).unwrap();
        drop(one);
        memory.open_share().reserve(UNCOUNTED_BYTES + 100 * PERMIT_BYTES).unwrap();
        assert_eq!(memory.0.available_permits(), 100, "all memory is released");
    }
}
