//! The log: Postgres holds it, a relay carries copies of it to Kafka.
//!
//! [`postgres`] opens and migrates the database, [`append`] writes many streams at once, [`store`] serves single
//! commands through `cqrs-es`, [`log`] reads the completed prefix in order, [`relay`] publishes it, [`topic`] owns
//! the topics, [`registry`] names the shapes of events, [`incarnation`] tells this log from its copies, [`count`] says
//! how much there is, [`pooler`] finds what shares sessions between clients.

pub mod append;
pub mod count;
pub mod error;
pub mod incarnation;
mod lease;
pub mod log;
pub mod pooler;
pub mod postgres;
pub mod registry;
pub mod relay;
pub mod store;
pub mod topic;
