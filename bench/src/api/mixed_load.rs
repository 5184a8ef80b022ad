//! Requests of all kinds at a steady rate.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::time::sleep;

use super::{
    ApiBenchFixture, MAX_IN_FLIGHT, SEARCH_DOCUMENT, VIEW_DOCUMENT, create_resource,
    request_load::{RequestLoad, TargetService},
    send_views,
};

/// How long the read models may take to show the first opportunities.
const FIRST_PAGE_TIMEOUT: Duration = Duration::from_mins(2);
const FIRST_PAGE_PAUSE: Duration = Duration::from_millis(500);

/// Views in a request of visitors.
const VIEWS_PER_REQUEST: u64 = 10;

const LIST_DOCUMENT: &str = "{ opportunities(first: 20) { edges { node { id } } } }";

/// Of eight requests: three views, two lists, one search, one change, one request of visitors.
const TURNS: u64 = 8;

/// Sends requests of all kinds.
pub(crate) struct MixedLoad {
    target: TargetService,
    fixture: ApiBenchFixture,
    /// Number of the next request: each creates a new resource or session.
    next: Arc<AtomicU64>,
}

impl MixedLoad {
    /// Creates a tenant, and waits until the service shows opportunities.
    ///
    /// # Errors
    /// When it shows none in time, or does not answer.
    pub(crate) async fn prepare(base_url: &str, operator_token: &str) -> anyhow::Result<Self> {
        let target = TargetService::new(base_url);
        let deadline = tokio::time::Instant::now() + FIRST_PAGE_TIMEOUT;
        loop {
            match ApiBenchFixture::prepare(&target, operator_token).await {
                Ok(fixture) => return Ok(Self { target, fixture, next: Arc::default() }),
                Err(error) if tokio::time::Instant::now() >= deadline => return Err(error),
                Err(_early) => sleep(FIRST_PAGE_PAUSE).await,
            }
        }
    }

    /// Sends `rate` requests per second for `duration`. A request that is refused or not answered in time is counted: on a
    /// busy machine some are.
    ///
    /// # Errors
    /// When none is answered.
    pub(crate) async fn send_requests(&self, rate: u32, duration: Duration) -> anyhow::Result<SentRequests> {
        let requests = u64::from(rate) * duration.as_secs();
        let load = RequestLoad { requests, in_flight: MAX_IN_FLIGHT, rate: Some(rate) };
        let (fixture, next) = (self.fixture.clone(), Arc::clone(&self.next));
        let last_error = Arc::new(Mutex::new(None));
        let failure = Arc::clone(&last_error);
        let send_request = move |target: TargetService, _| {
            let (fixture, number) = (fixture.clone(), next.fetch_add(1, Ordering::Relaxed));
            let failure = Arc::clone(&failure);
            async move {
                Ok(match send_request(target, &fixture, number).await {
                    Ok(_) => 1,
                    Err(error) => {
                        *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        0
                    }
                })
            }
        };
        let answered = self.target.measure_load(load, send_request).await?.events;
        let error = last_error.lock().unwrap_or_else(PoisonError::into_inner).take();
        match error {
            Some(error) if answered == 0 => Err(error.context("no request was answered")),
            _ => Ok(SentRequests { answered, failed: requests - answered }),
        }
    }
}

/// How many requests were sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SentRequests {
    pub(crate) answered: u64,
    /// Requests that were refused or not answered in time.
    pub(crate) failed: u64,
}

async fn send_request(target: TargetService, fixture: &ApiBenchFixture, number: u64) -> anyhow::Result<u64> {
    let body = match number % TURNS {
        0..3 => fixture.graphql_request(VIEW_DOCUMENT, number / TURNS),
        3 | 4 => json!({ "query": LIST_DOCUMENT }),
        5 => fixture.graphql_request(SEARCH_DOCUMENT, number / TURNS),
        6 => return create_resource(target, Arc::clone(&fixture.member_token), number).await,
        _ => return send_views(target, number, VIEWS_PER_REQUEST).await,
    };
    target.post_graphql(Some(&fixture.operator_token), &body).await.map(|_| 1)
}
