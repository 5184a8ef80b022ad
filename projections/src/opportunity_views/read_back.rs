//! Reads a generation's keys back as rows, for verify.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use redis::RedisResult;

use super::{
    OpportunityViews,
    figure_deltas::FigureKey,
    key_shard::KeyShard,
    verify::{DAMAGED, FIGURES, figure_row_key, may_be_expired, state_row, state_row_key},
    view_state::{StateKind, ViewState},
};
use crate::{
    QueryError,
    runtime::{ReadModelRow, RowKey, RowScope, ScannedRow},
    storage::redis::{
        GENERATION_ROW, KeyRows, NamedKey, UNKNOWN, VersionedState, VersionedStateStore, parse_raw_state, tag_name,
    },
};

/// A key of a generation.
enum ViewKey {
    /// The set of tags, or a marker; all of them are one row.
    Marker,
    State(StateKind, KeyShard, String),
    Figures(FigureKey),
    Unknown,
}

impl ViewKey {
    /// Parses a key without its prefix. A key with the tag of another shard is `Unknown`.
    fn parse(name: &str) -> Self {
        if name == "tags" {
            return Self::Marker;
        }
        let Some((shard, rest)) = tag_name(name).and_then(|(tag, rest)| Some((KeyShard::from_tag(tag)?, rest))) else {
            return Self::Unknown;
        };
        if rest == GENERATION_ROW {
            return Self::Marker;
        }
        for kind in StateKind::ALL {
            if let Some(id) = rest.strip_prefix(kind.name()).and_then(|rest| rest.strip_prefix(':')) {
                let is_of_shard = kind.is_part() || KeyShard::for_id(id) == shard;
                return if is_of_shard { Self::State(kind, shard, id.to_owned()) } else { Self::Unknown };
            }
        }
        FigureKey::parse(shard, rest).map_or(Self::Unknown, Self::Figures)
    }

    /// The scope of the key's rows; `None` for markers.
    fn row_scope(&self, name: &str) -> Option<RowScope> {
        match self {
            Self::Marker => None,
            Self::Figures(_) => Some(RowScope::Totals),
            Self::State(_, _, id) => Some(RowScope::of_stream(id)),
            Self::Unknown => Some(RowScope::of_stream(name)),
        }
    }
}

/// Fields of a hash, or members of a sorted set with their scores.
type FieldsAndValues = Vec<(Vec<u8>, Vec<u8>)>;

/// The read model's keys as rows, without those that may have expired.
pub(super) struct ViewRows(pub(super) OpportunityViews);

impl KeyRows for ViewRows {
    type State = ViewState;

    fn store(&self) -> &VersionedStateStore<ViewState> {
        &self.0.store
    }

    fn row_scope(name: &str) -> Option<RowScope> {
        ViewKey::parse(name).row_scope(name)
    }

    async fn read_keys(&self, keys: Vec<NamedKey>) -> Result<Vec<ScannedRow>, QueryError> {
        let (mut read, mut pipeline) = (vec![], redis::pipe());
        for NamedKey { key, name, fields } in keys {
            let parsed = ViewKey::parse(&name);
            let Some(scope) = parsed.row_scope(&name) else { continue };
            match (&parsed, fields.is_empty()) {
                (ViewKey::Figures(FigureKey::Leaderboard(..)), true) => pipeline.zrange_withscores(key, 0, -1),
                (ViewKey::Figures(FigureKey::Leaderboard(..)), false) => pipeline.cmd("ZMSCORE").arg(key).arg(&fields),
                (ViewKey::Figures(FigureKey::Counters(_) | FigureKey::Engagement(_)), false) => {
                    pipeline.cmd("HMGET").arg(key).arg(&fields)
                }
                (ViewKey::Marker | ViewKey::Unknown, _) => pipeline.exists(key),
                (ViewKey::State(..), _)
                | (ViewKey::Figures(FigureKey::Counters(_) | FigureKey::Engagement(_)), true) => pipeline.hgetall(key),
            };
            read.push((scope, parsed, name, fields));
        }
        let answers: Vec<RedisResult<redis::Value>> = self.0.store.client().run_commands(pipeline).await?;
        let (now, mut rows) = (self.0.comparison_time(), vec![]);
        for ((scope, parsed, name, fields), answer) in read.into_iter().zip(answers) {
            let of_key = match parsed {
                ViewKey::Marker => vec![],
                ViewKey::Unknown if answer == Ok(redis::Value::Int(0)) => vec![],
                ViewKey::Unknown => vec![ReadModelRow::new(UNKNOWN, name, ())],
                ViewKey::State(kind, shard, id) => {
                    self.state_rows((kind, shard), &id, decode_answer(answer, vec![]), now)
                }
                ViewKey::Figures(figure_key) => self.figure_rows(&figure_key, decode_answer(answer, fields), now),
            };
            rows.extend(of_key.into_iter().map(|row| ScannedRow { scope, row }));
        }
        Ok(rows)
    }

