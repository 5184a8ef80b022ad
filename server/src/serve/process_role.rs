//! The roles of a process of the service.

use clap::ValueEnum;

use api::app_context::BackingService;

/// The role of a process; roles scale independently. Every role serves `/health` and `/ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProcessRole {
    /// All roles but `registry` in one process
    All,
    /// Serves GraphQL, REST, gRPC and WebSockets
    Api,
    /// Publishes events from Postgres to Kafka; one process leads, the others stand by
    Relay,
    /// Applies events from Kafka to the read models in `ClickHouse`, Qdrant and Redis
    Projections,
    /// Runs processes: reacts to events and timeouts with commands
    Processes,
    /// Works on tasks: extracts and analyses documents
    Work,
    /// Serves the schema registry, stored in Postgres, for `SCHEMA_REGISTRY_URL`; not part of `all`
    Registry,
}

impl ProcessRole {
    /// Returns the engines that the role requires.
    pub fn required_services(self) -> &'static [BackingService] {
        match self {
            Self::All => &BackingService::ALL,
            Self::Projections => &[
                BackingService::Postgres,
                BackingService::Registry,
                BackingService::Kafka,
                BackingService::ClickHouse,
                BackingService::Qdrant,
                BackingService::Redis,
            ],
            Self::Api => &[
                BackingService::Postgres,
                BackingService::ClickHouse,
                BackingService::Qdrant,
                BackingService::Redis,
                BackingService::Objects,
            ],
            Self::Relay | Self::Processes => {
                &[BackingService::Postgres, BackingService::Kafka, BackingService::Registry]
            }
            Self::Work => &[BackingService::Postgres, BackingService::Objects],
            Self::Registry => &[BackingService::Postgres],
        }
    }

    /// Whether the role needs the embedding model, to search or to index.
    pub(crate) fn needs_embedding_model(self) -> bool {
        self.required_services().contains(&BackingService::Qdrant)
    }

    pub(crate) fn serves_graphql(self) -> bool {
        matches!(self, Self::All | Self::Api)
    }

    pub(super) fn runs_relay(self) -> bool {
        matches!(self, Self::All | Self::Relay)
    }

    pub(super) fn runs_workers(self) -> bool {
        matches!(self, Self::All | Self::Projections)
    }

    pub(super) fn runs_processes(self) -> bool {
        matches!(self, Self::All | Self::Processes)
    }

    pub(super) fn works_on_tasks(self) -> bool {
        matches!(self, Self::All | Self::Work)
    }
}
