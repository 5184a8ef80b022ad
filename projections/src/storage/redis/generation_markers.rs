//! Preparing and removing a generation.
//!
//! Every tag that a generation uses has a marker in its own slot, and every script call requires the marker. A server
//! that was flushed or replaced by an empty one has no markers, so a write fails instead of starting from empty states.
//! A removal deletes the markers first, so that no late writer adds keys to a generation that is being removed.
//!
//! A set names all tags. Tags that are known beforehand are in it from the start. Others, such as tenants, are added
//! before their first write: first the marker, then the tag; if the set was deleted in between, the marker is removed
//! again. Therefore a tag in the set without a marker means that data was lost, and a removal finds every marker that
//! allows writes.

use std::collections::BTreeSet;

use redis::{Pipeline, RedisResult, Value};

use super::{
    errors::{unavailable_error, unreadable_error},
    script_call::{RedisScript, ScriptCall},
    state_batch::StateBatch,
    state_key::{GENERATION_ROW, StateKey},
    versioned_state_store::VersionedStateStore,
};
use crate::{QueryError, runtime::ProjectionError};

/// A member that the set of tags always has: without tags, the set would be empty and so not exist.
const PREPARED: &str = "";

/// Adds a tag to the set of tags; returns 0 if the set does not exist.
static ADD_TAG: RedisScript = RedisScript::acknowledged(
    "if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('SADD', KEYS[1], ARGV[1])
return 1",
);

/// Writes a marker again as it is. A replica that has this write has all earlier ones of its server.
static REWRITE_MARKER: RedisScript = RedisScript::acknowledged(
    "local text = redis.call('GET', KEYS[1])
if text then redis.call('SET', KEYS[1], text) end
return 1",
);

impl<S: Send> VersionedStateStore<S> {
    /// Creates the markers. Idempotent. A generation with the keys of an earlier release is left as it is: it can only be
    /// rebuilt.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn prepare(&self) -> Result<(), QueryError> {
        if self.has_outdated_layout().await? {
            let (read_model, generation) = (self.read_model(), self.generation());
            tracing::warn!(
                projection.name = read_model,
                projection.generation = %generation,
                "the generation has the keys of an earlier release; run `medhub rebuild {read_model}`"
            );
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for tag in self.fixed_tags() {
            pipeline.set(self.marker_key(tag), self.generation().to_string()).ignore();
        }
        // The markers first: the servers of a cluster execute a pipeline at the same time.
        self.write_markers(&pipeline).await?;
        let members: Vec<&str> = self.fixed_tags().iter().map(String::as_str).chain([PREPARED]).collect();
        let mut pipeline = redis::pipe();
        pipeline.sadd(self.tags_key(), members).ignore();
        self.write_markers(&pipeline).await
    }

    async fn write_markers(&self, pipeline: &Pipeline) -> Result<(), QueryError> {
        if pipeline.is_empty() {
            return Ok(());
        }
        self.client().send_acknowledged::<()>(pipeline).await.map_err(unavailable_error)
    }

