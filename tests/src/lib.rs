//! The harness of the end-to-end tests: engines and products to test, clients for them, bounded waiting, injected
//! faults. Test modules import from here, never from each other. `docs/testing.md` says how to use it.
//!
//! ```text
//! TestStack         engines of one test, with or without the product         counts as two
//! engines()         engines that all tests share                             runs beside others
//! ProductInstance   the product in a TestNamespace of the shared engines     runs beside others
//! shared_product()  one instance for tests that create their own companies   runs beside others
//! ProductHandle     what the clients below need of either: address, settings, command line
//! SignedInUser, ProposalEditor, GraphqlSubscriber, GrpcTaskClient, HttpResponse, python_command: clients
//! ```
#![expect(clippy::panic, clippy::print_stderr, reason = "a harness fails a test by panicking with the reason")]

mod blocking;
pub mod chaos;
mod clickhouse_cluster;
mod client_program;
mod command_output;
pub mod engine_marks;
mod eventually;
mod failure;
pub mod faults;
mod fetched_artifact;
mod free_port;
mod graphql_subscriber;
mod grpc_task_client;
mod guarded_child;
mod http_client;
mod http_response;
mod kafka_proxy;
pub mod language_model_server;
pub mod log_events;
mod metric_table;
pub mod notice_import;
pub mod opportunity_history;
mod pgbouncer;
mod postgres_connections;
mod product_handle;
mod product_instance;
mod product_process;
mod program_under_test;
mod proposal_editor;
mod read_models;
mod redis_cluster;
pub mod rolling_upgrade;
mod running_relay;
mod s3_server;
pub mod sam_gov_server;
mod secured_engines;
mod secured_kafka;
mod signed_in_user;
pub mod stack_processes;
mod telemetry_collector;
mod test_certificates;
mod test_database;
mod test_folder;
mod test_namespace;
mod test_stack;
mod test_turn;
mod tls_proxy;
mod token_endpoint;
mod topic_record;
mod transaction_pooler;

pub use self::{
    clickhouse_cluster::{ClickHouseCluster, ClickHouseClusters},
    client_program::{python_command, run_program},
    command_output::{json_lines, output_text},
    eventually::{WAIT_TIMEOUT, eventually, eventually_within},
    fetched_artifact::fetch_artifact,
    graphql_subscriber::GraphqlSubscriber,
    grpc_task_client::GrpcTaskClient,
    http_client::new_http_client,
    http_response::{HttpResponse, build_request},
    kafka_proxy::KafkaProxy,
    metric_table::{DocumentedMetric, MetricTable, ShownSeries, parse_series},
    pgbouncer::{PgBouncer, PoolMode},
    postgres_connections::{count_postgres_connections, most_postgres_connections},
    product_handle::ProductHandle,
    product_instance::{ProductInstance, document_work_settings, shared_product},
    product_process::{ProductEdge, ProductProcess},
    program_under_test::medhub_local,
    proposal_editor::ProposalEditor,
    read_models::{analytics, analytics_in, embedding_model, lists, redis_away, search, views, views_config},
    redis_cluster::{MovingSlot, RedisCluster},
    running_relay::RunningRelay,
    s3_server::{S3Server, s3_server},
    secured_engines::{PASSWORD, SecuredEngines, SecuredProduct, authorities},
    signed_in_user::{AcceptedChange, SignedInUser, error_code, token_for_everything_until},
    telemetry_collector::{CollectedLogRecord, CollectedSpan, TelemetryCollector},
    test_certificates::{CertificateAuthority, IssuedCertificate},
    test_database::{TestTopics, database, empty_database, registry, shared_database, topics},
    test_namespace::{TestNamespace, unique_name},
    test_stack::{EnvironmentVariables, TestStack, engines},
    test_turn::{run_alone, run_beside_others, run_with_own_engines},
    tls_proxy::TlsProxy,
    token_endpoint::TokenEndpoint,
    topic_record::{TopicRecord, read_positions_by_aggregate, read_records},
    transaction_pooler::TransactionPooler,
};
