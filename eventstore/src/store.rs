//! The store behind single commands: `cqrs-es` over the same table.

use cqrs_es::{Aggregate, persist::PersistedEventStore};
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;

/// Loads and appends one stream per command, with optimistic concurrency on its sequence.
pub type PgStore<A> = PersistedEventStore<PostgresEventRepository, A>;

/// The store of one kind of aggregate.
pub fn store<A: Aggregate>(pool: PgPool) -> PgStore<A> {
    PersistedEventStore::new_event_store(PostgresEventRepository::new(pool))
}
