//! Reads a generation's keys back as rows, for verify.

use redis::{RedisResult, Value};

use super::{queries::TenantViews, tenant_aggregate::AggregateDescriptor};
use crate::{
    QueryError,
    runtime::{ReadModelRow, VerifyScope, bucket_of},
    storage::redis::{GENERATION_ROW, tag_name},
};

/// Table of list entries.
const LISTS: &str = "lists";
/// Table of unknown keys.
const UNKNOWN: &str = "unknown";
/// Content of a key that cannot be decoded; never expected.
const DAMAGED: &str = "damaged";

/// The row of a stream. States are compared as text: their maps are ordered, so a state has only one text.
pub(super) fn stream_row(kind: &'static str, stream: &str, version: u64, text: &str) -> ReadModelRow {
    ReadModelRow::new(kind, stream, (version, text))
}

/// The row of a list entry.
pub(super) fn list_row(list: &str, member: &str) -> ReadModelRow {
    ReadModelRow::new(LISTS, format!("{list} {member}"), ())
}

/// A key of a generation.
enum TenantViewKey<'a> {
    /// The set of tags, or a marker; all of them are one row.
    Marker,
    Stream(&'static str, &'a str),
    /// Kind, tenant and group of a list.
    List(&'a str, &'a str, &'a str),
    Unknown,
}

impl<'a> TenantViewKey<'a> {
    /// Parses a key without its prefix. A stream with the tag of another tenant is `Unknown`.
    fn parse(name: &'a str) -> Self {
        if name == "tags" {
            return Self::Marker;
        }
        let Some((tenant, rest)) = tag_name(name) else { return Self::Unknown };
        if rest == GENERATION_ROW {
            return Self::Marker;
        }
        if let Some((kind, group)) = rest.strip_prefix("list:").and_then(|list| list.split_once(':')) {
            return Self::List(kind, tenant, group);
        }
        let Some((kind, stream)) = rest.split_once(':') else { return Self::Unknown };
        let is_of_tenant = stream.strip_prefix(tenant).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
        match AggregateDescriptor::find(kind) {
            Some(kind) if is_of_tenant => Self::Stream(kind.name, stream),
            Some(_) | None => Self::Unknown,
        }
    }

    fn is_in_scope(&self, scope: &VerifyScope, name: &str) -> bool {
        match (self, scope) {
            (Self::List(..), VerifyScope::Totals) => true,
            (Self::Marker, _)
            | (Self::List(..), VerifyScope::Buckets(_))
            | (Self::Stream(..) | Self::Unknown, VerifyScope::Totals) => false,
            (Self::Stream(_, stream), VerifyScope::Buckets(range)) => range.contains(&bucket_of(stream)),
            (Self::Unknown, VerifyScope::Buckets(range)) => range.contains(&bucket_of(name)),
        }
    }
}

impl TenantViews {
    /// The rows of a scope.
    pub(super) async fn scan_rows(&self, scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        let (mut rows, mut scan) = (self.store.read_marker_row(scope).await?, self.store.scan_generation());
        let select = |name: &str| TenantViewKey::parse(name).is_in_scope(scope, name).then(|| name.to_owned());
        while let Some(keys) = scan.next_page(select).await? {
            let names: Vec<String> = keys.into_iter().map(|(_, name)| name).collect();
            self.append_rows(&names, &mut rows).await?;
        }
        Ok(rows)
    }

    async fn append_rows(&self, names: &[String], rows: &mut Vec<ReadModelRow>) -> Result<(), QueryError> {
        let mut pipeline = redis::pipe();
        for name in names {
            let key = format!("{}{name}", self.store.prefix());
            match TenantViewKey::parse(name) {
                TenantViewKey::Stream(..) => pipeline.hmget(key, &["version", "state"]),
                TenantViewKey::List(..) => pipeline.zrange(key, 0, -1),
                TenantViewKey::Marker | TenantViewKey::Unknown => pipeline.exists(key),
            };
        }
        let answers = self.store.client().run_commands(pipeline).await?;
        for (name, answer) in names.iter().zip(answers) {
            rows.extend(parse_rows(name, answer));
        }
        Ok(())
    }
}

fn parse_rows(name: &str, answer: RedisResult<Value>) -> Vec<ReadModelRow> {
    match TenantViewKey::parse(name) {
        TenantViewKey::Marker => vec![],
        TenantViewKey::Unknown => vec![ReadModelRow::new(UNKNOWN, name, ())],
        TenantViewKey::Stream(kind, stream) => {
            match answer.and_then(|value| Ok(redis::from_redis_value::<(u64, String)>(value)?)) {
                Ok((version, text)) => vec![stream_row(kind, stream, version, &text)],
                Err(_) => vec![ReadModelRow::new(kind, stream, DAMAGED)],
            }
        }
        TenantViewKey::List(kind, tenant, group) => {
            let list = format!("{kind}:{tenant}:{group}");
            match answer.and_then(|value| Ok(redis::from_redis_value::<Vec<String>>(value)?)) {
                Ok(members) => members.iter().map(|member| list_row(&list, member)).collect(),
                Err(_) => vec![ReadModelRow::new(LISTS, list, DAMAGED)],
            }
        }
    }
}
