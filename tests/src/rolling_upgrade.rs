//! Rolling upgrades: processes of every role are killed, added and replaced, also those of an earlier release by those of
//! this one, while clients send commands and queries. At the end what clients were told is compared with the log, the log
//! with the topics, and the read models with the log.
//!
//! ```text
//! clients ──▶ 2 api ──▶ log ──2 relay──▶ Kafka ──3 projections──▶ read models
//!                        ▲  2 registry     └────2 processes, 2 work
//!                        └── tables, schemas and events of a next release appear meanwhile
//! ```
//! `docs/faults.md` says how to run it, `docs/runbooks/rolling-upgrades.md` what it holds operators and developers to.

mod address_list;
mod client_load;
mod fleet_role;
mod long_connections;
mod newer_release;
mod newer_schema;
mod older_program;
mod promise_audit;
mod role_fleet;

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use anyhow::Context as _;
use eventstore::topic::KafkaConfig;
use serde::Serialize;

use self::{
    address_list::{AddressList, ServiceAddress},
    client_load::{ClientLoad, LoadClient, LoadLedger, RetryReason},
    newer_release::NewerRelease,
    role_fleet::{FleetRelease, RoleFleet, STOP_DELAY},
};
pub use self::{fleet_role::FleetRole, older_program::OlderProgram};
use crate::{ProductHandle, TestStack, WAIT_TIMEOUT, document_work_settings, faults::fault_report::print_progress};

/// As many partitions as processes that consume them.
const PARTITIONS: i32 = 3;

const OPERATOR_TOKEN: &str = "operator-of-the-rolling-upgrade";

/// The parameters of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollingUpgradePlan {
    /// The `medhub-local` of an earlier release, which the run begins with; without it, this release replaces itself.
    pub older_program: Option<PathBuf>,
    /// Number of clients.
    pub clients: usize,
    /// Number of times that every process is replaced. From the second on, a run with an older program goes back to it and
    /// on to this release again.
    pub rounds: usize,
}

/// The result of a run.
#[derive(Debug, Clone, Serialize)]
pub struct RollingUpgradeReport {
    /// Whether there are no violations.
    pub ok: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What the older program lacks; empty without one.
    pub older_program: String,
    /// Events in the log.
    pub events: usize,
    /// Acknowledged commands.
    pub commands: usize,
    /// Answered queries, each of which had to show the command before it.
    pub queries: u64,
    /// Answered calls over gRPC.
    pub calls: u64,
    /// Subscriptions that processes closed because they stopped.
    pub closed_subscriptions: u64,
    /// Streams with an event of a version that a next release adds.
    pub newer_streams: usize,
    /// Uploaded and analysed documents.
    pub documents: usize,
    /// Processes that were killed.
    pub kills: usize,
    /// Processes that were replaced gracefully.
    pub replaced: usize,
    /// Requests that clients sent again, by reason.
    pub retries: BTreeMap<&'static str, usize>,
    /// The longest time of a request with its repetitions, in seconds.
    pub longest_request_s: f64,
    /// Tables that got a column of a next release meanwhile.
    pub expanded_tables: usize,
    /// Rows of read models that were compared.
    pub rows: u64,
    /// What was lost, repeated, reordered or different, and other failures, as sentences.
    pub violations: Vec<String>,
}

