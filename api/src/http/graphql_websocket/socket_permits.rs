//! Places for `WebSocket`s: so many in all, and so many for each client.
//!
//! A client whose places are all taken gets another one where one of its `WebSocket`s does nothing: the one that has been
//! idle longest gives way. So nobody takes the places of others, and who opens `WebSocket`s and forgets them locks nobody
//! out, not even themselves. Where all places are taken, one of the client that has the most gives way.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// Gives places away. Cheap to clone; clones give away the same.
#[derive(Clone)]
pub(in crate::http) struct SocketPermits {
    max_sockets: usize,
    max_per_client: usize,
    table: Arc<Mutex<SocketPermitTable>>,
}

#[derive(Default)]
struct SocketPermitTable {
    total: usize,
    next_number: u64,
    /// By client, each in the order in which they were opened or busy last.
    by_client: HashMap<String, Vec<SocketPermitEntry>>,
}

struct SocketPermitEntry {
    number: u64,
    /// What it is doing at the same time.
    busy_count: usize,
    eviction: CancellationToken,
}

/// No place is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many WebSockets are open, try again later")]
pub(crate) struct TooManySockets;

/// A place, until it is dropped. Clones are the same place.
#[derive(Clone)]
pub(crate) struct SocketPermit(Arc<SocketPermitGuard>);

struct SocketPermitGuard {
    permits: SocketPermits,
    client: Mutex<String>,
    number: u64,
    eviction: CancellationToken,
}

/// Something that a WebSocket does: until it is dropped, its place is not given to others.
pub(crate) struct BusySocketGuard(SocketPermit);

impl SocketPermits {
    pub(in crate::http) fn new(most: usize, most_per_client: usize) -> Self {
        Self { max_sockets: most, max_per_client: most_per_client.max(1), table: Arc::default() }
    }

