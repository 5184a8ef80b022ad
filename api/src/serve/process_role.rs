//! What one process of the service does.

use clap::ValueEnum;

use crate::app_context::BackingService;

/// What a process does; each scales on its own. Every role serves `/health` and `/ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProcessRole {
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

impl ProcessRole {
    /// The engines it cannot do without.
    pub fn required_services(self) -> &'static [BackingService] {
        match self {
            Self::All | Self::Projections => &BackingService::ALL,
            Self::Api => {
                &[BackingService::Postgres, BackingService::ClickHouse, BackingService::Qdrant, BackingService::Redis]
            }
            Self::Relay => &[BackingService::Postgres, BackingService::Kafka, BackingService::Registry],
            Self::Registry => &[BackingService::Postgres],
        }
    }

    /// Whether it needs the model that tells meanings, to find or to index.
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
}
