//! Permits for `WebSocket`s: limited in total and per client.
//!
//! A client at its limit gets another permit when one of its `WebSocket`s is idle: the one that has been idle longest
//! is evicted. So no client uses up the permits of others, and one that opens `WebSocket`s and forgets them does not
//! lock out other clients or itself. At the total limit, one of the client that has the most is evicted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// Issues permits. Cheap to clone; clones share the counts.
#[derive(Clone)]
pub(crate) struct SocketPermits {
    max_sockets: usize,
    max_per_client: usize,
    table: Arc<Mutex<SocketPermitTable>>,
}

#[derive(Default)]
struct SocketPermitTable {
    total: usize,
    next_number: u64,
    /// By client, ordered by when they were opened or last busy.
    by_client: HashMap<String, Vec<SocketPermitEntry>>,
}

struct SocketPermitEntry {
    number: u64,
    /// Operations in progress.
    busy_count: usize,
    eviction: CancellationToken,
}

/// A limit is reached, and nothing can be evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many WebSockets are open, try again later")]
pub(crate) struct TooManySockets;

/// The right to one WebSocket, until it is dropped. Clones are the same permit.
#[derive(Clone)]
pub(crate) struct SocketPermit(Arc<SocketPermitGuard>);

struct SocketPermitGuard {
    permits: SocketPermits,
    client: Mutex<String>,
    number: u64,
    eviction: CancellationToken,
}

/// An operation of a WebSocket: until it is dropped, the permit is not evicted.
pub(crate) struct BusySocketGuard(SocketPermit);

impl SocketPermits {
    pub(crate) fn new(max_sockets: usize, max_per_client: usize) -> Self {
        Self { max_sockets, max_per_client: max_per_client.max(1), table: Arc::default() }
    }

