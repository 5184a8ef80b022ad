//! Spans of operations and of their fields at the top, which load and change what the document asks for.

use std::sync::Arc;

use async_graphql::{
    ObjectType, SchemaBuilder, ServerResult, SubscriptionType, Value,
    async_trait::async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextResolve, ResolveInfo},
    parser::types::OperationType,
};
use telemetry::SPAN_TARGET;
use tracing::{Instrument, Span, field::Empty};

use super::operation_metrics::operation_name;

/// The span of an operation. Its name is chosen by the client, who may send any number of them, and is no part of it.
pub(super) fn operation_span(kind: OperationType) -> Span {
    let kind = operation_name(kind);
    tracing::info_span!(target: SPAN_TARGET, "graphql", otel.name = kind, "graphql.operation.type" = kind)
}

/// Adds spans of resolvers to a schema whose process exports them. Otherwise an extension would only cost time.
pub(super) fn trace_resolvers<Q, M, S>(schema: SchemaBuilder<Q, M, S>) -> SchemaBuilder<Q, M, S>
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    if telemetry::is_exporting() { schema.extension(ResolverSpanFactory) } else { schema }
}

struct ResolverSpanFactory;

impl ExtensionFactory for ResolverSpanFactory {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(ResolverSpans)
    }
}

struct ResolverSpans;

#[async_trait]
impl Extension for ResolverSpans {
    async fn resolve(
        &self,
        context: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        if info.path_node.parent.is_some() || info.is_for_introspection {
            return next.run(context, info).await;
        }
        let span = tracing::info_span!(
            target: SPAN_TARGET,
            "resolver",
            otel.name = format_args!("{}.{}", info.parent_type, info.name),
            otel.status_code = Empty,
        );
        let resolved = next.run(context, info).instrument(span.clone()).await;
        if resolved.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        resolved
    }
}
