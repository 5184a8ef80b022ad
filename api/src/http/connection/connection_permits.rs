//! Permits for connections: limited in total and per address.
//!
//! Beyond the total limit a few connections have a reserved permit, over which the process reports on itself and refuses
//! everything else: probes and scrapers reach a process whose other connections are used up.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use metrics::Gauge;

use crate::http::client_address::ClientAddress;

/// Connections beyond the total limit. Each lives as long as one refusal takes, or [`super::RESERVED_TIMEOUT`].
const RESERVED_CONNECTIONS: usize = 32;

/// Issues permits. Cheap to clone; clones share the counts.
#[derive(Clone)]
pub(super) struct ConnectionPermits {
    max_connections: usize,
    max_per_address: Option<usize>,
    state: Arc<PermitState>,
}

struct PermitState {
    counts: Mutex<ConnectionCounts>,
    open: Gauge,
}

#[derive(Default)]
struct ConnectionCounts {
    total: usize,
    reserved: usize,
    by_address: HashMap<ClientAddress, usize>,
}

/// The limit at which a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionRefusal {
    /// All connections, the reserved ones included, are used up.
    Total,
    /// Those of the address are.
    Address,
}

/// The right to one connection; released on drop.
pub(super) struct ConnectionPermit {
    address: ClientAddress,
    is_reserved: bool,
    state: Arc<PermitState>,
}

impl ConnectionRefusal {
    /// Name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Address => "address",
        }
    }
}

impl ConnectionPermits {
    /// `open` counts the connections that have a permit.
    pub(super) fn new(max_connections: usize, max_per_address: Option<usize>, open: Gauge) -> Self {
        let state = PermitState { counts: Mutex::default(), open };
        Self { max_connections, max_per_address, state: Arc::new(state) }
    }

    /// Returns a permit for a connection from this address, a reserved one if the total limit is reached.
    ///
    /// # Errors
    /// The limit that leaves none.
    pub(super) fn acquire(&self, address: &ClientAddress) -> Result<ConnectionPermit, ConnectionRefusal> {
        let mut counts = self.state.lock_counts();
        let address_count = counts.by_address.get(address).copied().unwrap_or_default();
        if self.max_per_address.is_some_and(|max| address_count >= max) {
            return Err(ConnectionRefusal::Address);
        }
        let is_reserved = counts.total >= self.max_connections;
        if is_reserved && counts.reserved >= RESERVED_CONNECTIONS {
            return Err(ConnectionRefusal::Total);
        }
        *counts.of_kind(is_reserved) += 1;
        counts.by_address.insert(address.clone(), address_count + 1);
        self.state.open.increment(1.0);
        Ok(ConnectionPermit { address: address.clone(), is_reserved, state: Arc::clone(&self.state) })
    }
}

impl ConnectionCounts {
    fn of_kind(&mut self, is_reserved: bool) -> &mut usize {
        if is_reserved { &mut self.reserved } else { &mut self.total }
    }
}

impl ConnectionPermit {
    /// Whether the connection is beyond the total limit.
    pub(super) fn is_reserved(&self) -> bool {
        self.is_reserved
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.state.lock_counts();
        let of_kind = counts.of_kind(self.is_reserved);
        *of_kind = of_kind.saturating_sub(1);
        if let Some(count) = counts.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&self.address);
            }
        }
        self.state.open.decrement(1.0);
    }
}

impl PermitState {
    fn lock_counts(&self) -> MutexGuard<'_, ConnectionCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_limited_per_address_and_in_total_and_released_on_drop() {
        let permits = ConnectionPermits::new(3, Some(2), Gauge::noop());
        let [one, other, third] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(ClientAddress::from_text);
        let first = permits.acquire(&one).unwrap();
        let _second = permits.acquire(&one).unwrap();
        assert_eq!(permits.acquire(&one).err(), Some(ConnectionRefusal::Address));
        assert!(!permits.acquire(&other).unwrap().is_reserved(), "and released at once");
        let _third = permits.acquire(&other).unwrap();
        assert!(permits.acquire(&third).unwrap().is_reserved(), "the total limit is reached");
        drop(first);
        assert!(!permits.acquire(&one).unwrap().is_reserved());
        assert_eq!(permits.state.lock_counts().by_address.len(), 2);
    }

    #[test]
    fn reserved_permits_are_limited_too() {
        let (permits, address) =
            (ConnectionPermits::new(0, None, Gauge::noop()), ClientAddress::from_text("192.0.2.1"));
        let held: Vec<_> = (0..RESERVED_CONNECTIONS).map(|_| permits.acquire(&address).unwrap()).collect();
        assert_eq!(permits.acquire(&address).err(), Some(ConnectionRefusal::Total));
        drop(held);
        assert!(permits.acquire(&address).unwrap().is_reserved());
    }
}
