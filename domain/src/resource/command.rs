//! What can be asked of a resource.

use super::value::Asset;
use crate::value::Stamp;

/// A wish about one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceCommand {
    /// Make it.
    Create {
        /// What it holds.
        asset: Asset,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Let it hold something else.
    Update {
        /// What it is to hold.
        asset: Asset,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Do away with it for good.
    Delete {
        /// Who wishes it, and when.
        stamp: Stamp,
    },
}
