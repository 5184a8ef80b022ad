//! Permits for connections: limited in total and per address.
//!
//! Beyond a limit a few connections get a reserved permit. Over these the process reports on itself and refuses
//! everything else, so that probes and scrapers reach a process whose other connections are used up, even if they share
//! their address with clients.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use metrics::Gauge;

use crate::http::client_address::ClientAddress;

/// Connections beyond the limits. Each lives as long as one request takes, at most [`super::RESERVED_LIFETIME`].
const RESERVED_CONNECTIONS: usize = 32;

/// How many of these one address may have that has reached its limit: it must not use up what others need.
const RESERVED_PER_ADDRESS: usize = 8;

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

/// The limit that a refused connection exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionRefusal {
    /// The limit of all connections.
    Total,
    /// The limit of the address.
    Address,
}

/// The right to one connection; released on drop.
pub(super) struct ConnectionPermit {
    address: ClientAddress,
    /// The limit that a reserved permit is beyond.
    exceeded_limit: Option<ConnectionRefusal>,
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

    /// Returns a permit for a connection from this address, a reserved one if a limit is reached.
    ///
    /// # Errors
    /// The limit that leaves none, not even a reserved one.
    pub(super) fn acquire(&self, address: &ClientAddress) -> Result<ConnectionPermit, ConnectionRefusal> {
        let mut counts = self.state.lock_counts();
        let address_count = counts.by_address.get(address).copied().unwrap_or_default();
        let beyond_address = self.max_per_address.and_then(|max| address_count.checked_sub(max));
        let exceeded_limit = match beyond_address {
            Some(reserved) if reserved >= RESERVED_PER_ADDRESS => return Err(ConnectionRefusal::Address),
            Some(_) => Some(ConnectionRefusal::Address),
            None => (counts.total >= self.max_connections).then_some(ConnectionRefusal::Total),
        };
        if let Some(limit) = exceeded_limit.filter(|_| counts.reserved >= RESERVED_CONNECTIONS) {
            return Err(limit);
        }
        *counts.permit_count_mut(exceeded_limit.is_some()) += 1;
        counts.by_address.insert(address.clone(), address_count + 1);
        self.state.open.increment(1.0);
        Ok(ConnectionPermit { address: address.clone(), exceeded_limit, state: Arc::clone(&self.state) })
    }
}

impl ConnectionCounts {
    fn permit_count_mut(&mut self, is_reserved: bool) -> &mut usize {
        if is_reserved { &mut self.reserved } else { &mut self.total }
    }
}

impl ConnectionPermit {
    /// The limit that the connection is beyond.
    pub(super) fn exceeded_limit(&self) -> Option<ConnectionRefusal> {
        self.exceeded_limit
    }

    /// Whether the connection is beyond a limit.
    pub(super) fn is_reserved(&self) -> bool {
        self.exceeded_limit.is_some()
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.state.lock_counts();
        let permit_count = counts.permit_count_mut(self.is_reserved());
        *permit_count = permit_count.saturating_sub(1);
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
        let exceeded = |address| permits.acquire(address).unwrap().exceeded_limit();
        let first = permits.acquire(&one).unwrap();
        let _second = permits.acquire(&one).unwrap();
        assert_eq!(exceeded(&one), Some(ConnectionRefusal::Address));
        assert_eq!(exceeded(&other), None, "and released at once");
        let _third = permits.acquire(&other).unwrap();
        assert_eq!(exceeded(&third), Some(ConnectionRefusal::Total));
        drop(first);
        assert_eq!(exceeded(&one), None);
        assert_eq!(permits.state.lock_counts().by_address.len(), 2);
    }

    #[test]
    fn an_address_at_its_limit_leaves_reserved_permits_for_others() {
        let permits = ConnectionPermits::new(1, Some(1), Gauge::noop());
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(ClientAddress::from_text);
        let _held: Vec<_> = (0..=RESERVED_PER_ADDRESS).map(|_| permits.acquire(&one).unwrap()).collect();
        assert_eq!(permits.acquire(&one).err(), Some(ConnectionRefusal::Address));
        assert!(permits.acquire(&other).unwrap().is_reserved());
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
