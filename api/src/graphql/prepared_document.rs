//! A document between being measured and being run.

use async_graphql::{Request, parser::types::OperationType};

use super::{DocumentCost, document_cost::MeasuredOperation};

/// A document that was read and measured, and may be run.
pub(crate) struct PreparedDocument {
    request: Request,
    measured: MeasuredOperation,
}

impl PreparedDocument {
    pub(super) fn new(request: Request, measured: MeasuredOperation) -> Self {
        Self { request, measured }
    }

    /// What it costs to run it.
    pub(crate) fn cost(&self) -> DocumentCost {
        self.measured.cost
    }

    /// Whether it reads, changes something or goes on.
    pub(crate) fn kind(&self) -> OperationType {
        self.measured.kind
    }

    pub(super) fn into_request(self) -> Request {
        self.request
    }
}
