//! The addresses of the running processes of a role, and one address in front of them, as a service of Kubernetes is.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Addresses (host and port) that take turns.
#[derive(Debug, Clone, Default)]
pub(super) struct AddressList(Arc<Mutex<AddressRotation>>);

#[derive(Debug, Default)]
struct AddressRotation {
    addresses: Vec<String>,
    turns: usize,
}

impl AddressList {
    pub(super) fn add(&self, address: String) {
        self.lock().addresses.push(address);
    }

    pub(super) fn remove(&self, address: &str) {
        self.lock().addresses.retain(|other| other != address);
    }

    pub(super) fn contains(&self, address: &str) -> bool {
        self.lock().addresses.iter().any(|other| other == address)
    }

    /// All addresses, beginning with the one whose turn it is.
    pub(super) fn take_turn(&self) -> Vec<String> {
        let mut rotation = self.lock();
        rotation.turns = rotation.turns.wrapping_add(1);
        let mut addresses = rotation.addresses.clone();
        let first = rotation.turns.checked_rem(addresses.len()).unwrap_or_default();
        addresses.rotate_left(first);
        addresses
    }

    fn lock(&self) -> MutexGuard<'_, AddressRotation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One address that forwards each connection to the next server that accepts it; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct ServiceAddress {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl ServiceAddress {
    pub(super) async fn start(servers: AddressList) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening")?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A connection that breaks is the business of its two ends.
                tokio::spawn(forward(client, servers.take_turn()));
            }
        });
        Ok(Self { address, task })
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for ServiceAddress {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(mut client: TcpStream, servers: Vec<String>) -> io::Result<()> {
    for server in servers {
        if let Ok(mut server) = TcpStream::connect(server).await {
            return copy_bidirectional(&mut client, &mut server).await.map(drop);
        }
    }
    Ok(())
}
