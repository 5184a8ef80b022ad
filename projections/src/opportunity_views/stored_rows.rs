//! What `Redis` holds of a generation, as rows to compare.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use chrono::{DateTime, Utc};
use redis::{FromRedisValue, Pipeline, RedisResult};

use super::{
    OpportunityViews,
    figure_deltas::FigureKey,
    generation_keys::MARKER,
    queries::parse_state,
    state_transition::VersionedState,
    verify::{DAMAGED, FIGURES, GENERATION, UNKNOWN, figure_row_key, stream_row},
    view_state::{StreamKind, ViewState},
};
use crate::{
    QueryError,
    runtime::{ReadModelRow, VerifyScope, bucket_of},
};

/// A key of a generation.
enum ViewKey {
    Marker,
    Stream(StreamKind, String),
    Figures(FigureKey),
    Unknown,
}

impl ViewKey {
    fn parse(name: &str) -> Self {
        if name == MARKER {
            return Self::Marker;
        }
        for stream in StreamKind::ALL {
            if let Some(id) = name.strip_prefix(stream.name()).and_then(|rest| rest.strip_prefix(':')) {
                return Self::Stream(stream, id.to_owned());
            }
        }
        FigureKey::parse(name).map_or(Self::Unknown, Self::Figures)
    }

    /// Every key is part of exactly one of the totals and the buckets.
    fn is_in_scope(&self, scope: &VerifyScope, name: &str) -> bool {
        match (self, scope) {
            (Self::Marker | Self::Figures(_), VerifyScope::Totals) => true,
            (Self::Marker | Self::Figures(_), VerifyScope::Buckets(_))
            | (Self::Stream(..) | Self::Unknown, VerifyScope::Totals) => false,
            (Self::Stream(_, id), VerifyScope::Buckets(range)) => range.contains(&bucket_of(id)),
            (Self::Unknown, VerifyScope::Buckets(range)) => range.contains(&bucket_of(name)),
        }
    }
}

impl OpportunityViews {
    /// The rows of a scope, without what expires about now.
    pub(super) async fn scan_rows(
        &self,
        scope: &VerifyScope,
        now: DateTime<Utc>,
    ) -> Result<Vec<ReadModelRow>, QueryError> {
        let (mut rows, mut seen, mut cursor) = (vec![], HashSet::new(), Some(0));
        while let Some(at) = cursor {
            let (next, keys) = self.scan_keys(at).await?;
            cursor = next;
            let (mut streams, mut figures) = (vec![], vec![]);
            for key in keys {
                let name = String::from_utf8_lossy(key.strip_prefix(self.prefix().as_bytes()).unwrap_or(&key));
                let kind = ViewKey::parse(&name);
                // A scan may come upon a key twice.
                if !kind.is_in_scope(scope, &name) || !seen.insert(key.clone()) {
                    continue;
                }
                match kind {
                    ViewKey::Marker => figures.push((key, None)),
                    ViewKey::Stream(stream, id) => streams.push((key, stream, id)),
                    ViewKey::Figures(target) => figures.push((key, Some(target))),
                    ViewKey::Unknown => rows.push(ReadModelRow::new(UNKNOWN, name, ())),
                }
            }
            self.read_streams(streams, now, &mut rows).await?;
            self.read_figures(figures, now, &mut rows).await?;
        }
        Ok(rows)
    }

    async fn read_streams(
        &self,
        keys: Vec<(Vec<u8>, StreamKind, String)>,
        now: DateTime<Utc>,
        rows: &mut Vec<ReadModelRow>,
    ) -> Result<(), QueryError> {
        let mut pipeline = redis::pipe();
        for (key, ..) in &keys {
            pipeline.hgetall(key);
        }
        let answers: Vec<RedisResult<HashMap<Vec<u8>, Vec<u8>>>> = self.run_commands(pipeline).await?;
        for ((_, stream, id), answer) in keys.into_iter().zip(answers) {
            match answer {
                // It expired since the scan.
                Ok(fields) if fields.is_empty() => {}
                Ok(fields) => match parse_stream_hash(stream, &fields) {
                    Some(stored) if is_expired_visit(self, &stored, now) => {}
                    Some(stored) => rows.extend(stream_row(stream, &id, &stored)),
                    None => rows.push(ReadModelRow::new(
                        stream.name(),
                        id,
                        (DAMAGED, fields.into_iter().collect::<BTreeMap<_, _>>()),
                    )),
                },
                Err(error) => rows.push(ReadModelRow::new(stream.name(), id, (DAMAGED, error.to_string()))),
            }
        }
        Ok(())
    }

