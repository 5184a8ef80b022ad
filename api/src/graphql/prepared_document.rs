//! A document that is measured and ready to be executed.

use async_graphql::{Request, parser::types::OperationType};

use super::{QueryCost, query_cost::MeasuredOperation};

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

    pub(super) fn into_request(self) -> Request {
        self.request
    }
}
