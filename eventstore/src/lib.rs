//! The event store: Postgres holds the log, a relay publishes it to Kafka.
//!
//! [`postgres`] opens the database, [`schema_migration`] migrates it, [`append`] writes to many streams in one statement,
//! [`store`] loads and appends single streams for commands (`cqrs-es`), [`log`] reads the completed prefix in order,
//! [`relay`] publishes it, [`topic`] creates and checks the topics, [`registry`] stores the schemas of events,
//! [`incarnation`] distinguishes this log from its copies, [`count`] counts events, [`pooler`] detects session-sharing
//! poolers.

pub mod append;
pub mod count;
pub mod error;
pub mod incarnation;
pub mod lease;
pub mod log;
pub mod pooler;
pub mod postgres;
pub mod registry;
pub mod relay;
pub mod schema_migration;
mod session_sharing;
pub mod store;
pub mod topic;
mod topic_admin;
