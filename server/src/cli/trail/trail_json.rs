//! A trail as JSON.

use chrono::{DateTime, SecondsFormat, Utc};
use processes::{InstanceRow, PendingCommandRow};
use serde_json::{Value, json};
use task_workers::TaskQueueRow;

use super::{
    CorrelationTrail,
    event_tree::{EventCause, TreeRow},
    trail_text::seconds_between,
};

/// The trail as one object. Events are in the order of the tree, and name their parents.
pub(super) fn format_trail(trail: &CorrelationTrail) -> Value {
    let started_at = trail.events.first().map(|event| event.recorded_at);
    let events = trail.events.rows();
    json!({
        "correlationId": trail.correlation_id,
        "totalEvents": trail.total_events,
        "events": events.iter().map(|row| format_event(row, started_at)).collect::<Vec<_>>(),
        "instances": trail.instances.iter().map(format_instance).collect::<Vec<_>>(),
        "pendingCommands": trail.pending_commands.iter().map(format_command).collect::<Vec<_>>(),
        "tasks": trail.tasks.iter().map(format_task).collect::<Vec<_>>(),
    })
}

fn format_event(row: &TreeRow<'_>, started_at: Option<DateTime<Utc>>) -> Value {
    let event = row.event;
    let parent = match row.cause {
        EventCause::Event(id) => Some(id),
        EventCause::Request | EventCause::Elsewhere => None,
    };
    json!({
        "eventId": event.event_id,
        "parentId": parent,
        "causationId": Some(&event.causation_id).filter(|id| !id.is_empty()),
        "depth": row.depth,
        "position": event.position,
        "recordedAt": event.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        "offsetSeconds": started_at.map(|start| seconds_between(start, event.recorded_at)),
        "eventType": event.event_type,
        "version": event.event_version,
        "tenantId": event.tenant_id,
        "aggregateType": event.aggregate_type,
        "aggregateId": event.local_id,
        "sequence": event.sequence,
        "userId": event.user_id,
        "summary": event.summary,
    })
}

fn format_instance(row: &InstanceRow) -> Value {
    json!({
        "process": row.process,
        "tenantId": row.key.tenant_id,
        "instanceId": row.key.instance_id,
        "status": row.status.name(),
        "waitsFor": row.waits_for,
        "waitsSince": row.waits_since,
        "startedAt": row.started_at,
        "nextTimerAt": row.next_timer_at,
        "pendingCommands": row.pending_commands,
        "lastError": row.last_error,
        "note": row.note,
    })
}

fn format_command(row: &PendingCommandRow) -> Value {
    json!({
        "process": row.process,
        "tenantId": row.key.tenant_id,
        "instanceId": row.key.instance_id,
        "command": row.command,
        "causationId": row.causation_id,
        "attempts": row.attempts,
        "dueAt": row.due_at,
        "lastError": row.last_error,
    })
}

fn format_task(row: &TaskQueueRow) -> Value {
    json!({
        "tenantId": row.tenant_id,
        "taskId": row.task_id,
        "kind": row.kind,
        "status": row.status,
        "failures": row.failures,
        "worker": row.worker,
        "claimableAt": row.claimable_at,
        "changedAt": row.changed_at,
    })
}
