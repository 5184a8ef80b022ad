//! `Redis`: the client, and the store of versioned states that read models are built on.
//!
//! Every key of a read model has a hash tag (the text in braces), and all keys of a script call have the same tag: in a
//! `Redis` Cluster they are in one slot, and so on one node (ADR 30).
//!
//! | key below a generation's prefix | what it holds |
//! | --- | --- |
//! | `tags` | the tags that the generation uses; written when it is prepared |
//! | `{<tag>}:generation` | marker of the tag; every script call requires it |
//! | `{<tag>}:...` | states and figures |

mod config;
mod errors;
mod figure_delta;
mod generation_markers;
mod generation_scan;
mod hash_scan;
mod hash_tag;
mod key_scan;
mod redis_client;
mod script_call;
mod server_warnings;
mod state_batch;
mod state_cache;
mod state_key;
mod state_write;
mod store_scan;
mod versioned_state_store;

pub use self::{
    config::RedisConfig,
    errors::{SequenceGap, unreadable_error},
    figure_delta::{FigureDelta, FigureKind, FigureTarget},
    generation_scan::GenerationScan,
    hash_scan::HashFields,
    hash_tag::tag_name,
    redis_client::RedisClient,
    state_batch::{StateBatch, StateTransition, VersionedState},
    state_key::{GENERATION_ROW, StateKey},
    versioned_state_store::{StateStoreOptions, VersionedStateStore},
};
pub(crate) use self::{
    errors::unavailable_error,
    redis_client::escape_glob,
    script_call::{LoadedScript, RedisScript, ScriptCall},
    state_key::parse_raw_state,
    store_scan::{KeyRows, NamedKey, StoreScan, UNKNOWN},
};
