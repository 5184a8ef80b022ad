//! The ports of a stack: the requested ports, else the ports of its last run, else free ports next to the well-known
//! ones.

use std::{collections::BTreeMap, env, net::TcpListener, path::PathBuf};

use anyhow::{Context as _, bail};
use nix::unistd::Uid;
use serde::{Deserialize, Serialize};

use crate::folder::{self, ProcessLock};

/// A listening service of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServicePort {
    /// PostgreSQL.
    Postgres,
    /// Redis.
    Redis,
    /// Kafka, for clients.
    Kafka,
    /// Kafka, for its own controller.
    KafkaController,
    /// ClickHouse's HTTP interface.
    #[serde(rename = "clickhouse")]
    ClickHouse,
    /// Qdrant's gRPC interface.
    Qdrant,
    /// The schema registry's HTTP interface.
    Registry,
    /// The product's HTTP interface.
    Http,
    /// The product's gRPC interface.
    Grpc,
}

impl ServicePort {
    /// All services.
    pub const ALL: [Self; 9] = [
        Self::Postgres,
        Self::Redis,
        Self::Kafka,
        Self::KafkaController,
        Self::ClickHouse,
        Self::Qdrant,
        Self::Registry,
        Self::Http,
        Self::Grpc,
    ];

    /// The first port to try; not the well-known one, which is left to a server installed on the machine. All are below
    /// 32768, where Linux's default range for outgoing connections begins: a connection in that range could occupy a
    /// service's port while the service restarts.
    pub fn first_candidate(self) -> u16 {
        match self {
            Self::Postgres => 5433,
            Self::Redis => 6380,
            Self::Kafka => 9093,
            Self::KafkaController => 9193,
            Self::ClickHouse => 8124,
            Self::Qdrant => 6335,
            Self::Registry => 8082,
            Self::Http => 8080,
            Self::Grpc => 15_051,
        }
    }
}

/// The ports of one stack, locked against other stacks of the same user until dropped.
#[derive(Debug)]
pub struct AllocatedPorts {
    numbers: BTreeMap<ServicePort, u16>,
    /// Held until the stack has stopped.
    locks: Vec<ProcessLock>,
}

impl AllocatedPorts {
    /// Chooses a port for each of the `wanted` services.
    ///
    /// # Errors
    /// If a requested port is in use, or no port is free.
    pub fn choose(
        wanted: &[ServicePort],
        requested: &BTreeMap<ServicePort, u16>,
        remembered: &BTreeMap<ServicePort, u16>,
    ) -> anyhow::Result<Self> {
        let mut ports = Self { numbers: BTreeMap::new(), locks: Vec::new() };
        for &port in wanted {
            let (number, lock) = match requested.get(&port) {
                Some(&number) => {
                    (number, lock_port(number).with_context(|| format!("reserving port {number} for {port:?}"))?)
                }
                None => ports.find_free(port, remembered.get(&port).copied())?,
            };
            ports.numbers.insert(port, number);
            ports.locks.push(lock);
        }
        Ok(ports)
    }

    /// The number chosen for `port`.
    ///
    /// # Errors
    /// If it was not among the wanted ones.
    pub fn number(&self, port: ServicePort) -> anyhow::Result<u16> {
        self.numbers.get(&port).copied().with_context(|| format!("no port was chosen for {port:?}"))
    }

    /// All chosen numbers.
    pub fn numbers(&self) -> &BTreeMap<ServicePort, u16> {
        &self.numbers
    }

    fn find_free(&self, port: ServicePort, remembered: Option<u16>) -> anyhow::Result<(u16, ProcessLock)> {
        let candidates =
            remembered.into_iter().chain(port.first_candidate()..=port.first_candidate().saturating_add(1000));
        let taken = |number: &u16| self.numbers.values().any(|other| other == number);
        candidates
            .filter(|number| !taken(number))
            .find_map(|number| Some((number, lock_port(number).ok()?)))
            .with_context(|| format!("no port from {} on is free for {port:?}", port.first_candidate()))
    }
}

/// Locks a port number that no process listens on. Checking that it is free is not enough: the engine binds it later,
/// and two stacks that start at the same time would both find it free.
fn lock_port(number: u16) -> anyhow::Result<ProcessLock> {
    let folder = locks_folder();
    folder::create_folder(&folder)?;
    let lock = ProcessLock::acquire(&folder.join(number.to_string()))?;
    match TcpListener::bind(("127.0.0.1", number)) {
        Ok(_listener) => Ok(lock),
        Err(error) => bail!("another program listens on 127.0.0.1:{number} ({error})"),
    }
}

fn locks_folder() -> PathBuf {
    env::temp_dir().join(format!("medhub-local-ports-{}", Uid::effective()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // No fixed numbers: any of them may be the local port of a connection of this machine.

    fn choose_port(port: ServicePort, requested: &[u16], remembered: &[u16]) -> anyhow::Result<AllocatedPorts> {
        let by_service = |numbers: &[u16]| numbers.iter().map(|&number| (port, number)).collect();
        AllocatedPorts::choose(&[port], &by_service(requested), &by_service(remembered))
    }

    #[test]
    fn a_port_that_another_program_uses_is_skipped() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken = listener.local_addr().unwrap().port();
        let ports = choose_port(ServicePort::Http, &[], &[taken]).unwrap();
        assert_ne!(ports.number(ServicePort::Http).unwrap(), taken);
    }

    #[test]
    fn a_port_of_one_stack_is_refused_to_another() {
        let first = choose_port(ServicePort::Redis, &[], &[]).unwrap();
        let number = first.number(ServicePort::Redis).unwrap();
        let second = choose_port(ServicePort::Redis, &[number], &[]);
        assert!(format!("{:#}", second.unwrap_err()).contains(&std::process::id().to_string()));
    }

    #[test]
    fn a_remembered_port_is_used_again() {
        let first = choose_port(ServicePort::Kafka, &[], &[]).unwrap();
        let second = choose_port(ServicePort::Kafka, &[], &[]).unwrap();
        let remembered = second.number(ServicePort::Kafka).unwrap();
        drop((first, second));
        let ports = choose_port(ServicePort::Kafka, &[], &[remembered]).unwrap();
        assert_eq!(ports.number(ServicePort::Kafka).unwrap(), remembered);
    }
}
