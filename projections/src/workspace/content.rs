//! What `Redis` holds of a generation, as rows to compare.

use std::collections::HashSet;

use redis::{RedisResult, Value};

use super::{
    kind::Kind,
    store::{MARKER, Workspace},
};
use crate::{
    QueryError,
    runtime::{Row, Scope, bucket_of},
    views::unavailable,
};

/// Table of places in lists.
const LISTS: &str = "lists";
/// Table of keys that nobody knows.
const UNKNOWN: &str = "unknown";
/// Content of a key that does not hold what it should; never expected.
const DAMAGED: &str = "damaged";

/// The row of a stream. States are compared by their text: maps in them are in order, so that it has one spelling.
pub(super) fn stream_row(kind: &'static str, stream: &str, version: u64, text: &str) -> Row {
    Row::new(kind, stream, (version, text))
}

/// The row of a place in a list.
pub(super) fn list_row(list: &str, member: &str) -> Row {
    Row::new(LISTS, format!("{list} {member}"), ())
}

/// What a key is.
enum Held<'a> {
    Marker,
    Stream(&'static str, &'a str),
    List(&'a str),
    Unknown,
}

impl<'a> Held<'a> {
    fn of(name: &'a str) -> Self {
        if name == MARKER {
            return Self::Marker;
        }
        if let Some(list) = name.strip_prefix("list:") {
            return Self::List(list);
        }
        let stream = name.split_once(':').and_then(|(kind, stream)| Some((Kind::of_aggregate(kind)?.name, stream)));
        stream.map_or(Self::Unknown, |(kind, stream)| Self::Stream(kind, stream))
    }

    fn is_in(&self, scope: &Scope, name: &str) -> bool {
        match (self, scope) {
            (Self::Marker | Self::List(_), Scope::Totals) => true,
            (Self::Marker | Self::List(_), Scope::Buckets(_)) | (Self::Stream(..) | Self::Unknown, Scope::Totals) => {
                false
            }
            (Self::Stream(_, stream), Scope::Buckets(range)) => range.contains(&bucket_of(stream)),
            (Self::Unknown, Scope::Buckets(range)) => range.contains(&bucket_of(name)),
        }
    }
}

impl Workspace {
    /// The rows of a scope.
    pub(super) async fn content(&self, scope: &Scope) -> Result<Vec<Row>, QueryError> {
        let (mut rows, mut seen, mut cursor) = (vec![], HashSet::new(), Some(0));
        while let Some(at) = cursor {
            let (next, keys) = self.scan(at).await?;
            cursor = next;
            let names: Vec<_> = keys
                .iter()
                .map(|key| {
                    String::from_utf8_lossy(key.strip_prefix(self.prefix().as_bytes()).unwrap_or(key)).into_owned()
                })
                // A scan may come upon a key twice.
                .filter(|name| Held::of(name).is_in(scope, name) && seen.insert(name.clone()))
                .collect();
            self.read(&names, &mut rows).await?;
        }
        Ok(rows)
    }

    async fn read(&self, names: &[String], rows: &mut Vec<Row>) -> Result<(), QueryError> {
        let mut pipeline = redis::pipe();
        for name in names {
            let key = self.key(name);
            match Held::of(name) {
                Held::Marker => pipeline.get(key),
                Held::Stream(..) => pipeline.hmget(key, &["version", "state"]),
                Held::List(_) => pipeline.zrange(key, 0, -1),
                Held::Unknown => pipeline.exists(key),
            };
        }
        if names.is_empty() {
            return Ok(());
        }
        let answers: Vec<RedisResult<Value>> = self.ask(pipeline.ignore_errors()).await?;
        for (name, answer) in names.iter().zip(answers) {
            let answer = match answer {
                Err(error) if error.code() != Some("WRONGTYPE") => return Err(unavailable(error)),
                answer => answer,
            };
            rows.extend(rows_of(name, answer));
        }
        Ok(())
    }
}

fn rows_of(name: &str, answer: RedisResult<Value>) -> Vec<Row> {
    let damaged = |table, key: &str| vec![Row::new(table, key, DAMAGED)];
    match Held::of(name) {
        Held::Unknown => vec![Row::new(UNKNOWN, name, ())],
        Held::Marker => match answer.and_then(|value| Ok(redis::from_redis_value::<String>(value)?)) {
            Ok(text) => vec![Row::new(MARKER, MARKER, text)],
            Err(_) => damaged(MARKER, MARKER),
        },
        Held::Stream(kind, stream) => {
            match answer.and_then(|value| Ok(redis::from_redis_value::<(u64, String)>(value)?)) {
                Ok((version, text)) => vec![stream_row(kind, stream, version, &text)],
                Err(_) => damaged(kind, stream),
            }
        }
        Held::List(list) => match answer.and_then(|value| Ok(redis::from_redis_value::<Vec<String>>(value)?)) {
            Ok(members) => members.iter().map(|member| list_row(list, member)).collect(),
            Err(_) => damaged(LISTS, list),
        },
    }
}
