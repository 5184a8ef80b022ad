//! Events under the events that caused them.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use cqrs_es::Aggregate as _;
use domain::{envelope::RawEnvelope, task::Task};
use uuid::Uuid;

use super::event_summary::{clean_text, summarize_payload};

/// Longest id or name that is printed, in characters.
const MAX_NAME_CHARS: usize = 200;

/// An event, without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TrailEvent {
    pub(super) position: u64,
    pub(super) event_id: Uuid,
    pub(super) recorded_at: DateTime<Utc>,
    pub(super) event_type: String,
    pub(super) event_version: String,
    pub(super) tenant_id: String,
    pub(super) aggregate_type: String,
    /// The aggregate's id within its tenant.
    pub(super) local_id: String,
    pub(super) sequence: u64,
    pub(super) user_id: String,
    /// Empty if the event names no cause.
    pub(super) causation_id: String,
    pub(super) summary: String,
}

/// Where the cause of an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventCause {
    /// A person or a program sent the command; the event names no cause.
    Request,
    /// The event above.
    Event(Uuid),
    /// The event names a cause that is not in the tree.
    Elsewhere,
}

/// An event's place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TreeRow<'a> {
    pub(super) event: &'a TrailEvent,
    pub(super) cause: EventCause,
    /// Number of events above it.
    pub(super) depth: usize,
    /// Whether it is the last event with its cause.
    pub(super) is_last: bool,
    /// Whether events follow that it caused.
    pub(super) has_effects: bool,
}

/// The events of one correlation id, in the order of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventTree {
    events: Vec<TrailEvent>,
    /// The index of each event's cause.
    parents: Vec<Option<usize>>,
}

impl TrailEvent {
    pub(super) fn from_envelope(event: &RawEnvelope) -> Self {
        let name = |text: &str| clean_text(text, MAX_NAME_CHARS);
        Self {
            position: event.position,
            event_id: event.event_id,
            recorded_at: event.recorded_at,
            event_type: name(&event.event_type),
            event_version: name(&event.event_version),
            tenant_id: name(&event.tenant_id),
            aggregate_type: name(&event.aggregate_type),
            local_id: name(event.local_id()),
            sequence: event.sequence,
            user_id: name(&event.metadata.user_id),
            causation_id: name(&event.metadata.causation_id),
            summary: summarize_payload(&event.payload),
        }
    }
}

impl EventTree {
    /// Puts each event under its cause. Only an earlier event can be a cause.
    pub(super) fn new(mut events: Vec<TrailEvent>) -> Self {
        events.sort_by_key(|event| event.position);
        let by_id: HashMap<Uuid, usize> =
            events.iter().enumerate().map(|(index, event)| (event.event_id, index)).collect();
        let parent_of = |(index, event): (usize, &TrailEvent)| {
            let cause = Uuid::parse_str(&event.causation_id).ok()?;
            by_id.get(&cause).copied().filter(|parent| *parent < index)
        };
        let parents = events.iter().enumerate().map(parent_of).collect();
        Self { events, parents }
    }

    /// The number of events.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// The first event of the log.
    pub(super) fn first(&self) -> Option<&TrailEvent> {
        self.events.first()
    }

    /// The last event of the log.
    pub(super) fn last(&self) -> Option<&TrailEvent> {
        self.events.last()
    }

    /// The number of streams.
    pub(super) fn count_streams(&self) -> usize {
        let stream =
            |event: &TrailEvent| (event.tenant_id.clone(), event.aggregate_type.clone(), event.local_id.clone());
        self.events.iter().map(stream).collect::<BTreeSet<_>>().len()
    }

    /// The tasks among the streams, as tenant and id, `limit` at most.
    pub(super) fn list_tasks(&self, limit: usize) -> Vec<(String, String)> {
        let tasks = self.events.iter().filter(|event| event.aggregate_type == Task::TYPE);
        let tasks: BTreeSet<_> = tasks.map(|event| (event.tenant_id.clone(), event.local_id.clone())).collect();
        tasks.into_iter().take(limit).collect()
    }

    /// The events from top to bottom: each below its cause, those with the same cause in the order of the log.
    pub(super) fn rows(&self) -> Vec<TreeRow<'_>> {
        let mut effects: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
        for (index, parent) in self.parents.iter().enumerate() {
            effects.entry(*parent).or_default().push(index);
        }
        let mut rows = Vec::with_capacity(self.events.len());
        // A stack instead of recursion: a chain of causes may be long.
        let mut pending: Vec<(usize, usize, bool)> = vec![];
        let push = |pending: &mut Vec<(usize, usize, bool)>, parent: Option<usize>, depth: usize| {
            let children = effects.get(&parent).map(Vec::as_slice).unwrap_or_default();
            pending.extend(children.iter().rev().enumerate().map(|(from_end, child)| (*child, depth, from_end == 0)));
        };
        push(&mut pending, None, 0);
        while let Some((index, depth, is_last)) = pending.pop() {
            let Some(event) = self.events.get(index) else { continue };
            let cause = match self.parents.get(index).copied().flatten().and_then(|parent| self.events.get(parent)) {
                Some(parent) => EventCause::Event(parent.event_id),
                None if event.causation_id.is_empty() => EventCause::Request,
                None => EventCause::Elsewhere,
            };
            let has_effects = effects.contains_key(&Some(index));
            rows.push(TreeRow { event, cause, depth, is_last, has_effects });
            push(&mut pending, Some(index), depth + 1);
        }
        rows
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An event whose id and position are `number`, caused by the event `cause`; 0 is none.
    pub(in super::super) fn event(number: u64, cause: u64) -> TrailEvent {
        let id = |number: u64| Uuid::from_u128(u128::from(number));
        TrailEvent {
            position: number,
            event_id: id(number),
            recorded_at: DateTime::from_timestamp_millis(1_772_540_270_000 + 500 * i64::try_from(number).unwrap())
                .unwrap(),
            event_type: "task.requested".into(),
            event_version: "1.0".into(),
            tenant_id: "acme".into(),
            aggregate_type: "task".into(),
            local_id: format!("t{number}"),
            sequence: 1,
            user_id: "ann".into(),
            causation_id: if cause == 0 { String::new() } else { id(cause).to_string() },
            summary: String::new(),
        }
    }

    fn shape(tree: &EventTree) -> Vec<(u64, usize, bool)> {
        tree.rows().iter().map(|row| (row.event.position, row.depth, row.is_last)).collect()
    }

    #[test]
    fn events_stand_below_their_causes_in_the_order_of_the_log() {
        let tree = EventTree::new(vec![event(5, 1), event(1, 0), event(2, 1), event(3, 2), event(4, 0)]);
        assert_eq!(shape(&tree), [(1, 0, false), (2, 1, false), (3, 2, true), (5, 1, true), (4, 0, true)]);
    }

    #[test]
    fn causes_that_are_elsewhere_or_later_make_an_event_a_root() {
        let tree = EventTree::new(vec![event(1, 2), event(2, 9), event(3, 3), event(4, 0)]);
        assert_eq!(shape(&tree), [(1, 0, false), (2, 0, false), (3, 0, false), (4, 0, true)]);
        let causes: Vec<_> = tree.rows().iter().map(|row| row.cause).collect();
        assert_eq!(causes, [EventCause::Elsewhere, EventCause::Elsewhere, EventCause::Elsewhere, EventCause::Request]);
    }

    #[test]
    fn a_long_chain_needs_no_recursion() {
        let tree = EventTree::new((1..=10_000).map(|number| event(number, number - 1)).collect());
        assert_eq!(shape(&tree).last(), Some(&(10_000, 9_999, true)));
    }
}
