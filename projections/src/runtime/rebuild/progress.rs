//! How far a rebuild is, as it is shown.

use crate::runtime::ReadModelGeneration;

/// Phase of one projection in a rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebuildPhase {
    /// Its generation is filled from the log.
    Filling,
    /// It follows Kafka and has not caught up yet.
    CatchingUp,
    /// It is verified.
    Verifying,
    /// It is verified and waits for the other projections.
    Verified,
    /// It is active.
    Switched,
}

impl RebuildPhase {
    /// Its name in tables and API responses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::CatchingUp => "catching_up",
            Self::Verifying => "verifying",
            Self::Verified => "verified",
            Self::Switched => "switched",
        }
    }

    /// The phases that may precede this one. It includes itself, because a phase begins again after a crash.
    pub(super) fn allowed_predecessors(self) -> [Self; 3] {
        match self {
            Self::Filling => [Self::Filling; 3],
            Self::CatchingUp => [Self::Filling, Self::CatchingUp, Self::CatchingUp],
            // A resumed rebuild verifies again.
            Self::Verifying => [Self::CatchingUp, Self::Verifying, Self::Verified],
            Self::Verified => [Self::Verifying, Self::Verified, Self::Verified],
            Self::Switched => [Self::Verified, Self::Switched, Self::Switched],
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Filling, Self::CatchingUp, Self::Verifying, Self::Verified, Self::Switched];
        all.into_iter().find(|phase| phase.name() == name)
    }
}

/// Progress of one projection in a rebuild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildPartProgress {
    /// The projection.
    pub projection: String,
    /// The generation that is built.
    pub generation: ReadModelGeneration,
    /// Its phase.
    pub phase: RebuildPhase,
    /// The position of the log that it has reached.
    pub position: u64,
    /// The position of the log that it has to reach; 0 while unknown.
    pub target: u64,
    /// Events read from the log.
    pub events: u64,
}

/// Progress of a rebuild.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RebuildProgress {
    /// Id of the rebuild; 0 before it has begun.
    pub id: i64,
    /// Whether it resumed an interrupted one.
    pub continued: bool,
    /// Progress of each projection.
    pub parts: Vec<RebuildPartProgress>,
}

impl RebuildProgress {
    pub(super) fn count_projection_events(&self, projection: &str) -> u64 {
        self.parts.iter().find(|part| part.projection == projection).map_or(0, |part| part.events)
    }
}
