//! Reads a generation's keys back as rows, for verify.

use std::collections::BTreeMap;

use redis::{RedisResult, Value};

use super::{queries::TenantViews, stored_aggregate::AggregateFold, tenant_aggregate::AggregateDescriptor};
use crate::{
    QueryError,
    runtime::{ReadModelRow, RowKey, RowScope, ScannedRow},
    storage::redis::{GENERATION_ROW, KeyRows, NamedKey, UNKNOWN, VersionedStateStore, tag_name},
};

/// Table of list entries.
const LISTS: &str = "lists";
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

    /// The scope of the key's rows; `None` for markers.
    fn row_scope(&self, name: &str) -> Option<RowScope> {
        match self {
            Self::Marker => None,
            Self::List(..) => Some(RowScope::Totals),
            Self::Stream(_, stream) => Some(RowScope::of_stream(stream)),
            Self::Unknown => Some(RowScope::of_stream(name)),
        }
    }
}

/// The read model's keys as rows.
pub(super) struct TenantViewRows(pub(super) TenantViews);

impl KeyRows for TenantViewRows {
    type State = Box<dyn AggregateFold>;

    fn store(&self) -> &VersionedStateStore<Self::State> {
        &self.0.store
    }

    fn row_scope(name: &str) -> Option<RowScope> {
        TenantViewKey::parse(name).row_scope(name)
    }

    async fn read_keys(&self, keys: Vec<NamedKey>) -> Result<Vec<ScannedRow>, QueryError> {
        let (mut names, mut pipeline) = (vec![], redis::pipe());
        // A list is read as a whole: it has the aggregates of one tenant.
        for NamedKey { key, name, .. } in keys {
            match TenantViewKey::parse(&name) {
                TenantViewKey::Stream(..) => pipeline.hgetall(key),
                TenantViewKey::List(..) => pipeline.zrange(key, 0, -1),
                TenantViewKey::Marker | TenantViewKey::Unknown => pipeline.exists(key),
            };
            names.push(name);
        }
        let answers = self.0.store.client().run_commands(pipeline).await?;
        let mut rows = vec![];
        for (name, answer) in names.iter().zip(answers) {
            let Some(scope) = Self::row_scope(name) else { continue };
            rows.extend(parse_rows(name, answer).into_iter().map(|row| ScannedRow { scope, row }));
        }
        Ok(rows)
    }

    fn key_names(row: &RowKey) -> Vec<(String, Option<String>)> {
        let RowKey { table, key } = row;
        if *table == UNKNOWN {
            return vec![(key.clone(), None)];
        }
        if let Some(kind) = AggregateDescriptor::find(table) {
            return parts_before(key, ':').map(|tenant| (format!("{{{tenant}}}:{}:{key}", kind.name), None)).collect();
        }
        if *table != LISTS {
            return vec![];
        }
        let lists = parts_before(key, ' ').filter_map(|list| list.split_once(':'));
        let names = lists.flat_map(|(kind, list)| {
            let split = |tenant: &str| {
                let group = list.get(tenant.len()..)?.strip_prefix(':')?;
                Some((format!("{{{tenant}}}:list:{kind}:{group}"), None))
            };
            parts_before(list, ':').filter_map(split).collect::<Vec<_>>()
        });
        names.collect()
    }
}

/// What is before each of these separators, and the whole text: which of them separates two names is not known, because
/// names may have the character, too.
fn parts_before(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.match_indices(separator).filter_map(|(end, _)| text.get(..end)).chain([text])
}

fn parse_rows(name: &str, answer: RedisResult<Value>) -> Vec<ReadModelRow> {
    match TenantViewKey::parse(name) {
        TenantViewKey::Marker => vec![],
        TenantViewKey::Unknown if answer == Ok(Value::Int(0)) => vec![],
        TenantViewKey::Unknown => vec![ReadModelRow::new(UNKNOWN, name, ())],
        TenantViewKey::Stream(kind, stream) => {
            match answer.and_then(|value| Ok(redis::from_redis_value::<BTreeMap<String, String>>(value)?)) {
                Ok(fields) if fields.is_empty() => vec![],
                Ok(fields) => vec![parse_stream(kind, stream, &fields)],
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

fn parse_stream(kind: &'static str, stream: &str, fields: &BTreeMap<String, String>) -> ReadModelRow {
    let version = fields.get("version").and_then(|version| version.parse().ok());
    match (version, fields.get("state")) {
        (Some(version), Some(text)) => stream_row(kind, stream, version, text),
        (_, _) => ReadModelRow::new(kind, stream, DAMAGED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_its_key() {
        for (table, key, name) in [
            ("proposal", "acme:1", "{acme}:proposal:acme:1"),
            ("company", "acme", "{acme}:company:acme"),
            (LISTS, "proposal:acme:all 0001:a:b", "{acme}:list:proposal:all"),
            (LISTS, "proposal:acme:status:open 0001:a", "{acme}:list:proposal:status:open"),
            (LISTS, "proposal:acme:all", "{acme}:list:proposal:all"),
            (UNKNOWN, "{acme}:x", "{acme}:x"),
        ] {
            let names = TenantViewRows::key_names(&RowKey { table, key: key.to_owned() });
            assert!(names.contains(&(name.to_owned(), None)), "{table} {key}: {names:?}");
        }
        let marker = RowKey { table: GENERATION_ROW, key: GENERATION_ROW.to_owned() };
        assert_eq!(TenantViewRows::key_names(&marker), vec![]);
    }
}
