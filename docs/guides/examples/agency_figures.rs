//! Opportunities and their notices by agency, in `Redis`.
//!
//! The agency is the part of an opportunity's id before the colon; opportunities without a solicitation number are
//! counted under `notice`. It is the hash tag of all of its keys.
//!
//! | key below `medhub:agencies:g1:{<agency>}:` | what it holds |
//! | --- | --- |
//! | `opportunity:<id>` | version, and number of notices |
//! | `figures` | number of opportunities, and of notices |

mod projection;
mod queries;
mod verify;
mod write;

pub use self::{
    projection::NoticeCount,
    queries::{AgencyFigures, AgencyTotals},
};
