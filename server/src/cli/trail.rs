//! `medhub trail`: prints what one request caused.

mod event_summary;
mod event_tree;
mod trail_json;
mod trail_search;
mod trail_text;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, builder::NonEmptyStringValueParser};
use eventstore::log;
use processes::{InstanceRow, InstanceStore, PendingCommandRow};
use sqlx::{PgConnection, PgPool};
use task_workers::{TaskQueue, TaskQueueRow};
use uuid::Uuid;

use self::{event_tree::EventTree, trail_search::TrailSearch, trail_text::TextStyle};
use super::{event_selection::open_log, output};
use crate::config::MedhubConfig;

/// Events whose payloads are in memory at a time.
const PAGE_EVENTS: usize = 100;

/// Rows of each kind of work beside the log that are printed at most.
const WORK_ROWS: u32 = 100;

/// Prints what one request caused, as a tree with times: each event below the event that caused it, then the process
/// instances that the request started, their pending commands, and the state of its tasks in the queue. Visits are left
/// out. Needs Postgres only.
#[derive(Debug, Args)]
pub(super) struct TrailArgs {
    /// A correlation id, as in the header x-correlation-id of a response; or the id of an event or a stream, for the
    /// correlation id that it has
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    id: String,
    /// Only events and work of this tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Number of events at most; those with a cause or an effect come first
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Print one JSON object with all events and work
    #[arg(long)]
    json: bool,
}

/// What is printed.
struct CorrelationTrail {
    correlation_id: String,
    events: EventTree,
    /// Number of events of the correlation, including those that are not in the tree.
    total_events: u64,
    instances: Vec<InstanceRow>,
    pending_commands: Vec<PendingCommandRow>,
    tasks: Vec<TaskQueueRow>,
}

impl TrailArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let pool = open_log(config).await?;
        let trail = self.load(&pool).await?;
        pool.close().await;
        let text = if self.json {
            trail_json::format_trail(&trail).to_string()
        } else {
            trail_text::format_trail(&trail, TextStyle::detect_stdout())
        };
        output::print_result(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    async fn load(&self, pool: &PgPool) -> anyhow::Result<CorrelationTrail> {
        let mut connection = pool.acquire().await.context("connecting to Postgres")?;
        let search = TrailSearch { id: &self.id, tenant: self.tenant.as_deref(), limit: self.limit };
        let found = search.find(&mut connection).await?;
        for note in &found.notes {
            output::print_message(note);
        }
        let events = load_tree(&mut connection, &found.events.positions).await?;
        drop(connection);
        // What is stored beside the log has only correlation ids that are UUIDs.
        let correlation = Uuid::parse_str(&found.correlation_id).ok();
        let tenant = self.tenant.as_deref();
        let (store, queue) = (InstanceStore::new(pool.clone()), TaskQueue::new(pool.clone()));
        let (instances, pending_commands) = match correlation {
            Some(id) => (
                store.list_correlated_instances(id, tenant, WORK_ROWS).await?,
                store.list_pending_commands(id, tenant, WORK_ROWS).await?,
            ),
            None => (vec![], vec![]),
        };
        let tasks = queue.load_rows(&events.list_tasks(WORK_ROWS as usize)).await?;
        Ok(CorrelationTrail {
            correlation_id: found.correlation_id,
            events,
            total_events: found.events.total,
            instances,
            pending_commands,
            tasks,
        })
    }
}

/// Reads the events page by page, and keeps a summary instead of their payloads.
async fn load_tree(connection: &mut PgConnection, positions: &[u64]) -> anyhow::Result<EventTree> {
    let mut events = Vec::with_capacity(positions.len());
    for page in positions.chunks(PAGE_EVENTS) {
        let page = log::read_events_at(&mut *connection, page).await?;
        events.extend(page.iter().map(event_tree::TrailEvent::from_envelope));
    }
    Ok(EventTree::new(events))
}
