//! The shapes of events on the wire: Avro schemas, the Confluent wire format, and the registry's client.
//!
//! [`catalog`] holds the schema of every version of every event, [`codec`] turns payloads into Avro and back,
//! [`compat`] says what a new version breaks, [`wire`] frames a record's value, [`registry`] knows the ids.

pub mod catalog;
pub mod codec;
pub mod compat;
#[cfg(test)]
mod fixture;
pub mod registry;
pub mod wire;
