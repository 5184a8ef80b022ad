//! The values of notices. Each is validated when constructed, not when read back from an event.

mod award;
mod code;
mod notice;

pub use self::{
    award::{Award, UsdCents},
    code::{CancellationReason, NaicsCode, NoticeId, NoticeType, SetAside},
    notice::{Notice, NoticeDetails, NoticeSource, PlaceOfPerformance},
};
pub use crate::value::InvalidValue;
