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
pub(in crate::http) struct SocketPlaces {
    most: usize,
    most_per_client: usize,
    taken: Arc<Mutex<PlaceTable>>,
}

#[derive(Default)]
struct PlaceTable {
    total: usize,
    next: u64,
    /// By client, each in the order in which they were opened or busy last.
    by_client: HashMap<String, Vec<PlaceEntry>>,
}

struct PlaceEntry {
    number: u64,
    /// What it is doing at the same time.
    busy: usize,
    gives_way: CancellationToken,
}

/// No place is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many WebSockets are open, try again later")]
pub(crate) struct NoPlace;

/// A place, until it is dropped. Clones are the same place.
#[derive(Clone)]
pub(crate) struct SocketPlace(Arc<PlaceGuard>);

struct PlaceGuard {
    places: SocketPlaces,
    client: Mutex<String>,
    number: u64,
    gives_way: CancellationToken,
}

/// Something that a WebSocket does: until it is dropped, its place is not given to others.
pub(crate) struct BusyGuard(SocketPlace);

impl SocketPlaces {
    pub(in crate::http) fn new(most: usize, most_per_client: usize) -> Self {
        Self { most, most_per_client: most_per_client.max(1), taken: Arc::default() }
    }

    /// A place for a client.
    pub(in crate::http) fn take(&self, client: String) -> Result<SocketPlace, NoPlace> {
        let gives_way = CancellationToken::new();
        let mut taken = self.lock();
        taken.make_room_for(&client, self.most_per_client)?;
        if taken.total >= self.most {
            taken.make_room()?;
        }
        let number = taken.seat(&client, 0, gives_way.clone());
        drop(taken);
        Ok(SocketPlace(Arc::new(PlaceGuard { places: self.clone(), client: Mutex::new(client), number, gives_way })))
    }

    fn lock(&self) -> MutexGuard<'_, PlaceTable> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PlaceTable {
    fn seat(&mut self, client: &str, busy: usize, gives_way: CancellationToken) -> u64 {
        let number = self.next;
        self.next += 1;
        self.total += 1;
        self.by_client.entry(client.to_owned()).or_default().push(PlaceEntry { number, busy, gives_way });
        number
    }

    /// Frees a place of a client's own where it has as many as it may.
    fn make_room_for(&mut self, client: &str, most: usize) -> Result<(), NoPlace> {
        let count = self.by_client.get(client).map_or(0, Vec::len);
        if count < most { Ok(()) } else { self.let_give_way(client) }
    }

    /// Frees a place of the client that has the most.
    fn make_room(&mut self) -> Result<(), NoPlace> {
        let most = self.by_client.iter().max_by_key(|(_, seats)| seats.len());
        let client = most.filter(|(_, seats)| seats.len() > 1).map(|(client, _)| client.clone());
        self.let_give_way(&client.ok_or(NoPlace)?)
    }

    fn let_give_way(&mut self, client: &str) -> Result<(), NoPlace> {
        let seats = self.by_client.get(client);
        let idle = seats.into_iter().flatten().find(|seat| seat.busy == 0).map(|seat| seat.number);
        let seat = self.remove(client, idle.ok_or(NoPlace)?).ok_or(NoPlace)?;
        seat.gives_way.cancel();
        Ok(())
    }

    fn remove(&mut self, client: &str, number: u64) -> Option<PlaceEntry> {
        let seats = self.by_client.get_mut(client)?;
        let seat = seats.remove(seats.iter().position(|seat| seat.number == number)?);
        if seats.is_empty() {
            self.by_client.remove(client);
        }
        self.total = self.total.saturating_sub(1);
        Some(seat)
    }
}

impl SocketPlace {
    /// The only place that there is.
    #[cfg(test)]
    pub(crate) fn alone() -> Self {
        SocketPlaces::new(1, 1).take(String::new()).unwrap()
    }

    /// Ends when it has to give way.
    pub(in crate::http) async fn gives_way(&self) {
        self.0.gives_way.cancelled().await;
    }

    /// The WebSocket does something from now on.
    pub(crate) fn busy(&self) -> BusyGuard {
        self.change(|seat| seat.busy += 1);
        BusyGuard(self.clone())
    }

    /// From now on it counts for another client, who has said who they are.
    pub(in crate::http) fn pass_to(&self, client: String) -> Result<(), NoPlace> {
        let mut own = self.0.client.lock().unwrap_or_else(PoisonError::into_inner);
        if *own == client {
            return Ok(());
        }
        let mut taken = self.0.places.lock();
        taken.make_room_for(&client, self.0.places.most_per_client)?;
        let seat = taken.remove(&own, self.0.number).ok_or(NoPlace)?;
        taken.total += 1;
        taken.by_client.entry(client.clone()).or_default().push(seat);
        *own = client;
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut PlaceEntry)) {
        let own = self.0.client.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = self.0.places.lock();
        let Some(seats) = taken.by_client.get_mut(&*own) else { return };
        let Some(place) = seats.iter().position(|seat| seat.number == self.0.number) else { return };
        // What was busy last stands last.
        let mut seat = seats.remove(place);
        change(&mut seat);
        seats.push(seat);
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.change(|seat| seat.busy = seat.busy.saturating_sub(1));
    }
}

impl Drop for PlaceGuard {
    fn drop(&mut self) {
        let client = self.client.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.places.lock().remove(client, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_given_way(place: &SocketPlace) -> bool {
        place.0.gives_way.is_cancelled()
    }

    #[test]
    fn of_a_client_that_has_all_it_may_the_one_that_was_idle_longest_gives_way() {
        let places = SocketPlaces::new(10, 2);
        let (first, second) = (places.take("a".to_owned()).unwrap(), places.take("a".to_owned()).unwrap());
        drop(first.busy());
        let third = places.take("a".to_owned()).unwrap();
        assert!(has_given_way(&second) && !has_given_way(&first), "the first was busy later");
        let (_one, _other) = (first.busy(), third.busy());
        assert!(places.take("a".to_owned()).is_err(), "nothing that is busy gives way");
        assert!(places.take("b".to_owned()).is_ok());
        drop((first, second));
    }

    #[test]
    fn where_all_places_are_taken_one_of_the_client_with_the_most_gives_way() {
        let places = SocketPlaces::new(3, 3);
        let many: Vec<_> = (0..2).map(|_| places.take("many".to_owned()).unwrap()).collect();
        let few = places.take("few".to_owned()).unwrap();
        let other = places.take("other".to_owned()).unwrap();
        assert!(has_given_way(&many[0]) && !has_given_way(&many[1]) && !has_given_way(&few));
        assert!(places.take("one more".to_owned()).is_err(), "each has one");
        drop(other);
        assert!(places.take("one more".to_owned()).is_ok());
        assert_eq!(places.lock().total, 2, "what gave way is counted once");
    }

    #[test]
    fn who_says_who_they_are_leaves_the_place_of_their_address() {
        let places = SocketPlaces::new(10, 1);
        let place = places.take("address".to_owned()).unwrap();
        let busy = place.busy();
        place.pass_to("ann".to_owned()).unwrap();
        let next = places.take("address".to_owned()).unwrap();
        assert!(next.pass_to("ann".to_owned()).is_err(), "the place of ann is busy");
        drop(busy);
        next.pass_to("ann".to_owned()).unwrap();
        assert!(has_given_way(&place));
        drop((place, next));
        let taken = places.lock();
        assert_eq!((taken.total, taken.by_client.len()), (0, 0));
    }
}
