//! What `Redis` holds of a generation, as rows to compare.

use std::collections::HashSet;

use redis::{RedisResult, Value};

use super::{
    queries::{MARKER, TenantViews},
    tenant_aggregate::AggregateDescriptor,
};
use crate::{
    QueryError,
    opportunity_views::unavailable_error,
    runtime::{ReadModelRow, VerifyScope, bucket_of},
};

/// Table of places in lists.
const LISTS: &str = "lists";
/// Table of keys that nobody knows.
const UNKNOWN: &str = "unknown";
/// Content of a key that does not hold what it should; never expected.
const DAMAGED: &str = "damaged";

/// The row of a stream. States are compared by their text: maps in them are in order, so that it has one spelling.
pub(super) fn stream_row(kind: &'static str, stream: &str, version: u64, text: &str) -> ReadModelRow {
    ReadModelRow::new(kind, stream, (version, text))
}

/// The row of a place in a list.
pub(super) fn list_row(list: &str, member: &str) -> ReadModelRow {
    ReadModelRow::new(LISTS, format!("{list} {member}"), ())
}

/// What a key is.
enum TenantViewKey<'a> {
    Marker,
    Stream(&'static str, &'a str),
    List(&'a str),
    Unknown,
}

impl<'a> TenantViewKey<'a> {
    fn parse(name: &'a str) -> Self {
        if name == MARKER {
            return Self::Marker;
        }
        if let Some(list) = name.strip_prefix("list:") {
            return Self::List(list);
        }
        let stream =
            name.split_once(':').and_then(|(kind, stream)| Some((AggregateDescriptor::find(kind)?.name, stream)));
        stream.map_or(Self::Unknown, |(kind, stream)| Self::Stream(kind, stream))
    }

    fn is_in_scope(&self, scope: &VerifyScope, name: &str) -> bool {
        match (self, scope) {
            (Self::Marker | Self::List(_), VerifyScope::Totals) => true,
            (Self::Marker | Self::List(_), VerifyScope::Buckets(_))
            | (Self::Stream(..) | Self::Unknown, VerifyScope::Totals) => false,
            (Self::Stream(_, stream), VerifyScope::Buckets(range)) => range.contains(&bucket_of(stream)),
            (Self::Unknown, VerifyScope::Buckets(range)) => range.contains(&bucket_of(name)),
        }
    }
}

impl TenantViews {
    /// The rows of a scope.
    pub(super) async fn scan_rows(&self, scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        let (mut rows, mut seen, mut cursor) = (vec![], HashSet::new(), Some(0));
        while let Some(at) = cursor {
            let (next, keys) = self.scan_keys(at).await?;
            cursor = next;
            let names: Vec<_> = keys
                .iter()
                .map(|key| {
                    String::from_utf8_lossy(key.strip_prefix(self.prefix().as_bytes()).unwrap_or(key)).into_owned()
                })
                // A scan may come upon a key twice.
                .filter(|name| TenantViewKey::parse(name).is_in_scope(scope, name) && seen.insert(name.clone()))
                .collect();
            self.append_rows(&names, &mut rows).await?;
        }
        Ok(rows)
    }

    async fn append_rows(&self, names: &[String], rows: &mut Vec<ReadModelRow>) -> Result<(), QueryError> {
        let mut pipeline = redis::pipe();
        for name in names {
            let key = self.key(name);
            match TenantViewKey::parse(name) {
                TenantViewKey::Marker => pipeline.get(key),
                TenantViewKey::Stream(..) => pipeline.hmget(key, &["version", "state"]),
                TenantViewKey::List(_) => pipeline.zrange(key, 0, -1),
                TenantViewKey::Unknown => pipeline.exists(key),
            };
        }
        if names.is_empty() {
            return Ok(());
        }
        let answers: Vec<RedisResult<Value>> = self.run_pipeline(pipeline.ignore_errors()).await?;
        for (name, answer) in names.iter().zip(answers) {
            let answer = match answer {
                Err(error) if error.code() != Some("WRONGTYPE") => return Err(unavailable_error(error)),
                answer => answer,
            };
            rows.extend(parse_rows(name, answer));
        }
        Ok(())
    }
}

fn parse_rows(name: &str, answer: RedisResult<Value>) -> Vec<ReadModelRow> {
    let damaged = |table, key: &str| vec![ReadModelRow::new(table, key, DAMAGED)];
    match TenantViewKey::parse(name) {
        TenantViewKey::Unknown => vec![ReadModelRow::new(UNKNOWN, name, ())],
        TenantViewKey::Marker => match answer.and_then(|value| Ok(redis::from_redis_value::<String>(value)?)) {
            Ok(text) => vec![ReadModelRow::new(MARKER, MARKER, text)],
            Err(_) => damaged(MARKER, MARKER),
        },
        TenantViewKey::Stream(kind, stream) => {
            match answer.and_then(|value| Ok(redis::from_redis_value::<(u64, String)>(value)?)) {
                Ok((version, text)) => vec![stream_row(kind, stream, version, &text)],
                Err(_) => damaged(kind, stream),
            }
        }
        TenantViewKey::List(list) => {
            match answer.and_then(|value| Ok(redis::from_redis_value::<Vec<String>>(value)?)) {
                Ok(members) => members.iter().map(|member| list_row(list, member)).collect(),
                Err(_) => damaged(LISTS, list),
            }
        }
    }
}
