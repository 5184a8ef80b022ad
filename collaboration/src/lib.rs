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
//! [`SharedText`] is the document, [`SharedTextStore`] keeps it, [`ProposalSync`] brings it and the proposal's events together,
//! [`RoomManager`] lets people in.

mod awareness;
mod blocking_work;
mod editor_message;
mod error;
mod merge_cost;
mod peer_channel;
mod proposal_sync;
mod room;
mod room_connection;
mod room_manager;
mod shared_text;
mod shared_text_store;
mod text_size;
mod update_contents;
mod wire_reader;

pub(crate) use self::shared_text_store::ProposalRef;
pub use self::{
    error::{CountedEdits, RefusedUpdate, TextError},
    peer_channel::PeerChannelConfig,
    proposal_sync::{ProposalSync, SyncOutcome},
    room_connection::{DisconnectReason, RoomConnection, RoomEvent},
    room_manager::{CollaborationConfig, RoomManager},
    shared_text::SharedText,
    shared_text_store::SharedTextStore,
};
