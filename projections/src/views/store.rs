//! The connection to `Redis`, and reading and writing views.

use std::{collections::HashMap, sync::Arc};

use domain::opportunity::OpportunityId;
use redis::{
    Client, FromRedisValue, Pipeline, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use super::{
    Counters, OpportunityView, ViewsConfig,
    compare::Meaning,
    fold::{Step, Versioned},
};
use crate::{QueryError, error::Source, runtime::Generation};

const STORE: &str = "Redis";

const COUNTERS: &str = "counters:opportunities";

/// Detail views and counters.
#[derive(Clone)]
pub struct Views {
    connection: ConnectionManager,
    /// What the keys of all generations begin with.
    name: Arc<str>,
    prefix: Arc<str>,
    apply: Arc<Script>,
}

impl Views {
    /// A client; connects when it is used, and again when the connection breaks. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`QueryError`] when the URL is none.
    pub fn new(config: &ViewsConfig) -> Result<Self, QueryError> {
        let timeout = Some(config.timeout());
        let manager = ConnectionManagerConfig::new()
            .set_connection_timeout(timeout)
            .set_response_timeout(timeout)
            // The workers retry for ever, and a query wants its error soon.
            .set_number_of_retries(1);
        let client = Client::open(config.url.as_str()).map_err(unavailable)?;
        let connection = ConnectionManager::new_lazy_with_config(client, manager).map_err(unavailable)?;
        let apply = Arc::new(Script::new(include_str!("apply.lua")));
        Ok(Self::of(connection, config.key_prefix.as_str().into(), Generation::FIRST, apply))
    }

    /// The same read model in another generation.
    #[must_use]
    pub fn at(&self, generation: Generation) -> Self {
        Self::of(self.connection.clone(), Arc::clone(&self.name), generation, Arc::clone(&self.apply))
    }

    fn of(connection: ConnectionManager, name: Arc<str>, generation: Generation, apply: Arc<Script>) -> Self {
        let prefix = format!("{name}{generation}:").into();
        Self { connection, name, prefix, apply }
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// [`QueryError`] when it does not.
    pub async fn ping(&self) -> Result<(), QueryError> {
        self.ask::<(String,)>(redis::pipe().ping()).await.map(drop)
    }

    /// One opportunity in detail.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away or holds something else under its key.
    pub async fn get(&self, id: &OpportunityId) -> Result<Option<OpportunityView>, QueryError> {
        let id = id.as_str();
        let stored = self.stored(&[id]).await?;
        Ok(stored.first().and_then(|stored| OpportunityView::of(id, stored.version, &stored.state)))
    }

    /// How many views there are.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away.
    pub async fn count_views(&self) -> Result<u64, QueryError> {
        let (count,): (Option<u64>,) = self.ask(redis::pipe().hget(self.counters_key(), Counters::TOTAL)).await?;
        Ok(count.unwrap_or_default())
    }

    /// How many opportunities there are, by agency, type and status.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away.
    pub async fn counters(&self) -> Result<Counters, QueryError> {
        Ok(Counters::from_fields(self.counter_fields().await?))
    }

    /// The stored states of these opportunities, in their order; undiscovered at version 0 where there is none.
    pub(super) async fn stored(&self, ids: &[&str]) -> Result<Vec<Versioned>, QueryError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.hmget(self.view_key(id), &["version", "state"]);
        }
        let rows: Vec<(Option<u64>, Option<String>)> = self.ask(&pipeline).await?;
        rows.into_iter().map(versioned).collect()
    }

    /// The version of a view; 0 where there is none.
    pub(super) async fn version(&self, id: &str) -> Result<u64, QueryError> {
        let (version,): (Option<u64>,) = self.ask(redis::pipe().hget(self.view_key(id), "version")).await?;
        Ok(version.unwrap_or_default())
    }

    /// Writes steps; answers with the opportunities whose version was no longer the one the step builds on.
    pub(super) async fn write<'a>(&self, steps: &[(&'a str, Step)]) -> Result<Vec<&'a str>, QueryError> {
        if steps.is_empty() {
            return Ok(vec![]);
        }
        let mut pipeline = redis::pipe();
        pipeline.load_script(&self.apply).ignore();
        for (id, step) in steps {
            let state = serde_json::to_string(&step.to.state).map_err(unreadable)?;
            let mut call = self.apply.prepare_invoke();
            call.key(self.view_key(id)).key(self.counters_key()).arg(step.from).arg(step.to.version).arg(state);
            for (counter, delta) in &step.deltas {
                call.arg(counter).arg(*delta);
            }
            pipeline.invoke_script(&call);
        }
        let moved: Vec<bool> = self.ask(&pipeline).await?;
        Ok(steps.iter().zip(moved).filter(|(_, moved)| !moved).map(|((id, _), _)| *id).collect())
    }

    /// Asks, and once more where the connection turns out to be broken: the first use after a restart of the server
    /// only finds that out. Asking twice is safe, also for a write, because a step is written once at most.
    pub(super) async fn ask<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, QueryError> {
        let mut connection = self.connection.clone();
        let outcome = match pipeline.query_async(&mut connection).await {
            Err(error) if error.is_unrecoverable_error() => pipeline.query_async(&mut connection).await,
            outcome => outcome,
        };
        outcome.map_err(unavailable)
    }

    /// The counters as they are stored.
    pub(super) async fn counter_fields(&self) -> Result<HashMap<String, i64>, QueryError> {
        let (fields,): (HashMap<String, i64>,) = self.ask(redis::pipe().hgetall(self.counters_key())).await?;
        Ok(fields)
    }

    /// The stored states of these opportunities, each readable or not.
    pub(super) async fn stored_texts(&self, ids: &[&str]) -> Result<Vec<Result<Versioned, QueryError>>, QueryError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.hmget(self.view_key(id), &["version", "state"]);
        }
        let rows: Vec<(Option<u64>, Option<String>)> = self.ask(&pipeline).await?;
        Ok(rows.into_iter().map(versioned).collect())
    }

    /// The next keys of this generation, and where to go on; 0 at the end.
    pub(super) async fn scan(&self, cursor: u64) -> Result<(u64, Vec<String>), QueryError> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{}*", escaped(&self.prefix))).arg("COUNT").arg(1_000);
        let (found,) = self.ask(redis::pipe().add_command(scan)).await?;
        Ok(found)
    }

    /// Removes keys.
    pub(super) async fn unlink(&self, keys: Vec<String>) -> Result<(), QueryError> {
        self.ask::<(u64,)>(redis::pipe().unlink(keys)).await.map(drop)
    }

    /// What a key of this generation is.
    pub(super) fn meaning_of<'a>(&self, key: &'a str) -> Meaning<'a> {
        let name = key.strip_prefix(&*self.prefix).unwrap_or(key);
        match name.strip_prefix("opportunity:") {
            Some(id) => Meaning::View(id),
            None if name == COUNTERS => Meaning::Known,
            None => Meaning::Stray(name),
        }
    }

    fn view_key(&self, id: &str) -> String {
        format!("{}opportunity:{id}", self.prefix)
    }

    fn counters_key(&self) -> String {
        format!("{}{COUNTERS}", self.prefix)
    }
}

/// A text that stands for itself in a pattern of keys.
fn escaped(text: &str) -> String {
    let special = |c| matches!(c, '*' | '?' | '[' | ']' | '^' | '\\');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

fn versioned((version, state): (Option<u64>, Option<String>)) -> Result<Versioned, QueryError> {
    match (version, state) {
        (Some(version), Some(state)) => {
            Ok(Versioned { version, state: serde_json::from_str(&state).map_err(unreadable)? })
        }
        (None, None) => Ok(Versioned::default()),
        (Some(_), None) | (None, Some(_)) => Err(unreadable("a view without its version or its state")),
    }
}

fn unreadable(source: impl Into<Source>) -> QueryError {
    QueryError::Unreadable { store: STORE, source: source.into() }
}

fn unavailable(source: RedisError) -> QueryError {
    QueryError::Unavailable { store: STORE, source: source.into() }
}
