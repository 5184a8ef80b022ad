//! From the command to the read models.

use super::{MetricGroup, counter, gauge, histogram};

pub(super) const COMMANDS: MetricGroup = MetricGroup {
    title: "Commands and events",
    metrics: &[
        histogram(
            "medhub_command_duration_seconds",
            &["aggregate_type", "outcome"],
            "Time to execute a command: load, decide, append; of commands that are executed together, the time of all. `outcome`: \
             `recorded`; `unchanged`; `refused` by a rule; `forbidden`; `outdated`; `conflict`, after all attempts; `failed`; \
             `cancelled`, by a time limit or its client",
        ),
        counter(
            "medhub_events_recorded_total",
            &["aggregate_type", "event_type"],
            "Events that this process has appended to the log",
        ),
    ],
};

pub(super) const RELAY: MetricGroup = MetricGroup {
    title: "Relay",
    metrics: &[
        gauge("medhub_relay_leading", &[], "1 while this process leads, 0 while it is on standby"),
        gauge("medhub_relay_position", &[], "Position of the log up to which Kafka has acknowledged every event"),
        gauge("medhub_log_completed_position", &[], "Position up to which the log is complete"),
        counter("medhub_relay_events_total", &[], "Events that Kafka has acknowledged"),
        gauge(
            "medhub_relay_unacknowledged_records",
            &[],
            "Records of the oldest batch that Kafka has not acknowledged yet; 0 on standby",
        ),
        histogram(
            "medhub_relay_commit_to_kafka_seconds",
            &[],
            "Time from the append of the oldest event of a batch to Kafka's acknowledgement",
        ),
        gauge(
            "medhub_relay_lag_events",
            &[],
            "Events of the log that Kafka has not acknowledged, counted up to 100,000",
        ),
        gauge(
            "medhub_relay_lag_seconds",
            &[],
            "Age of the oldest event of the log that Kafka has not acknowledged; 0 without one",
        ),
        gauge(
            "medhub_relay_open_append_age_seconds",
            &[],
            "Age of the oldest transaction whose open append delays the relay; 0 without one, and on standby",
        ),
    ],
};

pub(super) const PROJECTIONS: MetricGroup = MetricGroup {
    title: "Projections",
    metrics: &[
        counter("medhub_projection_events_total", &["projection", "generation"], "Events applied"),
        counter("medhub_projection_parked_total", &["projection", "generation"], "Events parked as dead letters"),
        counter(
            "medhub_projection_healed_total",
            &["projection", "generation"],
            "Events backfilled from the log because Kafka no longer had them",
        ),
        counter("medhub_projection_retries_total", &["projection", "generation"], "Failed attempts to apply a batch"),
        counter(
            "medhub_projection_stalled_partitions_total",
            &["projection", "generation"],
            "Stalled partitions, for which the worker rejoined its group",
        ),
        counter(
            "medhub_projection_lost_brokers_total",
            &["projection", "generation"],
            "Consumers that had lost the broker while new clients found it, for which the worker rejoined its group",
        ),
        counter("medhub_projection_rebalances_total", &["projection"], "Changes of the assigned partitions"),
        gauge(
            "medhub_projection_batch_events",
            &["projection", "generation"],
            "Events of the last batch, without beacons",
        ),
        histogram("medhub_projection_apply_seconds", &["projection", "generation"], "Time to apply a batch"),
        histogram(
            "medhub_projection_delay_seconds",
            &["projection", "generation"],
            "Age of the oldest event of a batch when it was applied",
        ),
        gauge(
            "medhub_projection_batches_in_flight",
            &["projection", "generation"],
            "Batches that are fetched and not applied yet, after the last batch",
        ),
        gauge(
            "medhub_projection_batch_slots",
            &["projection", "generation"],
            "Batches that may be in flight; a worker with all of them waits for its store",
        ),
        gauge(
            "medhub_projection_lag_events",
            &["projection", "generation"],
            "Records on the topics that are not consumed, with beacons; 0 once the generation is removed or has failed",
        ),
        gauge(
            "medhub_projection_lag_seconds",
            &["projection", "generation"],
            "Age of the oldest event that is not applied; 0 if all are, and once the generation is removed or has failed. Measured from \
             outside of the worker, so it also grows while that stands still, and without Kafka",
        ),
        gauge(
            "medhub_projection_active",
            &["projection", "generation"],
            "1 if queries read the generation, 0 if it is built or retained for a rollback",
        ),
        gauge("medhub_projection_position", &["projection", "generation"], "Highest position applied"),
        gauge(
            "medhub_projection_up",
            &["projection", "generation"],
            "1 while the worker starts or runs, 0 while it retries, pauses or has stopped",
        ),
        counter("medhub_search_embedded_total", &[], "Notices whose texts were embedded for the search"),
        histogram(
            "medhub_search_matching_seconds",
            &[],
            "Time to match a batch of opportunities against the saved searches",
        ),
        counter(
            "medhub_search_matches_total",
            &["outcome"],
            "Matches of saved searches: `announced` to a process, `recorded` only, `counted` beyond the limit, or `known` before",
        ),
        gauge("medhub_saved_searches", &[], "Saved searches that opportunities are matched against"),
        counter("medhub_read_model_queries_total", &["read_model"], "Round trips to a store for queries"),
    ],
};
