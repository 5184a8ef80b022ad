//! Connections to `Redis`, which is one server or a cluster of them; the caller need not know which.
//!
//! A cluster has 16,384 slots, each on one of its primaries; a key's slot follows from its hash tag (ADR 30). The client
//! library follows slots that move, and primaries that fail over. It sends a pipeline to one server, though: here a
//! pipeline is split by slot, and commands about no key go to every primary.

mod acknowledgement;
mod connection;
mod endpoint;
mod node_urls;
mod slot;
mod slot_pipeline;
mod topology;

pub use self::{
    acknowledgement::ReplicaAcknowledgement,
    connection::RedisConnection,
    endpoint::RedisEndpoint,
    node_urls::{InvalidRedisAddress, check_address},
    slot::{hashed_part, key_slot},
    topology::{ClusterTopology, PrimaryNode},
};
