//! Places for connections: so many in all, and so many for each address.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::http::address::Address;

/// Gives places away. Cheap to clone; clones give away the same.
#[derive(Clone)]
pub(super) struct ConnectionPlaces {
    most: usize,
    most_per_address: Option<usize>,
    taken: Arc<Mutex<PlaceCounts>>,
}

#[derive(Default)]
struct PlaceCounts {
    total: usize,
    by_address: HashMap<Address, usize>,
}

/// A place, until it is dropped.
pub(super) struct ConnectionPlace {
    address: Address,
    taken: Arc<Mutex<PlaceCounts>>,
}

impl ConnectionPlaces {
    pub(super) fn new(most: usize, most_per_address: Option<usize>) -> Self {
        Self { most, most_per_address, taken: Arc::default() }
    }

    /// A place for one of that address; `None` where none is free.
    pub(super) fn take(&self, address: &Address) -> Option<ConnectionPlace> {
        let mut taken = lock(&self.taken);
        let of_address = taken.by_address.get(address).copied().unwrap_or_default();
        if taken.total >= self.most || self.most_per_address.is_some_and(|most| of_address >= most) {
            return None;
        }
        taken.total += 1;
        taken.by_address.insert(address.clone(), of_address + 1);
        Some(ConnectionPlace { address: address.clone(), taken: Arc::clone(&self.taken) })
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.total = taken.total.saturating_sub(1);
        if let Some(count) = taken.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

fn lock(taken: &Mutex<PlaceCounts>) -> MutexGuard<'_, PlaceCounts> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_all_places_and_each_comes_back() {
        let (places, one, other) =
            (ConnectionPlaces::new(3, Some(2)), Address::of("192.0.2.1"), Address::of("192.0.2.2"));
        let first = places.take(&one).unwrap();
        let _second = places.take(&one).unwrap();
        assert!(places.take(&one).is_none());
        let _third = places.take(&other).unwrap();
        assert!(places.take(&other).is_none(), "all are taken");
        drop(first);
        assert!(places.take(&one).is_some());
        assert!(lock(&places.taken).by_address.len() == 2);
    }
}
