//! Preparing and removing a generation.
//!
//! Every tag that a generation uses has a marker in its own slot, which every script call requires: a server that was
//! flushed or replaced by an empty one has no markers, so that nothing is written as if what was lost were there; and
//! without the markers, which are removed first, no late writer adds keys to a generation that is being removed.
//!
//! The set of tags names them all. Tags that are known beforehand are in it from the start. Others, such as tenants, are
//! added before their first write: the marker first, then the tag, and the marker is removed again if the set has gone
//! meanwhile. So a tag of the set without a marker is a loss, and a removal finds every marker that allows writes.

use std::collections::BTreeSet;

use redis::{RedisResult, Value};

use super::{
    errors::{unavailable_error, unreadable_error},
    script_call::{RedisScript, ScriptCall},
    state_batch::StateBatch,
    state_key::GENERATION_ROW,
    versioned_state_store::VersionedStateStore,
};
use crate::{QueryError, runtime::ProjectionError};

/// The member that the set of tags always has.
const PREPARED: &str = "";

/// Adds a tag to the set of tags; returns 0 when the set does not exist.
static ADD_TAG: RedisScript = RedisScript::new(
    "if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('SADD', KEYS[1], ARGV[1])
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
        let members: Vec<&str> = self.fixed_tags().iter().map(String::as_str).chain([PREPARED]).collect();
        pipeline.sadd(self.tags_key(), members).ignore();
        self.client().run_pipeline::<()>(&pipeline).await
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

    /// Makes sure that the tags of these batches have markers.
    pub(super) async fn open_tags<B: StateBatch>(&self, batches: &[B]) -> Result<(), ProjectionError> {
        if !self.fixed_tags().is_empty() {
            return Ok(());
        }
        let unknown: BTreeSet<&str> = {
            let tags = batches.iter().flat_map(StateBatch::keys).map(|key| key.tag.as_str());
            let opened = self.opened_tags();
            tags.filter(|tag| !opened.contains(*tag)).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let unavailable = |error| self.classifier().classify_error(error);
        let mut pipeline = redis::pipe();
        pipeline.sismember(self.tags_key(), PREPARED);
        for tag in &unknown {
            pipeline.sismember(self.tags_key(), tag);
        }
        let members: Vec<bool> = self.client().send_with_retry(&pipeline).await.map_err(unavailable)?;
        let Some((true, members)) = members.split_first().map(|(first, rest)| (*first, rest)) else {
            return Err(self.classifier().generation_lost());
        };
        let new: Vec<&str> =
            unknown.iter().zip(members).filter(|(_, is_member)| !**is_member).map(|(tag, _)| *tag).collect();
        self.add_tags(&new).await?;
        self.opened_tags().extend(unknown.into_iter().map(str::to_owned));
        Ok(())
    }

    async fn add_tags(&self, tags: &[&str]) -> Result<(), ProjectionError> {
        if tags.is_empty() {
            return Ok(());
        }
        let unavailable = |error| self.classifier().classify_error(error);
        let mut pipeline = redis::pipe();
        for tag in tags {
            pipeline.set(self.marker_key(tag), self.generation().to_string()).ignore();
        }
        self.client().send_with_retry::<()>(&pipeline).await.map_err(unavailable)?;
        let add_call = |tag: &&str| {
            let mut call = ScriptCall::default();
            call.add_key(self.tags_key()).add_argument(*tag);
            call
        };
        let calls: Vec<_> = tags.iter().map(add_call).collect();
        let answers = self.client().call_script(&ADD_TAG, &calls).await.map_err(unavailable)?;
        let mut pipeline = redis::pipe();
        for (tag, answer) in tags.iter().zip(answers) {
            if answer.map_err(unavailable)? != Value::Int(1) {
                pipeline.del(self.marker_key(tag)).ignore();
            }
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        self.client().send_with_retry::<()>(&pipeline).await.map_err(unavailable)?;
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

    /// Whether the generation was built by a release whose keys had no tags. Its marker had the name of a marker without
    /// a tag.
    pub(super) async fn has_outdated_layout(&self) -> Result<bool, QueryError> {
        let (found,): (bool,) = self
            .client()
            .send_with_retry(redis::pipe().exists(self.outdated_marker_key()))
            .await
            .map_err(unavailable_error)?;
        Ok(found)
    }

    fn outdated_marker_key(&self) -> String {
        format!("{}{GENERATION_ROW}", self.prefix())
    }
}
