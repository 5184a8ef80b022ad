//! What one process of the service does.

use clap::ValueEnum;

use crate::store::Engine;

/// What a process does; each scales on its own. Every role serves `/health` and `/ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Everything in one process
    All,
    /// GraphQL
    Api,
    /// Carries events from Postgres to Kafka; one leads, others stand by
    Relay,
    /// Carries events from Kafka into `ClickHouse`, Qdrant and Redis
    Projections,
    /// Serves the schema registry from Postgres, for `SCHEMA_REGISTRY_URL`; not part of `all`
    Registry,
}

impl Role {
    /// The engines it cannot do without.
    pub fn engines(self) -> &'static [Engine] {
        match self {
            Self::All | Self::Projections => &Engine::ALL,
            Self::Api => &[Engine::Postgres, Engine::ClickHouse, Engine::Qdrant, Engine::Redis],
            Self::Relay => &[Engine::Postgres, Engine::Kafka, Engine::Registry],
            Self::Registry => &[Engine::Postgres],
        }
    }

    /// Whether it needs the model that tells meanings, to find or to index.
    pub(crate) fn embeds(self) -> bool {
        self.engines().contains(&Engine::Qdrant)
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
}
