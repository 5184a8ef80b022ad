//! Behind a proxy that refuses the options of a connection, as Amazon RDS Proxy does. The harness repeats its answer;
//! the proxy itself is a managed service.

use cqrs_es::EventStore as _;
use domain::opportunity::Opportunity;
use eventstore::{postgres::PostgresConfig, store::PgEventStore};
use sqlx::{
    Connection as _, PgConnection,
    error::DatabaseError,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tests::{TransactionPooler, database};

use super::{amend_command, discover_command, load_and_commit};

#[tokio::test]
async fn a_refusal_of_options_ends_no_append_and_leaves_no_setting_to_other_clients() {
    let direct = database().await;
    let server = direct.connect_options();
    let (host, port, user) = (server.get_host(), server.get_port(), server.get_username());
    let url = format!("postgres://{user}@{host}:{port}/{}", server.get_database().unwrap());
    let proxy = TransactionPooler::start_refusing_options(&url).await.unwrap();
    let options: PgConnectOptions = proxy.url().parse().unwrap();
    let refused = PgConnection::connect_with(&options.options([("jit", "off")])).await.unwrap_err();
    let code = refused.as_database_error().and_then(DatabaseError::code);
    assert_eq!(code.as_deref(), Some("0A000"), "{refused}");

    let pool = PgPoolOptions::new().max_connections(4).connect(proxy.url()).await.unwrap();
    let store = PgEventStore::<Opportunity>::new(pool.clone(), &PostgresConfig::default());
    load_and_commit(&store, "a", discover_command()).await.unwrap();
    load_and_commit(&store, "a", amend_command(1)).await.unwrap();

    let loaded = store.load_aggregate("a").await.unwrap();
    let counted = eventstore::count::count_log(&pool).await.unwrap();
    assert_eq!((loaded.current_sequence as u64, counted.streams), (counted.events, 1));
    // The sessions are assigned in turn.
    for _ in 0..24 {
        let setting: String = sqlx::query_scalar("show lock_timeout").fetch_one(&pool).await.unwrap();
        assert_eq!(setting, "0");
    }
}