    fn key_names(row: &RowKey) -> Vec<(String, Option<String>)> {
        let RowKey { table, key } = row;
        if let Some(kind) = StateKind::ALL.into_iter().find(|kind| kind.name() == *table) {
            let shard_and_id =
                if kind.is_part() { tag_name(key).map(|(shard, id)| (shard.to_owned(), id)) } else { None };
            let (shard, id) = shard_and_id.unwrap_or_else(|| (KeyShard::for_id(key).to_string(), key.as_str()));
            return vec![(format!("{{{shard}}}:{}:{id}", kind.name()), None)];
        }
        if *table == UNKNOWN {
            return vec![(key.clone(), None)];
        }
        // A key of figures, a space and a field. Both may have spaces, so several keys are possible. A damaged key has no
        // field.
        let split = |(end, _): (usize, &str)| Some((key.get(..end)?, Some(key.get(end + 1..)?)));
        let splits = key.match_indices(' ').filter_map(split).chain([(key.as_str(), None)]);
        let names = splits.filter(|(name, _)| matches!(ViewKey::parse(name), ViewKey::Figures(_)));
        // A field that is no UTF-8 has lost bytes, and cannot be asked for alone.
        let is_whole = !key.contains(char::REPLACEMENT_CHARACTER);
        names.map(|(name, field)| (name.to_owned(), field.filter(|_| is_whole).map(str::to_owned))).collect()
    }
}

impl ViewRows {
    /// The row of a state; none if its key does not exist.
    fn state_rows(
        &self,
        (kind, shard): (StateKind, KeyShard),
        id: &str,
        fields: RedisResult<FieldsAndValues>,
        now: DateTime<Utc>,
    ) -> Vec<ReadModelRow> {
        let damaged = |content: String| {
            vec![ReadModelRow::new(kind.name(), state_row_key((kind, shard), id), (DAMAGED, content))]
        };
        match fields {
            // The key expired after the scan.
            Ok(fields) if fields.is_empty() => vec![],
            Ok(fields) => match parse_state_hash(kind, &fields) {
                Some(stored) if may_be_expired(&stored.state, self.0.retention, now) => vec![],
                Some(stored) => state_row((kind, shard), id, &stored).into_iter().collect(),
                None => damaged(format!("{:?}", fields.into_iter().collect::<BTreeMap<_, _>>())),
            },
            Err(error) => damaged(error.to_string()),
        }
    }

    /// The rows of a key of figures.
    fn figure_rows(
        &self,
        figure_key: &FigureKey,
        fields: RedisResult<FieldsAndValues>,
        now: DateTime<Utc>,
    ) -> Vec<ReadModelRow> {
        match (figure_key, fields) {
            (FigureKey::Leaderboard(_, _, Some(day)), Ok(_)) if !self.0.retention.keeps_leaderboard(*day, now) => {
                vec![]
            }
            (_, Ok(fields)) => {
                let to_row = |(field, count): (Vec<u8>, Vec<u8>)| {
                    let key = figure_row_key(figure_key, &String::from_utf8_lossy(&field));
                    ReadModelRow::new(FIGURES, key, String::from_utf8_lossy(&count).into_owned())
                };
                fields.into_iter().map(to_row).collect()
            }
            (_, Err(error)) => {
                vec![ReadModelRow::new(FIGURES, figure_key.to_string(), (DAMAGED, error.to_string()))]
            }
        }
    }
}

/// Decodes a state's hash; `None` if it has other fields or any of them is invalid.
fn parse_state_hash(kind: StateKind, fields: &[(Vec<u8>, Vec<u8>)]) -> Option<VersionedState<ViewState>> {
    if fields.len() != 2 {
        return None;
    }
    let text = |name: &str| {
        let (_, value) = fields.iter().find(|(field, _)| field == name.as_bytes())?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    let (version, state) = parse_raw_state("", (text("version"), text("state"))).ok()??;
    Some(VersionedState { version, state: ViewState::from_json(kind, &state).ok()? })
}

/// Decodes all fields with their values, or the values of `asked` fields, of which the key may not have each.
fn decode_answer(answer: RedisResult<redis::Value>, asked: Vec<String>) -> RedisResult<FieldsAndValues> {
    if asked.is_empty() {
        return Ok(redis::from_redis_value(answer?)?);
    }
    let values: Vec<Option<Vec<u8>>> = redis::from_redis_value(answer?)?;
    let fields = asked.into_iter().zip(values);
    Ok(fields.filter_map(|(field, value)| Some((field.into_bytes(), value?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_its_key() {
        let shard = KeyShard::for_id("036:A B");
        let part = format!("{{{shard}}}:visit_part:v 1");
        let (engagement, counters) =
            (format!("{{{shard}}}:engagement:036:A B"), format!("{{{shard}}}:counters:opportunities"));
        let (board, unknown) = (format!("{{{shard}}}:top:viewed:2026-03-01"), "oportunity:1".to_owned());
        for (table, key, name, field) in [
            ("opportunity", "036:A B".to_owned(), format!("{{{shard}}}:opportunity:036:A B"), None),
            ("visit_part", format!("{{{shard}}}:v 1"), part, None),
            (FIGURES, format!("{engagement} viewed"), engagement.clone(), Some("viewed")),
            (FIGURES, engagement.clone(), engagement, None),
            (FIGURES, format!("{counters} agency:D O D"), counters, Some("agency:D O D")),
            (FIGURES, format!("{board} 036:A B"), board, Some("036:A B")),
            (UNKNOWN, unknown.clone(), unknown, None),
        ] {
            let names = ViewRows::key_names(&RowKey { table, key: key.clone() });
            assert!(names.contains(&(name, field.map(str::to_owned))), "{table} {key}: {names:?}");
        }
        let marker = RowKey { table: GENERATION_ROW, key: GENERATION_ROW.to_owned() };
        assert_eq!(ViewRows::key_names(&marker), vec![]);
    }
}
