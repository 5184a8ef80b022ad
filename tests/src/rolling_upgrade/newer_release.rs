//! A next release that adds a field to an event, as far as it can be played by the code of this one.
//!
//! ```text
//! schema of 1.1 ──▶ registry of this release
//! event of 1.1  ──▶ log ──▶ relays of this release stop before it, commands fold it
//!                    └────▶ a relay that knows it leads ──▶ workers of this release park it
//!                                                          workers that know it redrive it
//! ```
//! What a program knows of an event is in its code, so workers that know 1.1 cannot be started here. They are played by naming
//! what was parked like the version that this release knows: from then on its new processes know the events.

use anyhow::Context as _;
use domain::{
    envelope::EventMetadata,
    event_store::{BatchStore as _, NewEvent},
};
use eventstore::{
    append::PgBatchStore,
    relay::{Relay, RelayConfig, RelayStatus},
    topic::KafkaConfig,
};
use schemas::{
    catalog::{self, EventSchema},
    registry_client::{RegistryConfig, SchemaRegistryClient},
};
use serde_json::{Value, json};
use sqlx::{PgPool, types::Json};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::client_load::{AcknowledgedCommand, LoadClient};
use crate::{ProductHandle, WAIT_TIMEOUT, faults::bounded_wait::wait_until};

const EVENT_TYPE: &str = "opportunity.cancelled";
const KNOWN_VERSION: &str = "1.0";
const NEWER_VERSION: &str = "1.1";

/// What a relay that does not know the event says.
pub(super) const UNKNOWN_EVENT: &str = "unknown type opportunity.cancelled 1.1";

/// Streams with a newer event.
const STREAMS: usize = 3;

/// What reads the payloads of all events of opportunities.
const READERS: [&str; 5] = ["analytics", "lists", "saved-search-alerts", "search", "views"];

/// The next release beside this one.
pub(super) struct NewerRelease {
    pool: PgPool,
    kafka: KafkaConfig,
    registry: SchemaRegistryClient,
    schemas: &'static [EventSchema],
    /// Ids of the opportunities with a newer event.
    streams: Vec<String>,
}