/// Carries out a plan on a stack that no other test uses.
///
/// # Errors
/// If the harness itself fails; violations by the system under test are in the report.
pub async fn run_rolling_upgrade(plan: &RollingUpgradePlan, stack: &TestStack) -> anyhow::Result<RollingUpgradeReport> {
    let began = Instant::now();
    let registries = AddressList::default();
    let registry = ServiceAddress::start(registries.clone()).await?;
    let variables = create_settings(stack, registry.port())?;
    let older = match &plan.older_program {
        Some(path) => Some(OlderProgram::inspect(path, &variables).await?),
        None => None,
    };
    let product = ProductHandle::new(None, variables.clone(), stack.folder().to_owned());
    let logs = stack.folder().join("log");
    let older_program = older.as_ref().map(OlderProgram::describe).unwrap_or_default();
    let mut fleet = RoleFleet::new(variables, older.clone(), &logs, registries);
    fleet.start_roles(&[FleetRole::Registry], FleetRelease::Base).await?;
    let has_role = |role: &FleetRole| older.as_ref().is_none_or(|older| older.has_role(*role));
    let others: Vec<_> = FleetRole::ALL.into_iter().skip(1).filter(has_role).collect();
    match &older {
        Some(older) => older.migrate(product.variables()).await?,
        None => migrate(&product).await?,
    }
    fleet.start_roles(&others, FleetRelease::Base).await?;
    print_progress(&format!("all roles are ready after {:.1?}; {older_program}", began.elapsed()));

    // Documents that were uploaded before there are processes are never analysed.
    let uploads = others.contains(&FleetRole::Processes);
    let kafka = KafkaConfig {
        brokers: stack.variable("KAFKA_BROKERS").to_owned(),
        partitions: PARTITIONS,
        ..KafkaConfig::default()
    };
    let load = ClientLoad::start(fleet.servers(), OPERATOR_TOKEN, plan.clients, uploads)?;
    let rolled = roll_fleet(plan, &product, &kafka, &mut fleet).await;
    let mut ledger = load.stop().await?;
    let RolledFleet { expanded_tables, newer, ledger: of_newer } =
        rolled.with_context(|| format!("failures: {:?}{}", ledger.failures, fleet.log_tails()))?;
    ledger.add(of_newer);
    print_progress(&format!("replaced after {:.1?}", began.elapsed()));
    let found = promise_audit::audit_promises(&product, &kafka, &ledger, newer.as_ref(), fleet.disturbances()).await?;
    print_progress(&format!("compared after {:.1?}", began.elapsed()));
    let violations = [ledger.failures.clone(), found.violations, find_broken_connections(&ledger, &fleet)].concat();
    let (kills, replaced) = fleet.counts();
    Ok(RollingUpgradeReport {
        ok: violations.is_empty(),
        seconds: began.elapsed().as_secs_f64(),
        older_program,
        events: found.events,
        commands: ledger.commands.len(),
        queries: ledger.queries,
        calls: ledger.calls,
        closed_subscriptions: ledger.closed_subscriptions,
        newer_streams: newer.as_ref().map_or(0, NewerRelease::count_streams),
        documents: ledger.documents.len(),
        kills,
        replaced,
        retries: count_retries(&ledger, &fleet),
        longest_request_s: ledger.longest.as_secs_f64(),
        expanded_tables,
        rows: found.rows,
        violations,
    })
}

/// What happened while the fleet was rolled.
#[derive(Default)]
struct RolledFleet {
    /// Number of tables with a new column.
    expanded_tables: usize,
    /// The next release whose events were recorded.
    newer: Option<NewerRelease>,
    /// What the client of that release was told.
    ledger: LoadLedger,
}

/// Migrates, kills one process of each role, and replaces all processes.
async fn roll_fleet(
    plan: &RollingUpgradePlan,
    product: &ProductHandle,
    kafka: &KafkaConfig,
    fleet: &mut RoleFleet,
) -> anyhow::Result<RolledFleet> {
    let mut rolled = RolledFleet::default();
    // Expand: what a release needs is there before its first process.
    if plan.older_program.is_none() {
        rolled.expanded_tables =
            newer_schema::expand_schema(product).await.context("adding what a next release needs")?;
    }
    // The release after the older program; without one this release again, as when a next one is taken back.
    migrate(product).await?;
    if plan.older_program.is_none() {
        let mut client = LoadClient::new(fleet.servers(), OPERATOR_TOKEN, "newer".to_owned())?;
        rolled.newer = Some(record_newer_events(product, kafka, fleet, &mut client).await?);
        rolled.ledger = client.ledger;
    }
    for round in 0..plan.rounds {
        let release = if round % 2 == 0 { FleetRelease::Current } else { FleetRelease::Base };
        fleet.kill_one_of_each_role()?;
        for wave in list_waves(plan, release) {
            fleet.roll(&wave, release).await.with_context(|| format!("replacing {wave:?}"))?;
            print_progress(&format!("round {}: replaced {wave:?}", round + 1));
        }
    }
    Ok(rolled)
}

/// Lets a next release record events that the processes of this one do not know.
async fn record_newer_events(
    product: &ProductHandle,
    kafka: &KafkaConfig,
    fleet: &RoleFleet,
    client: &mut LoadClient,
) -> anyhow::Result<NewerRelease> {
    let mut newer = NewerRelease::register_schemas(product, kafka).await?;
    newer.record_events(client).await?;
    fleet.wait_for_log(FleetRole::Relay, newer_release::UNKNOWN_EVENT).await?;
    newer.change_by_older_processes(client).await?;
    print_progress("the relays stand before events of a next release, and commands go on");
    let relay = newer.publish().await.context("publishing events of a next release")?;
    newer.wait_until_parked().await?;
    relay.stop().await?;
    newer.let_new_processes_know_events().await?;
    print_progress("workers have parked events of a next release");
    Ok(newer)
}

