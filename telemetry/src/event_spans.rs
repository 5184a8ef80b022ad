//! Spans of what handles events in batches: the relay and the workers.
//!
//! Each span is a child of the span that recorded its events, and so part of their trace. Events of one trace that a batch
//! holds together have one span, whose `messaging.batch.message_count` is their number. Events without a trace context,
//! as all unsampled ones are, cost a look at an empty text.

use std::{
    collections::{HashMap, HashSet},
    fmt::Display,
    sync::Arc,
    time::SystemTime,
};

use opentelemetry::{
    Context, KeyValue,
    context::{FutureExt, WithContext},
    global::BoxedTracer,
    trace::{SpanKind, Status, TraceContextExt, Tracer},
};

use crate::{otlp_target::INSTRUMENTATION, span_export::is_exporting, trace_context::parse_traceparent};

/// A step on the way of events through Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessagingStep<'a> {
    /// The relay sends them.
    Send,
    /// A worker of this consumer group processes them.
    Process {
        /// Name of the projection.
        projection: &'a str,
        /// Name of the consumer group.
        consumer_group: &'a str,
    },
}

impl MessagingStep<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Process { .. } => "process",
        }
    }

    fn span_kind(self) -> SpanKind {
        match self {
            Self::Send => SpanKind::Producer,
            Self::Process { .. } => SpanKind::Consumer,
        }
    }

    /// The attributes that the conventions of OpenTelemetry for messaging name.
    fn attributes(self, topic: &str, events: i64) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new("messaging.system", "kafka"),
            KeyValue::new("messaging.operation.name", self.name()),
            KeyValue::new("messaging.operation.type", self.name()),
            KeyValue::new("messaging.destination.name", topic.to_owned()),
        ];
        if events > 1 {
            attributes.push(KeyValue::new("messaging.batch.message_count", events));
        }
        if let Self::Process { projection, consumer_group } = self {
            attributes.push(KeyValue::new("messaging.consumer.group.name", consumer_group.to_owned()));
            attributes.push(KeyValue::new("medhub.projection", projection.to_owned()));
        }
        attributes
    }
}

/// Spans of one step for the events of a batch. They end when this is dropped.
#[derive(Debug, Default)]
pub struct EventSpans(Arc<Vec<EventSpan>>);

/// The span of the events that name the same trace context.
#[derive(Debug)]
struct EventSpan {
    traceparent: String,
    /// The context whose span it is.
    context: Context,
}

/// The spans of the step that the current task is at, as a value of its context.
struct CurrentEventSpans(Arc<Vec<EventSpan>>);

impl EventSpans {
    /// Starts a span for each topic and `traceparent` among `events`, at the time `start`.
    pub fn start<'a>(
        step: MessagingStep<'_>,
        start: SystemTime,
        events: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        if !is_exporting() {
            return Self::default();
        }
        let mut counts = HashMap::<(&str, &str), i64>::new();
        for (topic, traceparent) in events {
            if !traceparent.is_empty() {
                *counts.entry((topic, traceparent)).or_default() += 1;
            }
        }
        if counts.is_empty() {
            return Self::default();
        }
        let tracer = tracer();
        let spans = counts.into_iter().filter_map(|((topic, traceparent), events)| {
            let parent = parse_traceparent(traceparent).filter(opentelemetry::trace::SpanContext::is_sampled)?;
            let parent = Context::new().with_remote_span_context(parent);
            let builder = tracer
                .span_builder(format!("{} {topic}", step.name()))
                .with_kind(step.span_kind())
                .with_start_time(start)
                .with_attributes(step.attributes(topic, events));
            let span = tracer.build_with_context(builder, &parent);
            Some(EventSpan { traceparent: traceparent.to_owned(), context: parent.with_span(span) })
        });
        Self(Arc::new(spans.collect()))
    }

    /// Makes these the spans of the step that `future` is part of.
    pub fn scope<F: Future>(&self, future: F) -> WithContext<F> {
        future.with_context(Context::current_with_value(CurrentEventSpans(Arc::clone(&self.0))))
    }

    /// Starts a child of each span of the current step ([`Self::scope`]) whose `traceparent` one of the written events has:
    /// the write to a store of that kind, as OpenTelemetry names it.
    pub fn start_writes<'a>(
        projection: &str,
        store: &'static str,
        traceparents: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let current =
            Context::map_current(|context| context.get::<CurrentEventSpans>().map(|spans| Arc::clone(&spans.0)));
        let Some(parents) = current.filter(|parents| !parents.is_empty()) else { return Self::default() };
        let (tracer, written) = (tracer(), traceparents.into_iter().collect::<HashSet<_>>());
        let writes = parents.iter().filter(|parent| written.contains(parent.traceparent.as_str())).map(|parent| {
            let attributes = [
                KeyValue::new("db.system.name", store),
                KeyValue::new("db.operation.name", "write"),
                KeyValue::new("medhub.projection", projection.to_owned()),
            ];
            let builder = tracer
                .span_builder(format!("write {projection}"))
                .with_kind(SpanKind::Client)
                .with_attributes(attributes);
            let span = tracer.build_with_context(builder, &parent.context);
            EventSpan { traceparent: parent.traceparent.clone(), context: parent.context.with_span(span) }
        });
        Self(Arc::new(writes.collect()))
    }

    /// Marks the spans as failed.
    pub fn record_failure(&self, reason: &dyn Display) {
        for EventSpan { context, .. } in self.0.iter() {
            context.span().set_status(Status::error(reason.to_string()));
        }
    }
}

impl Drop for EventSpans {
    fn drop(&mut self) {
        for EventSpan { context, .. } in self.0.iter() {
            context.span().end();
        }
    }
}

fn tracer() -> BoxedTracer {
    opentelemetry::global::tracer(INSTRUMENTATION)
}