    async fn read_figures(
        &self,
        keys: Vec<(Vec<u8>, Option<FigureKey>)>,
        now: DateTime<Utc>,
        rows: &mut Vec<ReadModelRow>,
    ) -> Result<(), QueryError> {
        let mut pipeline = redis::pipe();
        for (key, target) in &keys {
            match target {
                None => pipeline.get(key),
                Some(FigureKey::Leaderboard(..)) => pipeline.zrange_withscores(key, 0, -1),
                Some(FigureKey::Counters | FigureKey::Engagement(_)) => pipeline.hgetall(key),
            };
        }
        let answers: Vec<RedisResult<redis::Value>> = self.run_commands(pipeline).await?;
        for ((_, target), answer) in keys.into_iter().zip(answers) {
            match (target, answer) {
                (Some(FigureKey::Leaderboard(_, Some(day))), Ok(_)) if !self.lifetime.keeps_leaderboard(day, now) => {}
                (None, Ok(value)) => {
                    let text: Option<Vec<u8>> = decode_value(value)?;
                    rows.push(ReadModelRow::new(GENERATION, MARKER, text.unwrap_or_default()));
                }
                (Some(target), Ok(value)) => {
                    for (field, count) in decode_value::<Vec<(Vec<u8>, Vec<u8>)>>(value)? {
                        let key = figure_row_key(&target, &String::from_utf8_lossy(&field));
                        rows.push(ReadModelRow::new(FIGURES, key, String::from_utf8_lossy(&count).into_owned()));
                    }
                }
                (None, Err(error)) => rows.push(ReadModelRow::new(GENERATION, MARKER, (DAMAGED, error.to_string()))),
                (Some(target), Err(error)) => {
                    rows.push(ReadModelRow::new(FIGURES, target.redis_key(), (DAMAGED, error.to_string())));
                }
            }
        }
        Ok(())
    }

    /// Answers to each command of its own: a key of another type is a difference and no failure.
    async fn run_commands<T: FromRedisValue>(&self, mut pipeline: Pipeline) -> Result<Vec<RedisResult<T>>, QueryError> {
        if pipeline.is_empty() {
            return Ok(vec![]);
        }
        let answers: Vec<RedisResult<T>> = self.run_pipeline(pipeline.ignore_errors()).await?;
        let failure =
            |answer: &RedisResult<T>| answer.as_ref().err().filter(|e| e.code() != Some("WRONGTYPE")).cloned();
        match answers.iter().find_map(failure) {
            Some(error) => Err(super::queries::unavailable_error(error)),
            None => Ok(answers),
        }
    }
}

/// What a stream's hash says, if it says nothing else and all of it makes sense.
fn parse_stream_hash(stream: StreamKind, fields: &HashMap<Vec<u8>, Vec<u8>>) -> Option<VersionedState> {
    let text =
        |name: &str| fields.get(name.as_bytes()).map(|value| String::from_utf8_lossy(value)).map(Cow::into_owned);
    let (version, state) = (text("version")?, text("state")?);
    if fields.len() != 2 {
        return None;
    }
    parse_state(stream, "", (Some(version), Some(state))).ok()
}

fn is_expired_visit(views: &OpportunityViews, stored: &VersionedState, now: DateTime<Utc>) -> bool {
    match &stored.state {
        ViewState::Visit(day) => !views.lifetime.keeps_visit(*day, now),
        ViewState::Opportunity(_) | ViewState::Watchlist(_) => false,
    }
}

fn decode_value<T: FromRedisValue>(value: redis::Value) -> Result<T, QueryError> {
    redis::from_redis_value(value).map_err(super::queries::unreadable_error)
}
