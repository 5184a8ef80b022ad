//! Places for connections: so many in all, and so many for each address.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::http::client_address::ClientAddress;

/// Gives places away. Cheap to clone; clones give away the same.
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

/// A place, until it is dropped.
pub(super) struct ConnectionPermit {
    address: ClientAddress,
    counts: Arc<Mutex<ConnectionCounts>>,
}

impl ConnectionPermits {
    pub(super) fn new(most: usize, most_per_address: Option<usize>) -> Self {
        Self { max_connections: most, max_per_address: most_per_address, counts: Arc::default() }
    }

    /// A place for one of that address; `None` where none is free.
    pub(super) fn acquire(&self, address: &ClientAddress) -> Option<ConnectionPermit> {
        let mut taken = lock_counts(&self.counts);
        let of_address = taken.by_address.get(address).copied().unwrap_or_default();
        if taken.total >= self.max_connections || self.max_per_address.is_some_and(|most| of_address >= most) {
            return None;
        }
        taken.total += 1;
        taken.by_address.insert(address.clone(), of_address + 1);
        Some(ConnectionPermit { address: address.clone(), counts: Arc::clone(&self.counts) })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut taken = lock_counts(&self.counts);
        taken.total = taken.total.saturating_sub(1);
        if let Some(count) = taken.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

fn lock_counts(taken: &Mutex<ConnectionCounts>) -> MutexGuard<'_, ConnectionCounts> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_all_places_and_each_comes_back() {
        let (places, one, other) = (
            ConnectionPermits::new(3, Some(2)),
            ClientAddress::from_text("192.0.2.1"),
            ClientAddress::from_text("192.0.2.2"),
        );
        let first = places.acquire(&one).unwrap();
        let _second = places.acquire(&one).unwrap();
        assert!(places.acquire(&one).is_none());
        let _third = places.acquire(&other).unwrap();
        assert!(places.acquire(&other).is_none(), "all are taken");
        drop(first);
        assert!(places.acquire(&one).is_some());
        assert!(lock_counts(&places.counts).by_address.len() == 2);
    }
}
