//! The parts of a run of all benchmarks.

/// A benchmark that `bench all` runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BenchPart {
    /// Appends beside pgbench.
    Append,
    /// The reader of the log beside `COPY`.
    Replay,
    /// The relay beside a plain producer.
    Relay,
    /// Rebuilds of the read models beside plain clients.
    Rebuild,
    /// Workers of the read models beside plain clients.
    Project,
    /// Time from commit to visible.
    Latency,
    /// Requests to a service.
    Api,
    /// Analysis of documents by a service.
    Documents,
}

impl BenchPart {
    /// All parts, in the order of a run.
    pub const ALL: [Self; 8] = [
        Self::Append,
        Self::Replay,
        Self::Relay,
        Self::Rebuild,
        Self::Project,
        Self::Latency,
        Self::Api,
        Self::Documents,
    ];

    /// Names of all parts, in the same order.
    pub const NAMES: [&'static str; 8] =
        ["append", "replay", "relay", "rebuild", "project", "latency", "api", "documents"];

    /// Returns the name, which is also the subcommand's.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.into_iter().zip(Self::NAMES).find(|(part, _)| *part == self);
        named.map_or("", |(_, name)| name)
    }

    /// Returns the part with a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }
}
