//! The roles of a process of the service.

use clap::ValueEnum;

use api::app_context::BackingService;

use crate::config::WorkConfig;

/// The role of a process; roles scale independently. Every role serves `/health` and `/ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProcessRole {
    /// All roles but `registry` in one process
    All,
    /// Serves GraphQL, REST, gRPC and WebSockets
    Api,
    /// Publishes events from Postgres to Kafka; one process leads, the others stand by
    Relay,
    /// Applies events from Kafka to the read models in Postgres, `ClickHouse`, Qdrant and Redis
    Projections,
    /// Runs processes: reacts to events and timeouts with commands
    Processes,
    /// Works on tasks: extracts and analyses documents, generates proposals
    Work,
    /// Serves the schema registry, stored in Postgres, for `SCHEMA_REGISTRY_URL`; not part of `all`
    Registry,
}

impl ProcessRole {
    /// Returns the engines that the role requires.
    pub fn required_services(self, work: &WorkConfig) -> &'static [BackingService] {
        match self {
            Self::All => &BackingService::ALL,
            Self::Projections => &[
                BackingService::POSTGRES,
                BackingService::REGISTRY,
                BackingService::KAFKA,
                BackingService::CLICKHOUSE,
                BackingService::QDRANT,
                BackingService::REDIS,
                BackingService::Lists,
            ],
            Self::Api => &[
                BackingService::POSTGRES,
                BackingService::CLICKHOUSE,
                BackingService::QDRANT,
                BackingService::REDIS,
                BackingService::Lists,
                BackingService::Objects,
            ],
            Self::Relay | Self::Processes => {
                &[BackingService::POSTGRES, BackingService::KAFKA, BackingService::REGISTRY]
            }
            // To generate proposals it searches, and publishes their progress.
            Self::Work if work.generate_proposal > 0 => {
                &[BackingService::POSTGRES, BackingService::QDRANT, BackingService::REDIS, BackingService::Objects]
            }
            // Analyses read the resources of companies from Redis, but do without them.
            Self::Work => &[BackingService::POSTGRES, BackingService::Objects],
            Self::Registry => &[BackingService::POSTGRES],
        }
    }

    /// Whether the role needs the embedding model, to search or to index. Work on tasks searches when it generates
    /// proposals.
    pub(crate) fn needs_embedding_model(self, work: &WorkConfig) -> bool {
        self.required_services(work).contains(&BackingService::QDRANT)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roles_that_read_or_write_lists_require_their_database() {
        let roles = ProcessRole::value_variants().iter().copied();
        let requiring: Vec<_> = roles
            .filter(|role| role.required_services(&WorkConfig::default()).contains(&BackingService::Lists))
            .collect();
        assert_eq!(requiring, [ProcessRole::All, ProcessRole::Api, ProcessRole::Projections]);
    }

    #[test]
    fn work_requires_the_engines_of_its_tasks() {
        let all = WorkConfig::default();
        let documents = WorkConfig { generate_proposal: 0, ..WorkConfig::default() };
        let role = ProcessRole::Work;
        let expected = [BackingService::POSTGRES, BackingService::Objects];
        assert_eq!(role.required_services(&documents), expected);
        assert!(!role.needs_embedding_model(&documents));
        let searched = [BackingService::QDRANT, BackingService::REDIS];
        assert!(searched.iter().all(|service| role.required_services(&all).contains(service)));
        assert!(role.needs_embedding_model(&all) && !ProcessRole::Processes.needs_embedding_model(&all));
    }
}
