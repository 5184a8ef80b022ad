//! A document that is measured and ready to be executed.

use async_graphql::{Request, parser::types::OperationType};

use super::{QueryCost, query_cost::MeasuredOperation};
use crate::http::load_shedder::RequestPriority;

/// A document that was parsed and measured, and may be executed.
pub(crate) struct PreparedDocument {
    request: Request,
    measured: MeasuredOperation,
}

impl PreparedDocument {
    pub(super) fn new(request: Request, measured: MeasuredOperation) -> Self {
        Self { request, measured }
    }

    /// Cost of executing it.
    pub(crate) fn cost(&self) -> QueryCost {
        self.measured.cost
    }

    /// Whether it is a query, a mutation or a subscription.
    pub(crate) fn kind(&self) -> OperationType {
        self.measured.kind
    }

    /// How important it is. Introspection takes much processor time, for a program.
    pub(crate) fn priority(&self) -> RequestPriority {
        match self.kind() {
            OperationType::Mutation => RequestPriority::Command,
            OperationType::Query | OperationType::Subscription if self.cost().is_introspection => {
                RequestPriority::Batch
            }
            OperationType::Query | OperationType::Subscription => RequestPriority::Query,
        }
    }

    pub(super) fn into_request(self) -> Request {
        self.request
    }
}