/// Roles that are replaced together, in order. Between processes of one release there is no order to keep.
fn list_waves(plan: &RollingUpgradePlan, release: FleetRelease) -> Vec<Vec<FleetRole>> {
    if plan.older_program.is_none() {
        let (first, then) = FleetRole::ALL.split_at(2);
        return vec![first.to_vec(), then.to_vec()];
    }
    let mut waves: Vec<_> = FleetRole::ALL.into_iter().map(|role| vec![role]).collect();
    if release == FleetRelease::Base {
        waves.reverse();
    }
    waves
}

async fn migrate(product: &ProductHandle) -> anyhow::Result<()> {
    let migrated = product.run_medhub(&["migrate"]).await;
    anyhow::ensure!(migrated.status.success(), "migrating: {}", String::from_utf8_lossy(&migrated.stderr));
    Ok(())
}

/// Requests that clients sent again, by reason.
fn count_retries(ledger: &LoadLedger, fleet: &RoleFleet) -> BTreeMap<&'static str, usize> {
    let mut retries = BTreeMap::new();
    for retry in &ledger.retries {
        let reason = match retry.reason {
            RetryReason::BrokenConnection if fleet.was_killed(&retry.address) => "connection to a killed process",
            RetryReason::BrokenConnection => "connection to a process that stopped gracefully",
            RetryReason::Withdrawn => "refused by an address that was withdrawn meanwhile",
            RetryReason::NotSent => "not sent over a connection that was being closed",
            RetryReason::Unavailable => "answered by 503 or UNAVAILABLE",
        };
        *retries.entry(reason).or_default() += 1;
    }
    retries
}

/// A process that stops gracefully breaks no connection: clients are told to leave, and what they have sent is answered. The
/// older program may not do so yet.
fn find_broken_connections(ledger: &LoadLedger, fleet: &RoleFleet) -> Vec<String> {
    let broken = ledger.retries.iter().filter(|retry| retry.reason == RetryReason::BrokenConnection);
    let broken = broken.filter(|retry| !fleet.was_killed(&retry.address) && !fleet.was_older(&retry.address));
    broken.map(|retry| format!("a connection to {} broke, which was not killed", retry.address)).collect()
}

/// Settings of all processes.
fn create_settings(stack: &TestStack, registry_port: u16) -> anyhow::Result<BTreeMap<String, String>> {
    let mut settings = stack.variables().clone();
    let mut registry = url::Url::parse(stack.variable("SCHEMA_REGISTRY_URL")).context("reading the registry's URL")?;
    anyhow::ensure!(registry.set_port(Some(registry_port)).is_ok(), "{registry} cannot have a port");
    let wait_ms = WAIT_TIMEOUT.as_millis().to_string();
    let request_ms = (2 * WAIT_TIMEOUT).as_millis().to_string();
    let more = [
        ("SCHEMA_REGISTRY_URL", registry.to_string().trim_end_matches('/').to_owned()),
        ("MEDHUB__OBJECTS__DIR", stack.folder().join("objects").display().to_string()),
        ("MEDHUB__ADMIN__TOKEN", OPERATOR_TOKEN.to_owned()),
        ("MEDHUB__AUTH__HS256_SECRET", "a-secret-of-the-rolling-upgrade-of-tests".to_owned()),
        ("MEDHUB__AUTH__DEVELOPMENT_LOGIN", "true".to_owned()),
        ("MEDHUB__LIMITS__ENABLED", "false".to_owned()),
        ("MEDHUB__KAFKA__PARTITIONS", PARTITIONS.to_string()),
        ("MEDHUB__POSTGRES__MAX_CONNECTIONS", "6".to_owned()),
        // No time decides: queries wait as long as the test, and a stopped process as long as they do.
        ("MEDHUB__HTTP__CONSISTENCY_WAIT_MS", wait_ms.clone()),
        ("MEDHUB__HTTP__REQUEST_TIMEOUT_MS", request_ms.clone()),
        ("MEDHUB__SERVE__STARTUP_TIMEOUT_MS", wait_ms.clone()),
        ("MEDHUB__SERVE__SHUTDOWN_TIMEOUT_MS", request_ms),
        ("MEDHUB__REDIS__TIMEOUT_MS", wait_ms.clone()),
        // Time for the harness to learn of the stop and to withdraw the address, and for the requests of clients that got it before.
        (STOP_DELAY, "3000".to_owned()),
        ("MEDHUB__POSTGRES__ACQUIRE_TIMEOUT_MS", wait_ms),
        ("MEDHUB__WORK__GENERATE_PROPOSAL", "0".to_owned()),
        ("MEDHUB__WORK__LEASE_MS", "1000".to_owned()),
        ("MEDHUB__WORK__POLL_INTERVAL_MS", "100".to_owned()),
    ];
    settings.extend(more.map(|(name, value)| (name.to_owned(), value)));
    settings.extend(document_work_settings(1));
    Ok(settings)
}
