//! Whether a process is ready, and whether all stores hold what the log holds.

mod readiness_probe;
mod store_counts;
mod stuck_worker_detector;

pub use self::{
    readiness_probe::{MonitoredPart, ReadinessProbe, ReadinessReport},
    store_counts::{
        ClickHouseCounts, CountError, GraphQlCounts, KafkaCounts, PostgresCounts, QdrantCounts, RedisCounts,
        StoreCounts,
    },
};
