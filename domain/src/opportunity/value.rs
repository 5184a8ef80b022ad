//! The values of notices. Each is validated when constructed, not when read back from an event.

mod award;
mod code;
mod notice;
mod resource_link;

pub use self::{
    award::{Award, UsdCents},
    code::{CancellationReason, NaicsCode, NoticeId, NoticeType, SetAside},
    notice::{Notice, NoticeDetails, NoticeSource, PlaceOfPerformance},
    resource_link::{MAX_RESOURCE_LINKS, ResourceLink, ResourceLinks},
};
pub use crate::value::InvalidValue;
