//! One query for all requests that ask the same at the same time.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

/// Results that are being determined, by key. A result is the same for everybody, so it is cheap to clone.
pub(super) struct SingleFlight<K, T: Clone> {
    flights: Mutex<HashMap<K, WeakShared<BoxFuture<'static, T>>>>,
}

impl<K, T: Clone> Default for SingleFlight<K, T> {
    fn default() -> Self {
        Self { flights: Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone, T: Clone> SingleFlight<K, T> {
    /// Waits for the result of the query that runs for `key`, or starts one. The query ends early only when every
    /// request that waits for it is cancelled.
    pub(super) async fn join(&self, key: K, start: impl FnOnce() -> BoxFuture<'static, T>) -> T {
        let flight = self.find_or_start(&key, start);
        let result = flight.clone().await;
        drop(flight);
        self.remove_finished(&key);
        result
    }

    fn find_or_start(&self, key: &K, start: impl FnOnce() -> BoxFuture<'static, T>) -> Shared<BoxFuture<'static, T>> {
        let mut flights = self.lock();
        let running = flights.get(key).and_then(WeakShared::upgrade).filter(|flight| flight.peek().is_none());
        if let Some(flight) = running {
            return flight;
        }
        // Cancelled ones are left behind; they are few, because each has just been waited for.
        flights.retain(|_, flight| flight.upgrade().is_some());
        let flight = start().shared();
        flights.extend(flight.downgrade().map(|weak| (key.clone(), weak)));
        flight
    }

    fn remove_finished(&self, key: &K) {
        let mut flights = self.lock();
        let is_running = |flight: &WeakShared<_>| flight.upgrade().is_some_and(|flight| flight.peek().is_none());
        if flights.get(key).is_some_and(|flight| !is_running(flight)) {
            flights.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, WeakShared<BoxFuture<'static, T>>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use futures::{future::join_all, poll};
    use tokio::sync::Notify;

    use super::*;

    /// A query that ends when the gate opens, and counts how many have ended.
    fn counted(runs: &Arc<AtomicU32>, gate: &Arc<Notify>) -> impl FnOnce() -> BoxFuture<'static, u32> + use<> {
        let (runs, gate) = (Arc::clone(runs), Arc::clone(gate));
        move || {
            async move {
                gate.notified().await;
                runs.fetch_add(1, Ordering::SeqCst) + 1
            }
            .boxed()
        }
    }

    #[tokio::test]
    async fn those_who_ask_at_the_same_time_share_one_query_and_later_ones_start_another() {
        let (flights, runs, gate) = (SingleFlight::default(), Arc::<AtomicU32>::default(), Arc::<Notify>::default());
        let mut all = Box::pin(join_all((0..64).map(|_| flights.join("page", counted(&runs, &gate)))));
        assert!(poll!(&mut all).is_pending());
        gate.notify_one();
        assert_eq!(all.await, [1; 64]);
        for (key, number) in [("page", 2), ("other", 3)] {
            gate.notify_one();
            assert_eq!(flights.join(key, counted(&runs, &gate)).await, number);
        }
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_cancelled_request_does_not_end_the_query_of_others() {
        let (flights, runs, gate) = (SingleFlight::default(), Arc::<AtomicU32>::default(), Arc::<Notify>::default());
        let mut first = Box::pin(flights.join("page", counted(&runs, &gate)));
        let mut second = Box::pin(flights.join("page", counted(&runs, &gate)));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        drop(first);
        gate.notify_one();
        assert_eq!(second.await, 1);

        let mut abandoned = Box::pin(flights.join("page", || std::future::pending().boxed()));
        assert!(poll!(&mut abandoned).is_pending());
        drop(abandoned);
        gate.notify_one();
        assert_eq!(flights.join("page", counted(&runs, &gate)).await, 2, "an abandoned query is not joined");
    }
}
