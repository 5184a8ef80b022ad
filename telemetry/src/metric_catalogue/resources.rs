//! Utilization, saturation and errors of the limited resources of a process.

use super::{MetricGroup, counter, gauge};

pub(super) const RESOURCES: MetricGroup = MetricGroup {
    title: "Resources of a process",
    metrics: &[
        gauge(
            "db_client_connection_count",
            &["db_client_connection_pool_name", "db_client_connection_state"],
            "Connections of the Postgres pool: `idle` or `used`",
        ),
        gauge(
            "db_client_connection_max",
            &["db_client_connection_pool_name"],
            "Connections that the Postgres pool may have",
        ),
        gauge("process_resident_memory_bytes", &[], "Memory of the process that is in RAM"),
        gauge("process_open_fds", &[], "Open file descriptors of the process"),
        gauge("process_max_fds", &[], "File descriptors that the process may have open"),
        gauge("process_start_time_seconds", &[], "When the process began to record metrics, in seconds since 1970"),
        gauge("medhub_runtime_workers", &[], "Threads that run the tasks of the runtime"),
        gauge("medhub_runtime_tasks", &[], "Tasks of the runtime that are alive"),
        gauge(
            "medhub_runtime_queued_tasks",
            &[],
            "Tasks that are ready and wait for a thread, in the common queue of the runtime",
        ),
        counter(
            "medhub_log_records_dropped_total",
            &["reason"],
            "Lines of the log that were not sent by OTLP. `reason`: `queue_full`, too many waited; `export_failed`, the collector \
             was away or refused a batch; single lines that it rejects are in the log only",
        ),
    ],
};
