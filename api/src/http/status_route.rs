//! Routes that report on the process: they stay reachable when the process refuses everything else.

/// Paths of every edge and of the schema registry. The call of gRPC is the one that answers once; a watch lasts.
const STATUS_PATHS: [&str; 5] = ["/health", "/ready", "/metrics", "/slo", "/grpc.health.v1.Health/Check"];

/// Whether a path reports on the process.
pub(super) fn is_status_path(path: &str) -> bool {
    STATUS_PATHS.contains(&path)
}
