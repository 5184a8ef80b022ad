//! Process managers: long-running reactions to events, as in *Enterprise Integration Patterns* (Hohpe and Woolf,
//! "Process Manager") and in sagas with compensation (Garcia-Molina and Salem, 1987).
//!
//! A process is a small pure type, [`Process`]: from its state and an input (an event, a timeout, a refused command) it
//! decides the next state, commands and timers. The runtime does the rest:
//!
//! ```text
//! Kafka ──event──▶ ProcessProjection ──┐ one transaction: state, commands, timers
//!                  due timer ──────────┤▶ process_instances, process_commands, process_timers
//!                  refused command ────┘              │
//!                                       ProcessRunner ▼ sends due commands, under keys derived from their causes
//!                                             CommandDispatcher ──▶ event log
//! ```
//!
//! A decision is recorded before its commands are sent, and a command is deleted after it was sent. A crash between the
//! two repeats the command under the same idempotency key, which the log executes once. A forwarding projection with
//! the process's name consumes the events, so order, retries and dead letters work as in projections. Processes never
//! react to past events: neither a replay nor a rebuild has an effect.

mod any_process;
mod claimed_command_sender;
pub mod document_analysis_process;
mod instance_store;
mod process;
mod process_catalog;
mod process_command;
mod process_projection;
mod process_runner;
pub mod proposal_generation_process;
mod runner_status;
pub mod saved_search_alert_process;
mod unknown_fields;

pub use self::{
    any_process::AnyProcess,
    instance_store::{
        InputCause, InputSession, InstanceKey, InstanceQuery, InstanceRow, InstanceStatus, InstanceStore,
        InstanceStoreError, PendingCommandRow,
    },
    process::{InstanceSelector, Process, ProcessInput, ProcessReaction, TimerChange},
    process_catalog::{PROCESS_NAMES, all_process_projections, all_processes},
    process_command::ProcessCommand,
    process_projection::ProcessProjection,
    process_runner::{ProcessRunner, ProcessRunnerConfig},
    runner_status::{RunnerState, RunnerStatus},
};
