//! The connection pool that all parts of a process share.

use std::{future::poll_fn, pin::pin, task::Poll};

use eventstore::{
    postgres::{PostgresConfig, open_pool},
    schema_migration::{is_migrated, migrate},
};
use sqlx::{Row as _, error::DatabaseError};
use tests::{TestNamespace, empty_database};

/// More polls than a `begin` needs, including the check of its connection.
const MAX_POLLS: usize = 12;

#[tokio::test]
async fn a_connection_whose_begin_was_cancelled_is_returned_without_a_transaction() {
    let url = empty_database(&TestNamespace::new()).await;
    let pool = open_pool(&PostgresConfig { url: url.into(), max_connections: 1, ..PostgresConfig::default() }).unwrap();
    for polls in 1..=MAX_POLLS {
        {
            let (mut begin, mut remaining) = (pin!(pool.begin()), polls);
            poll_fn(|context| {
                remaining -= 1;
                // The future is then dropped at this point, as a time-out does.
                if begin.as_mut().poll(context).is_ready() || remaining == 0 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }

        let is_outside_transaction = "select transaction_timestamp() = statement_timestamp()";
        let row = sqlx::raw_sql(is_outside_transaction).fetch_one(&pool).await.unwrap();

        assert!(row.try_get::<bool, _>(0).unwrap(), "after {polls} polls the connection is in a transaction");
    }
}

#[tokio::test]
async fn the_server_ends_a_statement_that_takes_too_long_but_no_migration() {
    let url = empty_database(&TestNamespace::new()).await;
    let config = PostgresConfig { url: url.into(), max_connections: 1, ..PostgresConfig::default() };
    let limited = |statement_timeout_ms| open_pool(&PostgresConfig { statement_timeout_ms, ..config.clone() }).unwrap();

    // Every migration takes longer than that.
    migrate(&limited(1)).await.unwrap();
    let pool = limited(200);
    let error = sqlx::query("select pg_sleep(3600)").execute(&pool).await.unwrap_err();
    let code = error.as_database_error().and_then(DatabaseError::code);
    assert_eq!(code.as_deref(), Some("57014"), "{error}");
    let row = sqlx::raw_sql("select count(*) from events").fetch_one(&pool).await.unwrap();
    assert_eq!(row.try_get::<i64, _>(0).unwrap(), 0, "its connection is usable");
    sqlx::query("select pg_sleep(0.5)").execute(&limited(0)).await.unwrap();
}

#[tokio::test]
async fn a_database_is_migrated_with_the_last_migration_of_this_release() {
    let url = empty_database(&TestNamespace::new()).await;
    let pool = open_pool(&PostgresConfig { url: url.into(), ..PostgresConfig::default() }).unwrap();
    assert!(!is_migrated(&pool).await.unwrap());
    migrate(&pool).await.unwrap();
    assert!(is_migrated(&pool).await.unwrap());
    // As while the others are applied: a service that starts waits for them all.
    let unapply = "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)";
    sqlx::raw_sql(unapply).execute(&pool).await.unwrap();
    assert!(!is_migrated(&pool).await.unwrap());
}
