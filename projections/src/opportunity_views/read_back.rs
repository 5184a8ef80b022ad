//! Reads a generation's keys back as rows, for verify.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use chrono::{DateTime, Utc};
use redis::{FromRedisValue, RedisResult};

use super::{
    OpportunityViews,
    figure_deltas::FigureKey,
    key_shard::KeyShard,
    verify::{DAMAGED, FIGURES, UNKNOWN, figure_row_key, may_be_expired, state_row},
    view_state::{StateKind, ViewState},
};
use crate::{
    QueryError,
    runtime::{ReadModelRow, VerifyScope, bucket_of},
    storage::redis::{GENERATION_ROW, VersionedState, parse_raw_state, tag_name, unreadable_error},
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

    /// Every key except markers is in exactly one scope: the totals or one bucket.
    fn is_in_scope(&self, scope: &VerifyScope, name: &str) -> bool {
        match (self, scope) {
            (Self::Figures(_), VerifyScope::Totals) => true,
            (Self::Marker, _)
            | (Self::Figures(_), VerifyScope::Buckets(_))
            | (Self::State(..) | Self::Unknown, VerifyScope::Totals) => false,
            (Self::State(_, _, id), VerifyScope::Buckets(range)) => range.contains(&bucket_of(id)),
            (Self::Unknown, VerifyScope::Buckets(range)) => range.contains(&bucket_of(name)),
        }
    }
}

impl OpportunityViews {
    /// The rows of a scope, without those that may have expired at `now`.
    pub(super) async fn scan_rows(
        &self,
        scope: &VerifyScope,
        now: DateTime<Utc>,
    ) -> Result<Vec<ReadModelRow>, QueryError> {
        let (mut rows, mut scan) = (self.store.read_marker_row(scope).await?, self.store.scan_generation());
        let select = |name: &str| {
            let parsed = ViewKey::parse(name);
            parsed.is_in_scope(scope, name).then(|| (parsed, name.to_owned()))
        };
        while let Some(keys) = scan.next_page(select).await? {
            let (mut states, mut figures) = (vec![], vec![]);
            for (key, (parsed, name)) in keys {
                match parsed {
                    ViewKey::Marker => {}
                    ViewKey::State(kind, shard, id) => states.push((key, (kind, shard), id)),
                    ViewKey::Figures(figure_key) => figures.push((key, figure_key)),
                    ViewKey::Unknown => rows.push(ReadModelRow::new(UNKNOWN, name, ())),
                }
            }
            self.read_states(states, now, &mut rows).await?;
            self.read_figures(figures, now, &mut rows).await?;
        }
        Ok(rows)
    }

    async fn read_states(
        &self,
        keys: Vec<(Vec<u8>, (StateKind, KeyShard), String)>,
        now: DateTime<Utc>,
        rows: &mut Vec<ReadModelRow>,
    ) -> Result<(), QueryError> {
        let mut pipeline = redis::pipe();
        for (key, ..) in &keys {
            pipeline.hgetall(key);
        }
        let answers: Vec<RedisResult<HashMap<Vec<u8>, Vec<u8>>>> = self.store.client().run_commands(pipeline).await?;
        for ((_, state, id), answer) in keys.into_iter().zip(answers) {
            let damaged = |content: String| ReadModelRow::new(state.0.name(), id.clone(), (DAMAGED, content));
            match answer {
                // The key expired after the scan.
                Ok(fields) if fields.is_empty() => {}
                Ok(fields) => match parse_state_hash(state.0, &fields) {
                    Some(stored) if may_be_expired(&stored.state, self.retention, now) => {}
                    Some(stored) => rows.extend(state_row(state, &id, &stored)),
                    None => rows.push(damaged(format!("{:?}", fields.into_iter().collect::<BTreeMap<_, _>>()))),
                },
                Err(error) => rows.push(damaged(error.to_string())),
            }
        }
        Ok(())
    }

    async fn read_figures(
        &self,
        keys: Vec<(Vec<u8>, FigureKey)>,
        now: DateTime<Utc>,
        rows: &mut Vec<ReadModelRow>,
    ) -> Result<(), QueryError> {
        let mut pipeline = redis::pipe();
        for (key, figure_key) in &keys {
            match figure_key {
                FigureKey::Leaderboard(..) => pipeline.zrange_withscores(key, 0, -1),
                FigureKey::Counters(_) | FigureKey::Engagement(_) => pipeline.hgetall(key),
            };
        }
        let answers: Vec<RedisResult<redis::Value>> = self.store.client().run_commands(pipeline).await?;
        for ((_, figure_key), answer) in keys.into_iter().zip(answers) {
            match (figure_key, answer) {
                (FigureKey::Leaderboard(_, _, Some(day)), Ok(_)) if !self.retention.keeps_leaderboard(day, now) => {}
                (figure_key, Ok(value)) => {
                    for (field, count) in decode_value::<Vec<(Vec<u8>, Vec<u8>)>>(value)? {
                        let key = figure_row_key(&figure_key, &String::from_utf8_lossy(&field));
                        rows.push(ReadModelRow::new(FIGURES, key, String::from_utf8_lossy(&count).into_owned()));
                    }
                }
                (figure_key, Err(error)) => {
                    rows.push(ReadModelRow::new(FIGURES, figure_key.to_string(), (DAMAGED, error.to_string())));
                }
            }
        }
        Ok(())
    }
}

/// Decodes a state's hash; `None` if it has other fields or any of them is invalid.
fn parse_state_hash(kind: StateKind, fields: &HashMap<Vec<u8>, Vec<u8>>) -> Option<VersionedState<ViewState>> {
    let text =
        |name: &str| fields.get(name.as_bytes()).map(|value| String::from_utf8_lossy(value)).map(Cow::into_owned);
    if fields.len() != 2 {
        return None;
    }
    let (version, state) = parse_raw_state("", (text("version"), text("state"))).ok()??;
    Some(VersionedState { version, state: ViewState::from_json(kind, &state).ok()? })
}

fn decode_value<T: FromRedisValue>(value: redis::Value) -> Result<T, QueryError> {
    redis::from_redis_value(value).map_err(unreadable_error)
}
