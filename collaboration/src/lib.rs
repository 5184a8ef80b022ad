//! Shared editing of proposals: merges concurrent edits without loss, and shows who is present.
//!
//! ```text
//! editor ──y-websocket──▶ room ──▶ Postgres (updates) ──proposal sync──▶ EditSections ──▶ event store
//!    ▲                     │ ▲           ▲                                                    │
//!    └─ updates, awareness ┘ │           └────────── changes made by other commands ◀─────────┘
//!              other processes over Redis
//! ```
//!
//! A proposal has one [Yjs](https://docs.yjs.dev) document; its text `approach` is the section with the key `approach`.
//! Edits of a CRDT (Nédelec and others; YATA for Yjs) merge in any order to the same text, so that editors do not wait
//! for each other and nothing is overwritten. Keystrokes are not business events: they are stored as updates in
//! Postgres before other editors see them, and when the editors pause, the resulting content is recorded as
//! `proposal.section_edited`.
//!
//! [`SharedText`] is the document, [`SharedTextStore`] stores it, [`ProposalSync`] synchronizes it with the proposal's
//! events, [`RoomManager`] manages the rooms of a process. [`GenerationProgressChannel`] brings what a generation writes
//! to the rooms and to subscribers while it is written.

mod awareness;
mod blocking_work;
mod editor_message;
mod error;
mod generation_channel;
mod generation_snapshot;
mod merge_cost;
mod peer_channel;
mod proposal_sync;
mod redis_channel;
mod room;
mod room_connection;
mod room_manager;
mod shared_text;
mod shared_text_store;
mod text_size;
mod update_contents;
mod update_merge;
mod wire_reader;

pub(crate) use self::shared_text_store::ProposalRef;
pub use self::{
    error::{CountedEdits, RefusedUpdate, TextError},
    generation_channel::{GenerationFollower, GenerationProgressChannel},
    generation_snapshot::{GenerationPhase, GenerationSnapshot},
    proposal_sync::{ProposalSync, SyncOutcome},
    redis_channel::PeerChannelConfig,
    room_connection::{DisconnectReason, RoomConnection, RoomEvent},
    room_manager::{CollaborationConfig, RoomManager},
    shared_text::SharedText,
    shared_text_store::SharedTextStore,
};
