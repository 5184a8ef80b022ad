//! Permits for connections: limited in total and per address.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::http::client_address::ClientAddress;

/// Issues permits. Cheap to clone; clones share the counts.
#[derive(Clone)]
pub(super) struct ConnectionPermits {
    max_connections: usize,
    max_per_address: Option<usize>,
    counts: Arc<Mutex<ConnectionCounts>>,
}

#[derive(Default)]
struct ConnectionCounts {
    total: usize,
    by_address: HashMap<ClientAddress, usize>,
}

/// The right to one connection; released on drop.
pub(super) struct ConnectionPermit {
    address: ClientAddress,
    counts: Arc<Mutex<ConnectionCounts>>,
}

impl ConnectionPermits {
    pub(super) fn new(max_connections: usize, max_per_address: Option<usize>) -> Self {
        Self { max_connections, max_per_address, counts: Arc::default() }
    }

    /// Returns a permit for a connection from this address; `None` if a limit is reached.
    pub(super) fn acquire(&self, address: &ClientAddress) -> Option<ConnectionPermit> {
        let mut counts = lock_counts(&self.counts);
        let address_count = counts.by_address.get(address).copied().unwrap_or_default();
        if counts.total >= self.max_connections || self.max_per_address.is_some_and(|max| address_count >= max) {
            return None;
        }
        counts.total += 1;
        counts.by_address.insert(address.clone(), address_count + 1);
        Some(ConnectionPermit { address: address.clone(), counts: Arc::clone(&self.counts) })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = lock_counts(&self.counts);
        counts.total = counts.total.saturating_sub(1);
        if let Some(count) = counts.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

fn lock_counts(counts: &Mutex<ConnectionCounts>) -> MutexGuard<'_, ConnectionCounts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_limited_per_address_and_released_on_drop() {
        let (permits, one, other) = (
            ConnectionPermits::new(3, Some(2)),
            ClientAddress::from_text("192.0.2.1"),
            ClientAddress::from_text("192.0.2.2"),
        );
        let first = permits.acquire(&one).unwrap();
        let _second = permits.acquire(&one).unwrap();
        assert!(permits.acquire(&one).is_none());
        let _third = permits.acquire(&other).unwrap();
        assert!(permits.acquire(&other).is_none(), "the total limit is reached");
        drop(first);
        assert!(permits.acquire(&one).is_some());
        assert!(lock_counts(&permits.counts).by_address.len() == 2);
    }
}
