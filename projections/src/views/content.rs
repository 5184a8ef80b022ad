//! What `Redis` holds of a generation, as rows to compare.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use chrono::{DateTime, Utc};
use redis::{FromRedisValue, Pipeline, RedisResult};

use super::{
    Views,
    delta::Target,
    expected::{DAMAGED, FIGURES, GENERATION, UNKNOWN, figure_key, stream_row},
    generation::MARKER,
    step::Versioned,
    store::versioned,
    stream::{State, Stream},
};
use crate::{
    QueryError,
    runtime::{Row, Scope, bucket_of},
};

/// A key of a generation.
enum Kind {
    Marker,
    Stream(Stream, String),
    Figures(Target),
    Unknown,
}

impl Kind {
    fn of(name: &str) -> Self {
        if name == MARKER {
            return Self::Marker;
        }
        for stream in Stream::ALL {
            if let Some(id) = name.strip_prefix(stream.name()).and_then(|rest| rest.strip_prefix(':')) {
                return Self::Stream(stream, id.to_owned());
            }
        }
        Target::parse(name).map_or(Self::Unknown, Self::Figures)
    }

    /// Every key is part of exactly one of the totals and the buckets.
    fn is_in(&self, scope: &Scope, name: &str) -> bool {
        match (self, scope) {
            (Self::Marker | Self::Figures(_), Scope::Totals) => true,
            (Self::Marker | Self::Figures(_), Scope::Buckets(_))
            | (Self::Stream(..) | Self::Unknown, Scope::Totals) => false,
            (Self::Stream(_, id), Scope::Buckets(range)) => range.contains(&bucket_of(id)),
            (Self::Unknown, Scope::Buckets(range)) => range.contains(&bucket_of(name)),
        }
    }
}

impl Views {
    /// The rows of a scope, without what expires about now.
    pub(super) async fn content(&self, scope: &Scope, now: DateTime<Utc>) -> Result<Vec<Row>, QueryError> {
        let (mut rows, mut seen, mut cursor) = (vec![], HashSet::new(), Some(0));
        while let Some(at) = cursor {
            let (next, keys) = self.scan(at).await?;
            cursor = next;
            let (mut streams, mut figures) = (vec![], vec![]);
            for key in keys {
                let name = String::from_utf8_lossy(key.strip_prefix(self.prefix().as_bytes()).unwrap_or(&key));
                let kind = Kind::of(&name);
                // A scan may come upon a key twice.
                if !kind.is_in(scope, &name) || !seen.insert(key.clone()) {
                    continue;
                }
                match kind {
                    Kind::Marker => figures.push((key, None)),
                    Kind::Stream(stream, id) => streams.push((key, stream, id)),
                    Kind::Figures(target) => figures.push((key, Some(target))),
                    Kind::Unknown => rows.push(Row::new(UNKNOWN, name, ())),
                }
            }
            self.read_streams(streams, now, &mut rows).await?;
            self.read_figures(figures, now, &mut rows).await?;
        }
        Ok(rows)
    }

    async fn read_streams(
        &self,
        keys: Vec<(Vec<u8>, Stream, String)>,
        now: DateTime<Utc>,
        rows: &mut Vec<Row>,
    ) -> Result<(), QueryError> {
        let mut pipeline = redis::pipe();
        for (key, ..) in &keys {
            pipeline.hgetall(key);
        }
        let answers: Vec<RedisResult<HashMap<Vec<u8>, Vec<u8>>>> = self.each(pipeline).await?;
        for ((_, stream, id), answer) in keys.into_iter().zip(answers) {
            match answer {
                // It expired since the scan.
                Ok(fields) if fields.is_empty() => {}
                Ok(fields) => match read(stream, &fields) {
                    Some(stored) if forgotten(self, &stored, now) => {}
                    Some(stored) => rows.extend(stream_row(stream, &id, &stored)),
                    None => rows.push(Row::new(
                        stream.name(),
                        id,
                        (DAMAGED, fields.into_iter().collect::<BTreeMap<_, _>>()),
                    )),
                },
                Err(error) => rows.push(Row::new(stream.name(), id, (DAMAGED, error.to_string()))),
            }
        }
        Ok(())
    }

    async fn read_figures(
        &self,
        keys: Vec<(Vec<u8>, Option<Target>)>,
        now: DateTime<Utc>,
        rows: &mut Vec<Row>,
    ) -> Result<(), QueryError> {
        let mut pipeline = redis::pipe();
        for (key, target) in &keys {
            match target {
                None => pipeline.get(key),
                Some(Target::Leaderboard(..)) => pipeline.zrange_withscores(key, 0, -1),
                Some(Target::Counters | Target::Engagement(_)) => pipeline.hgetall(key),
            };
        }
        let answers: Vec<RedisResult<redis::Value>> = self.each(pipeline).await?;
        for ((_, target), answer) in keys.into_iter().zip(answers) {
            match (target, answer) {
                (Some(Target::Leaderboard(_, Some(day))), Ok(_)) if !self.lifetime.keeps_leaderboard(day, now) => {}
                (None, Ok(value)) => {
                    let text: Option<Vec<u8>> = parsed(value)?;
                    rows.push(Row::new(GENERATION, MARKER, text.unwrap_or_default()));
                }
                (Some(target), Ok(value)) => {
                    for (field, count) in parsed::<Vec<(Vec<u8>, Vec<u8>)>>(value)? {
                        let key = figure_key(&target, &String::from_utf8_lossy(&field));
                        rows.push(Row::new(FIGURES, key, String::from_utf8_lossy(&count).into_owned()));
                    }
                }
                (None, Err(error)) => rows.push(Row::new(GENERATION, MARKER, (DAMAGED, error.to_string()))),
                (Some(target), Err(error)) => {
                    rows.push(Row::new(FIGURES, target.key(), (DAMAGED, error.to_string())));
                }
            }
        }
        Ok(())
    }

    /// Answers to each command of its own: a key of another type is a difference and no failure.
    async fn each<T: FromRedisValue>(&self, mut pipeline: Pipeline) -> Result<Vec<RedisResult<T>>, QueryError> {
        if pipeline.is_empty() {
            return Ok(vec![]);
        }
        let answers: Vec<RedisResult<T>> = self.ask(pipeline.ignore_errors()).await?;
        let failure =
            |answer: &RedisResult<T>| answer.as_ref().err().filter(|e| e.code() != Some("WRONGTYPE")).cloned();
        match answers.iter().find_map(failure) {
            Some(error) => Err(super::store::unavailable(error)),
            None => Ok(answers),
        }
    }
}

/// What a stream's hash says, if it says nothing else and all of it makes sense.
fn read(stream: Stream, fields: &HashMap<Vec<u8>, Vec<u8>>) -> Option<Versioned> {
    let text =
        |name: &str| fields.get(name.as_bytes()).map(|value| String::from_utf8_lossy(value)).map(Cow::into_owned);
    let (version, state) = (text("version")?, text("state")?);
    if fields.len() != 2 {
        return None;
    }
    versioned(stream, "", (Some(version), Some(state))).ok()
}

fn forgotten(views: &Views, stored: &Versioned, now: DateTime<Utc>) -> bool {
    match &stored.state {
        State::Visit(day) => !views.lifetime.keeps_visit(*day, now),
        State::Opportunity(_) | State::Watchlist(_) => false,
    }
}

fn parsed<T: FromRedisValue>(value: redis::Value) -> Result<T, QueryError> {
    redis::from_redis_value(value).map_err(super::store::unreadable)
}
