//! The roles of a fleet.

/// A role of processes that a fleet has several of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FleetRole {
    /// Serves the schemas of events.
    Registry,
    /// Publishes the log.
    Relay,
    /// Applies events to read models.
    Projections,
    /// Serves GraphQL and REST.
    Api,
    /// Works on tasks.
    Work,
    /// Reacts to events.
    Processes,
}

impl FleetRole {
    /// All roles, in the order in which a release is rolled out: what reads events before what records new ones.
    pub const ALL: [Self; 6] = [Self::Registry, Self::Relay, Self::Projections, Self::Api, Self::Work, Self::Processes];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Relay => "relay",
            Self::Projections => "projections",
            Self::Api => "api",
            Self::Work => "work",
            Self::Processes => "processes",
        }
    }

    /// Whether others send requests to its processes.
    pub(super) fn has_clients(self) -> bool {
        matches!(self, Self::Registry | Self::Api)
    }

    /// How many processes of it a fleet has.
    pub fn size(self) -> usize {
        match self {
            // As many workers of each projection.
            Self::Projections => 3,
            Self::Registry | Self::Relay | Self::Api | Self::Work | Self::Processes => 2,
        }
    }
}
