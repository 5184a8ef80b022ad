//! The words that notices are made of; each checks itself when made, not when read back from an event.

mod award;
mod code;
mod notice;

pub use self::{
    award::{Award, Cents},
    code::{CancellationReason, Naics, NoticeId, NoticeType, SetAside},
    notice::{Facts, Notice, NoticeSource, Place},
};
pub use crate::value::InvalidValue;
