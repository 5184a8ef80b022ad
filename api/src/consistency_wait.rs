//! How queries wait for read models: for how long, and how many at once.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::HttpConfig;

/// The number of queries that may wait is the number of all queries divided by this: a waiting query occupies its
/// place, and queries of other read models need places too.
const WAITING_DIVISOR: usize = 2;

/// How long queries wait for read models that are behind their consistency tokens, and how many at once. Clones share the
/// number.
#[derive(Debug, Clone)]
pub(crate) struct ConsistencyWait {
    timeout: Duration,
    /// `None` for what holds no room.
    places: Option<Arc<Semaphore>>,
}

/// The right to wait, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct WaitingPermit<'a> {
    _place: Option<SemaphorePermit<'a>>,
}

impl ConsistencyWait {
    /// The wait of queries.
    pub(crate) fn new(config: &HttpConfig) -> Self {
        let places = (config.max_running_queries() / WAITING_DIVISOR).clamp(1, Semaphore::MAX_PERMITS);
        Self { timeout: config.consistency_wait(), places: Some(Arc::new(Semaphore::new(places))) }
    }

    /// The wait of subscriptions, which hold no room.
    pub(crate) fn for_subscriptions(&self) -> Self {
        Self { places: None, ..self.clone() }
    }

    /// Longest wait of one.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The right to wait; `None` if as many wait as may.
    pub(crate) fn take_place(&self) -> Option<WaitingPermit<'_>> {
        let Some(places) = &self.places else { return Some(WaitingPermit { _place: None }) };
        places.try_acquire().ok().map(|place| WaitingPermit { _place: Some(place) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_queries_wait_and_subscriptions_are_not_counted() {
        for (max_running_requests, places) in [(0, 1), (1, 1), (4, 1), (8, 3), (256, 96)] {
            let wait = ConsistencyWait::new(&HttpConfig { max_running_requests, ..HttpConfig::default() });
            let mut held = vec![];
            while let Some(permit) = wait.take_place() {
                held.push(permit);
            }
            assert_eq!(held.len(), places, "{max_running_requests}");
            let subscription = wait.for_subscriptions();
            assert!(subscription.take_place().is_some() && wait.take_place().is_none());
            held.pop();
            assert!(wait.take_place().is_some());
        }
    }
}