    /// Returns a permit for a client; may evict an idle one.
    pub(crate) fn acquire(&self, client: String) -> Result<SocketPermit, TooManySockets> {
        let eviction = CancellationToken::new();
        let mut table = self.lock();
        table.free_for_client(&client, self.max_per_client)?;
        if table.total >= self.max_sockets {
            table.free_any()?;
        }
        let number = table.insert_entry(&client, 0, eviction.clone());
        drop(table);
        Ok(SocketPermit(Arc::new(SocketPermitGuard {
            permits: self.clone(),
            client: Mutex::new(client),
            number,
            eviction,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, SocketPermitTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SocketPermitTable {
    fn insert_entry(&mut self, client: &str, busy: usize, eviction: CancellationToken) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.total += 1;
        self.by_client.entry(client.to_owned()).or_default().push(SocketPermitEntry {
            number,
            busy_count: busy,
            eviction,
        });
        number
    }

    /// Evicts one of the client's own permits if it has `max`.
    fn free_for_client(&mut self, client: &str, max: usize) -> Result<(), TooManySockets> {
        let count = self.by_client.get(client).map_or(0, Vec::len);
        if count < max { Ok(()) } else { self.evict_idle(client) }
    }

    /// Evicts a permit of the client that has the most, unless that is a single one.
    fn free_any(&mut self) -> Result<(), TooManySockets> {
        let largest = self.by_client.iter().max_by_key(|(_, entries)| entries.len());
        let client = largest.filter(|(_, entries)| entries.len() > 1).map(|(client, _)| client.clone());
        self.evict_idle(&client.ok_or(TooManySockets)?)
    }

    fn evict_idle(&mut self, client: &str) -> Result<(), TooManySockets> {
        let entries = self.by_client.get(client);
        let idle = entries.into_iter().flatten().find(|entry| entry.busy_count == 0).map(|entry| entry.number);
        let entry = self.remove_entry(client, idle.ok_or(TooManySockets)?).ok_or(TooManySockets)?;
        entry.eviction.cancel();
        Ok(())
    }

    fn remove_entry(&mut self, client: &str, number: u64) -> Option<SocketPermitEntry> {
        let entries = self.by_client.get_mut(client)?;
        let entry = entries.remove(entries.iter().position(|entry| entry.number == number)?);
        if entries.is_empty() {
            self.by_client.remove(client);
        }
        self.total = self.total.saturating_sub(1);
        Some(entry)
    }
}

impl SocketPermit {
    /// Creates the only permit of a table.
    #[cfg(test)]
    pub(crate) fn single() -> Self {
        SocketPermits::new(1, 1).acquire(String::new()).unwrap()
    }

    /// Resolves when the permit is evicted.
    pub(crate) async fn wait_for_eviction(&self) {
        self.0.eviction.cancelled().await;
    }

    /// Marks the WebSocket as busy until the guard is dropped.
    pub(crate) fn mark_busy(&self) -> BusySocketGuard {
        self.update_entry(|entry| entry.busy_count += 1);
        BusySocketGuard(self.clone())
    }

    /// Counts the permit for another client, once it has authenticated.
    pub(crate) fn transfer_to(&self, client: String) -> Result<(), TooManySockets> {
        let mut owner = self.0.client.lock().unwrap_or_else(PoisonError::into_inner);
        if *owner == client {
            return Ok(());
        }
        let mut table = self.0.permits.lock();
        table.free_for_client(&client, self.0.permits.max_per_client)?;
        let entry = table.remove_entry(&owner, self.0.number).ok_or(TooManySockets)?;
        table.total += 1;
        table.by_client.entry(client.clone()).or_default().push(entry);
        *owner = client;
        Ok(())
    }

    fn update_entry(&self, change: impl FnOnce(&mut SocketPermitEntry)) {
        let owner = self.0.client.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = self.0.permits.lock();
        let Some(entries) = table.by_client.get_mut(&*owner) else { return };
        let Some(index) = entries.iter().position(|entry| entry.number == self.0.number) else { return };
        // Entries are ordered by when they were last busy.
        let mut entry = entries.remove(index);
        change(&mut entry);
        entries.push(entry);
    }
}

impl Drop for BusySocketGuard {
    fn drop(&mut self) {
        self.0.update_entry(|entry| entry.busy_count = entry.busy_count.saturating_sub(1));
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

    fn is_evicted(permit: &SocketPermit) -> bool {
        permit.0.eviction.is_cancelled()
    }

    #[test]
    fn at_the_limit_of_a_client_its_longest_idle_permit_is_evicted() {
        let permits = SocketPermits::new(10, 2);
        let (first, second) = (permits.acquire("a".to_owned()).unwrap(), permits.acquire("a".to_owned()).unwrap());
        drop(first.mark_busy());
        let third = permits.acquire("a".to_owned()).unwrap();
        assert!(is_evicted(&second) && !is_evicted(&first), "the first was busy later");
        let (_one, _other) = (first.mark_busy(), third.mark_busy());
        assert!(permits.acquire("a".to_owned()).is_err(), "busy permits are not evicted");
        assert!(permits.acquire("b".to_owned()).is_ok());
        drop((first, second));
    }

    #[test]
    fn at_the_total_limit_a_permit_of_the_client_with_the_most_is_evicted() {
        let permits = SocketPermits::new(3, 3);
        let many: Vec<_> = (0..2).map(|_| permits.acquire("many".to_owned()).unwrap()).collect();
        let few = permits.acquire("few".to_owned()).unwrap();
        let other = permits.acquire("other".to_owned()).unwrap();
        assert!(is_evicted(&many[0]) && !is_evicted(&many[1]) && !is_evicted(&few));
        assert!(permits.acquire("one more".to_owned()).is_err(), "each client has one permit");
        drop(other);
        assert!(permits.acquire("one more".to_owned()).is_ok());
        assert_eq!(permits.lock().total, 2, "an evicted permit is released once");
    }

    #[test]
    fn an_authenticated_client_no_longer_uses_a_permit_of_its_address() {
        let permits = SocketPermits::new(10, 1);
        let permit = permits.acquire("address".to_owned()).unwrap();
        let busy = permit.mark_busy();
        permit.transfer_to("ann".to_owned()).unwrap();
        let next = permits.acquire("address".to_owned()).unwrap();
        assert!(next.transfer_to("ann".to_owned()).is_err(), "the permit of ann is busy");
        drop(busy);
        next.transfer_to("ann".to_owned()).unwrap();
        assert!(is_evicted(&permit));
        drop((permit, next));
        let table = permits.lock();
        assert_eq!((table.total, table.by_client.len()), (0, 0));
    }
}
