//! The harness of the end-to-end tests: engines and products to test, clients for them, bounded waiting, faults on
//! purpose. Test modules import from here, never from each other. `docs/testing.md` says how to use it.
//!
//! ```text
//! Stack             engines of a test's own, with or without the product     counts as two
//! engines()         engines that all tests share                             runs beside others
//! ProductInstance   the product in a Namespace of the shared engines         runs beside others
//! shared_product()  one of these for tests with companies of their own       runs beside others
//! Product           what the clients below need of either: address, settings, command line
//! Person, Editor, Subscription, HttpAnswer, python: clients
//! ```
#![expect(clippy::panic, clippy::print_stderr, reason = "a harness fails a test by panicking with the reason")]

mod blocking;
pub mod chaos;
mod child;
mod client_program;
mod command_output;
mod database;
mod editor;
pub mod engine_marks;
mod eventually;
mod failure;
pub mod faults;
mod http_answer;
pub mod log_events;
mod namespace;
pub mod notice_import;
pub mod opportunity_history;
mod person;
mod product;
mod product_instance;
mod product_process;
mod program;
mod read_models;
mod running_relay;
mod stack;
pub mod stack_processes;
mod subscription;
mod test_folder;
mod topic_record;
mod transaction_pooler;
mod turn;

pub use self::{
    client_program::{python, run_to_end},
    command_output::{json_lines, output_text},
    database::{TestTopics, database, empty_database, registry, topics},
    editor::Editor,
    eventually::{PATIENCE, eventually, eventually_within},
    http_answer::{HttpAnswer, request},
    namespace::{Namespace, unique_name},
    person::{AcceptedChange, Person, error_code, token_for_everything_until},
    product::Product,
    product_instance::{ProductInstance, shared_product},
    product_process::{ProductEdge, ProductProcess},
    program::medhub_local,
    read_models::{analytics, embedding_model, search, views, views_config},
    running_relay::RunningRelay,
    stack::{Environment, Stack, engines},
    subscription::Subscription,
    topic_record::{TopicRecord, positions_by_aggregate, read_records},
    transaction_pooler::TransactionPooler,
    turn::{run_alone, run_beside_others, run_with_own_engines},
};