    /// A place for a client.
    pub(in crate::http) fn acquire(&self, client: String) -> Result<SocketPermit, TooManySockets> {
        let gives_way = CancellationToken::new();
        let mut taken = self.lock();
        taken.free_for_client(&client, self.max_per_client)?;
        if taken.total >= self.max_sockets {
            taken.free_any()?;
        }
        let number = taken.insert_entry(&client, 0, gives_way.clone());
        drop(taken);
        Ok(SocketPermit(Arc::new(SocketPermitGuard {
            permits: self.clone(),
            client: Mutex::new(client),
            number,
            eviction: gives_way,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, SocketPermitTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SocketPermitTable {
    fn insert_entry(&mut self, client: &str, busy: usize, gives_way: CancellationToken) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.total += 1;
        self.by_client.entry(client.to_owned()).or_default().push(SocketPermitEntry {
            number,
            busy_count: busy,
            eviction: gives_way,
        });
        number
    }

    /// Frees a place of a client's own where it has as many as it may.
    fn free_for_client(&mut self, client: &str, most: usize) -> Result<(), TooManySockets> {
        let count = self.by_client.get(client).map_or(0, Vec::len);
        if count < most { Ok(()) } else { self.evict_idle(client) }
    }

    /// Frees a place of the client that has the most.
    fn free_any(&mut self) -> Result<(), TooManySockets> {
        let most = self.by_client.iter().max_by_key(|(_, seats)| seats.len());
        let client = most.filter(|(_, seats)| seats.len() > 1).map(|(client, _)| client.clone());
        self.evict_idle(&client.ok_or(TooManySockets)?)
    }

    fn evict_idle(&mut self, client: &str) -> Result<(), TooManySockets> {
        let seats = self.by_client.get(client);
        let idle = seats.into_iter().flatten().find(|seat| seat.busy_count == 0).map(|seat| seat.number);
        let seat = self.remove_entry(client, idle.ok_or(TooManySockets)?).ok_or(TooManySockets)?;
        seat.eviction.cancel();
        Ok(())
    }

    fn remove_entry(&mut self, client: &str, number: u64) -> Option<SocketPermitEntry> {
        let seats = self.by_client.get_mut(client)?;
        let seat = seats.remove(seats.iter().position(|seat| seat.number == number)?);
        if seats.is_empty() {
            self.by_client.remove(client);
        }
        self.total = self.total.saturating_sub(1);
        Some(seat)
    }
}

impl SocketPermit {
    /// The only place that there is.
    #[cfg(test)]
    pub(crate) fn single() -> Self {
        SocketPermits::new(1, 1).acquire(String::new()).unwrap()
    }

    /// Ends when it has to give way.
    pub(in crate::http) async fn wait_for_eviction(&self) {
        self.0.eviction.cancelled().await;
    }

    /// The WebSocket does something from now on.
    pub(crate) fn mark_busy(&self) -> BusySocketGuard {
        self.update_entry(|seat| seat.busy_count += 1);
        BusySocketGuard(self.clone())
    }

    /// From now on it counts for another client, who has said who they are.
    pub(in crate::http) fn transfer_to(&self, client: String) -> Result<(), TooManySockets> {
        let mut own = self.0.client.lock().unwrap_or_else(PoisonError::into_inner);
        if *own == client {
            return Ok(());
        }
        let mut taken = self.0.permits.lock();
        taken.free_for_client(&client, self.0.permits.max_per_client)?;
        let seat = taken.remove_entry(&own, self.0.number).ok_or(TooManySockets)?;
        taken.total += 1;
        taken.by_client.entry(client.clone()).or_default().push(seat);
        *own = client;
        Ok(())
    }

    fn update_entry(&self, change: impl FnOnce(&mut SocketPermitEntry)) {
        let own = self.0.client.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = self.0.permits.lock();
        let Some(seats) = taken.by_client.get_mut(&*own) else { return };
        let Some(place) = seats.iter().position(|seat| seat.number == self.0.number) else { return };
        // What was busy last stands last.
        let mut seat = seats.remove(place);
        change(&mut seat);
        seats.push(seat);
    }
}

impl Drop for BusySocketGuard {
    fn drop(&mut self) {
        self.0.update_entry(|seat| seat.busy_count = seat.busy_count.saturating_sub(1));
    }
}

impl Drop for SocketPermitGuard {
    fn drop(&mut self) {
        let client = self.client.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.permits.lock().remove_entry(client, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_evicted(place: &SocketPermit) -> bool {
        place.0.eviction.is_cancelled()
    }

    #[test]
    fn of_a_client_that_has_all_it_may_the_one_that_was_idle_longest_gives_way() {
        let places = SocketPermits::new(10, 2);
        let (first, second) = (places.acquire("a".to_owned()).unwrap(), places.acquire("a".to_owned()).unwrap());
        drop(first.mark_busy());
        let third = places.acquire("a".to_owned()).unwrap();
        assert!(is_evicted(&second) && !is_evicted(&first), "the first was busy later");
        let (_one, _other) = (first.mark_busy(), third.mark_busy());
        assert!(places.acquire("a".to_owned()).is_err(), "nothing that is busy gives way");
        assert!(places.acquire("b".to_owned()).is_ok());
        drop((first, second));
    }

    #[test]
    fn where_all_places_are_taken_one_of_the_client_with_the_most_gives_way() {
        let places = SocketPermits::new(3, 3);
        let many: Vec<_> = (0..2).map(|_| places.acquire("many".to_owned()).unwrap()).collect();
        let few = places.acquire("few".to_owned()).unwrap();
        let other = places.acquire("other".to_owned()).unwrap();
        assert!(is_evicted(&many[0]) && !is_evicted(&many[1]) && !is_evicted(&few));
        assert!(places.acquire("one more".to_owned()).is_err(), "each has one");
        drop(other);
        assert!(places.acquire("one more".to_owned()).is_ok());
        assert_eq!(places.lock().total, 2, "what gave way is counted once");
    }

    #[test]
    fn who_says_who_they_are_leaves_the_place_of_their_address() {
        let places = SocketPermits::new(10, 1);
        let place = places.acquire("address".to_owned()).unwrap();
        let busy = place.mark_busy();
        place.transfer_to("ann".to_owned()).unwrap();
        let next = places.acquire("address".to_owned()).unwrap();
        assert!(next.transfer_to("ann".to_owned()).is_err(), "the place of ann is busy");
        drop(busy);
        next.transfer_to("ann".to_owned()).unwrap();
        assert!(is_evicted(&place));
        drop((place, next));
        let taken = places.lock();
        assert_eq!((taken.total, taken.by_client.len()), (0, 0));
    }
}
