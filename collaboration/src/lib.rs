//! Writing a proposal together: concurrent edits merged without loss, and who is there (row D10).
//!
//! ```text
//! editor ──y-websocket──▶ room ──▶ Postgres (updates) ──settling──▶ EditTogether ──▶ event store
//!    ▲                     │ ▲           ▲                                                │
//!    └── updates, presence ┘ │           └──────── what others changed by commands ◀──────┘
//!              other processes by Redis
//! ```
//!
//! A proposal has one [Yjs](https://docs.yjs.dev) document; its text `approach` is the section with the key `approach`.
//! Edits of a CRDT (Nédelec and others; YATA for Yjs) merge in any order to the same text, so that nobody waits for
//! anybody and nothing is overwritten. Keystrokes are no business events: they are kept as updates in Postgres before
//! anybody else sees them, and once the writing pauses, what came of it is recorded as `proposal.section_edited`.
//!
//! [`SharedText`] is the document, [`PgTexts`] keeps it, [`Settling`] brings it and the proposal's events together,
//! [`Rooms`] lets people in.

mod error;
mod message;
mod peers;
mod presence;
mod room;
mod rooms;
mod seat;
mod settle;
mod store;
mod text;
mod text_size;
mod update_contents;
mod wire_reader;

pub(crate) use self::store::Place;
pub use self::{
    error::{RefusedUpdate, TextError},
    peers::PeersConfig,
    rooms::{CollaborationConfig, Rooms},
    seat::{Seat, SeatEnd, SeatMessage},
    settle::{Settled, Settling},
    store::PgTexts,
    text::SharedText,
};
