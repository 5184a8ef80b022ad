//! Processes, tasks, mail, jobs and the synchronisation with SAM.gov.

use super::{MetricGroup, counter, gauge, histogram};

pub(super) const WORK: MetricGroup = MetricGroup {
    title: "Processes and tasks",
    metrics: &[
        counter("medhub_process_commands_total", &["process", "outcome"], "Commands that processes have sent"),
        gauge("medhub_process_commands_pending", &[], "Commands of processes that are not sent"),
        gauge("medhub_process_commands_oldest_seconds", &[], "How long the oldest of them has been due"),
        gauge("medhub_process_instances_stalled", &[], "Instances of processes that wait for a person"),
        counter("medhub_process_timeouts_total", &["process"], "Timers of processes that have fired"),
        gauge(
            "medhub_task_queue_tasks",
            &["kind", "state"],
            "Tasks in the queue, without those that tenants request for workers of their own. `state`: `waiting` for a worker, \
             `claimed`, or `delayed` by the pause after a failed attempt",
        ),
        gauge("medhub_task_queue_oldest_seconds", &["kind"], "How long the oldest waiting task has waited"),
        gauge("medhub_task_workers_busy", &["kind"], "Tasks that this process works on"),
        gauge("medhub_task_workers_limit", &["kind"], "Tasks that this process works on at most"),
        counter("medhub_task_attempts_total", &["kind", "outcome"], "Attempts at tasks, by how they ended"),
        histogram("medhub_task_attempt_duration_seconds", &["kind", "outcome"], "Time that an attempt at a task took"),
    ],
};

pub(super) const MAIL_AND_JOBS: MetricGroup = MetricGroup {
    title: "Mail, jobs and SAM.gov",
    metrics: &[
        gauge("medhub_mails_waiting", &[], "Mails that are due and not sent"),
        counter("medhub_mails_total", &["outcome"], "Mails, by what came of them"),
        gauge("medhub_mail_server_available", &[], "1 while the mail server answers, 0 otherwise"),
        counter("medhub_job_runs_total", &["scheduled_job", "outcome"], "Runs of scheduled jobs"),
        histogram("medhub_job_seconds", &["scheduled_job"], "Time that a run of a scheduled job took"),
        gauge(
            "medhub_sam_gov_last_success_timestamp_seconds",
            &["source"],
            "When a source was last read to its end, in seconds since 1970",
        ),
        gauge("medhub_sam_gov_lag_seconds", &["source"], "Time since a source was last read to its end"),
        gauge("medhub_sam_gov_last_run_failed", &["source"], "1 if the last run of a source failed, 0 otherwise"),
        gauge("medhub_sam_gov_quota_left", &["source"], "Requests that SAM.gov still allows today"),
        gauge("medhub_feature_flags_age_seconds", &[], "Age of the feature flags that this process uses"),
    ],
};