/// Its relay.
pub(super) struct NewerRelay {
    status: watch::Receiver<RelayStatus>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl NewerRelease {
    /// Registers the schemas of its events, as its `medhub migrate` does, at the registry of this release.
    pub(super) async fn register_schemas(product: &ProductHandle, kafka: &KafkaConfig) -> anyhow::Result<Self> {
        let pool = PgPool::connect(product.variable("DATABASE_URL")).await?;
        let url = product.variable("SCHEMA_REGISTRY_URL").to_owned();
        let registry = SchemaRegistryClient::new(&RegistryConfig { url, ..RegistryConfig::default() })?;
        let schemas = newer_schemas()?;
        let schema = schemas.last().context("no schemas")?;
        registry.resolve_schema_id(schema).await.context("registering the schema of a next release")?;
        Ok(Self { pool, kafka: kafka.clone(), registry, schemas, streams: vec![] })
    }

    /// Cancels some opportunities by events of the newer version, as a newer API process records them.
    pub(super) async fn record_events(&mut self, client: &mut LoadClient) -> anyhow::Result<()> {
        for number in 0..STREAMS {
            let id = client.discover_opportunity(&format!("newer-{number}")).await?;
            let discovered: Json<EventMetadata> =
                sqlx::query_scalar("select metadata from events where aggregate_id = $1 and sequence = 1")
                    .bind(&id)
                    .fetch_one(&self.pool)
                    .await?;
            let metadata =
                EventMetadata { idempotency_key: String::new(), command_digest: String::new(), ..discovered.0 };
            let payload = json!({ "type": "cancelled", "stamp": { "by": "operator", "at": "2026-03-04T12:00:00Z" },
                "replaced_by": "036:NEXT" });
            let event = NewEvent {
                aggregate_type: "opportunity",
                aggregate_id: id.clone(),
                sequence: 2,
                event_type: EVENT_TYPE.to_owned(),
                event_version: NEWER_VERSION.to_owned(),
                payload: payload.to_string(),
                metadata,
            };
            PgBatchStore::new(self.pool.clone()).append_events(vec![event]).await?;
            client.ledger.commands.push(AcknowledgedCommand { aggregate_id: id.clone(), version: 2 });
            self.streams.push(id);
        }
        Ok(())
    }

    /// Changes the opportunities by processes of this release, which fold the newer events without the new field.
    pub(super) async fn change_by_older_processes(&self, client: &mut LoadClient) -> anyhow::Result<()> {
        for id in &self.streams {
            client.archive_opportunity(id).await.context("a command after an event of a next release")?;
        }
        Ok(())
    }

    /// Starts a relay that knows the newer events, and waits until it has published them.
    pub(super) async fn publish(&self) -> anyhow::Result<NewerRelay> {
        let config = RelayConfig { retry_ms: 50, ..RelayConfig::default() };
        let relay = Relay::new(self.pool.clone(), self.kafka.clone(), self.registry.clone(), self.schemas, config);
        let (status, stop) = (relay.status(), CancellationToken::new());
        let relay = NewerRelay { status, task: tokio::spawn(relay.run(stop.clone())), stop };
        let last: i64 = sqlx::query_scalar("select max(position) from events where aggregate_id = any($1)")
            .bind(&self.streams)
            .fetch_one(&self.pool)
            .await?;
        wait_until(WAIT_TIMEOUT, async || {
            let status = relay.status.borrow().clone();
            anyhow::ensure!(status.position >= last.unsigned_abs(), "not published up to {last}: {status:?}");
            Ok(())
        })
        .await?;
        Ok(relay)
    }

    /// Waits until workers of this release have parked every newer event, and what follows in its stream.
    pub(super) async fn wait_until_parked(&self) -> anyhow::Result<()> {
        let parked = "select projection, count(distinct aggregate_id), count(*) from dead_letters
            where aggregate_id = any($1) group by 1 order by 1";
        let streams = i64::try_from(self.streams.len())?;
        let expected = READERS.map(|name| (name.to_owned(), streams, 2 * streams));
        wait_until(WAIT_TIMEOUT, async || {
            let found: Vec<(String, i64, i64)> =
                sqlx::query_as(parked).bind(&self.streams).fetch_all(&self.pool).await?;
            anyhow::ensure!(found == expected, "parked are {found:?}, not {expected:?}");
            Ok(())
        })
        .await
    }

    /// From here on new processes know what was parked.
    pub(super) async fn let_new_processes_know_events(&self) -> anyhow::Result<()> {
        let rename = "update dead_letters set event_version = $3,
            headers = jsonb_set(headers::jsonb, '{schema-version}', to_jsonb($3::text))::json
            where event_type = $1 and event_version = $2";
        let rename = sqlx::query(rename).bind(EVENT_TYPE).bind(NEWER_VERSION).bind(KNOWN_VERSION);
        rename.execute(&self.pool).await.context("naming parked events like those that are known")?;
        Ok(())
    }

    /// Lets `medhub verify` know the events of the log, once nothing else reads it.
    pub(super) async fn let_verify_know_events(&self) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin().await?;
        // A newer release would not have to change them.
        for statement in [
            "alter table events disable trigger events_are_immutable".to_owned(),
            format!(
                "update events set event_version = '{KNOWN_VERSION}'
                where event_type = '{EVENT_TYPE}' and event_version = '{NEWER_VERSION}'"
            ),
            "alter table events enable always trigger events_are_immutable".to_owned(),
        ] {
            sqlx::query(&statement).execute(&mut *transaction).await.with_context(|| statement.clone())?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// How many streams have an event of the newer version.
    pub(super) fn count_streams(&self) -> usize {
        self.streams.len()
    }
}

impl NewerRelay {
    /// Stops it, so that another relay leads.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.task.await.context("the relay panicked")
    }
}

/// The schemas that the next release knows: those of this one, and the newer version. They live as long as the program, as
/// those of a catalogue do.
fn newer_schemas() -> anyhow::Result<&'static [EventSchema]> {
    let copy = |known: &EventSchema| EventSchema::new(known.event_type, known.version, known.subject, known.json);
    let mut schemas: Vec<_> = catalog::all_schemas().iter().map(copy).collect();
    let known = catalog::find_schema(EVENT_TYPE, KNOWN_VERSION).context("the event is unknown")?;
    anyhow::ensure!(catalog::find_schema(EVENT_TYPE, NEWER_VERSION).is_none(), "{NEWER_VERSION} is a version by now");
    let mut json: Value = serde_json::from_str(known.json)?;
    let added =
        json!({ "name": "replaced_by", "type": ["null", "string"], "default": null, "doc": "What replaces it." });
    json["fields"].as_array_mut().context("a schema without fields")?.push(added);
    let json = Box::leak(json.to_string().into_boxed_str());
    schemas.push(EventSchema::new(EVENT_TYPE, NEWER_VERSION, known.subject, json));
    Ok(Vec::leak(schemas))
}