    /// Removes all keys of the generation. Idempotent.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn discard(&self) -> Result<(), QueryError> {
        let mut pipeline = redis::pipe();
        pipeline.smembers(self.tags_key()).del(self.tags_key()).ignore();
        let (tags,): (Vec<String>,) = self.client().run_pipeline(pipeline.atomic()).await?;
        let mut pipeline = redis::pipe();
        pipeline.del(self.outdated_marker_key()).ignore();
        for tag in tags {
            pipeline.del(self.marker_key(&tag)).ignore();
        }
        self.client().run_pipeline::<()>(&pipeline).await?;
        self.client().unlink_keys(self.prefix()).await
    }

    /// Ensures that the tags of these batches have markers.
    pub(super) async fn open_tags<B: StateBatch>(&self, batches: &[B]) -> Result<(), ProjectionError> {
        if !self.fixed_tags().is_empty() {
            return Ok(());
        }
        let unknown: BTreeSet<&str> = {
            let tags = batches.iter().flat_map(StateBatch::keys).map(StateKey::tag);
            let opened = self.opened_tags();
            tags.filter(|tag| !opened.contains(*tag)).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let classify = |error| self.classifier().classify_error(error);
        let mut pipeline = redis::pipe();
        pipeline.sismember(self.tags_key(), PREPARED);
        for tag in &unknown {
            pipeline.sismember(self.tags_key(), tag);
        }
        let members: Vec<bool> = self.client().send_with_retry(&pipeline).await.map_err(classify)?;
        let Some((true, members)) = members.split_first().map(|(first, rest)| (*first, rest)) else {
            return Err(self.classifier().generation_lost());
        };
        let new_tags: Vec<&str> =
            unknown.iter().zip(members).filter(|(_, is_member)| !**is_member).map(|(tag, _)| *tag).collect();
        self.add_tags(&new_tags).await?;
        self.opened_tags().extend(unknown.into_iter().map(str::to_owned));
        Ok(())
    }

    /// Makes sure that what is stored under these tags is on as many replicas as the settings ask for: an earlier attempt
    /// may have written it, and failed because they did not answer in time.
    pub(super) async fn confirm_stored(&self, tags: &BTreeSet<String>) -> Result<(), ProjectionError> {
        if self.client().acknowledging_replicas() == 0 || tags.is_empty() {
            return Ok(());
        }
        let classify = |error| self.classifier().classify_error(error);
        let script = self.client().load_script(&REWRITE_MARKER).await.map_err(classify)?;
        let calls = tags.iter().map(|tag| ScriptCall::new(script, &[self.marker_key(tag)])).collect();
        let answers = self.client().call_script(script, calls).await.map_err(classify)?;
        answers.into_iter().try_for_each(|answer| answer.map(drop)).map_err(classify)
    }

    async fn add_tags(&self, tags: &[&str]) -> Result<(), ProjectionError> {
        if tags.is_empty() {
            return Ok(());
        }
        let classify = |error| self.classifier().classify_error(error);
        let mut pipeline = redis::pipe();
        for tag in tags {
            pipeline.set(self.marker_key(tag), self.generation().to_string()).ignore();
        }
        self.client().send_acknowledged::<()>(&pipeline).await.map_err(classify)?;
        let script = self.client().load_script(&ADD_TAG).await.map_err(classify)?;
        let add_call = |tag: &&str| {
            let mut call = ScriptCall::new(script, &[self.tags_key()]);
            call.add_argument(*tag);
            call
        };
        let calls = tags.iter().map(add_call).collect();
        let answers = self.client().call_script(script, calls).await.map_err(classify)?;
        let mut pipeline = redis::pipe();
        for (tag, answer) in tags.iter().zip(answers) {
            if answer.map_err(classify)? != Value::Int(1) {
                pipeline.del(self.marker_key(tag)).ignore();
            }
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        self.client().send_with_retry::<()>(&pipeline).await.map_err(classify)?;
        Err(self.classifier().generation_lost())
    }

    /// The generation's name if all markers are there; otherwise what is wrong with them. It is the content of
    /// [`GENERATION_ROW`] when a read model is verified.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn describe_markers(&self) -> Result<String, QueryError> {
        let mut pipeline = redis::pipe();
        pipeline.smembers(self.tags_key());
        let answers: Vec<RedisResult<Value>> = self.client().run_commands(pipeline).await?;
        let Some(Ok(members)) = answers.into_iter().next() else { return Ok("damaged tags".to_owned()) };
        let mut tags: BTreeSet<String> = redis::from_redis_value(members).map_err(unreadable_error)?;
        if !tags.remove(PREPARED) {
            return Ok("no tags".to_owned());
        }
        if let Some(tag) = self.fixed_tags().iter().find(|tag| !tags.contains(*tag)) {
            return Ok(format!("no tag {tag}"));
        }
        let mut pipeline = redis::pipe();
        for tag in &tags {
            pipeline.get(self.marker_key(tag));
        }
        let markers: Vec<RedisResult<Option<String>>> = self.client().run_commands(pipeline).await?;
        let generation = self.generation().to_string();
        let damaged =
            tags.iter().zip(markers).find(|(_, marker)| !matches!(marker, Ok(Some(text)) if *text == generation));
        Ok(damaged.map_or(generation, |(tag, marker)| format!("marker of {tag}: {marker:?}")))
    }

    /// Whether the generation was built by a release whose keys had no tags: its marker has no tag either.
    pub(super) async fn has_outdated_layout(&self) -> Result<bool, QueryError> {
        let (exists,): (bool,) = self
            .client()
            .send_with_retry(redis::pipe().exists(self.outdated_marker_key()))
            .await
            .map_err(unavailable_error)?;
        Ok(exists)
    }

    fn outdated_marker_key(&self) -> String {
        format!("{}{GENERATION_ROW}", self.prefix())
    }
}
