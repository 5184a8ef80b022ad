//! Changes of figures over many streams, as caused by events.

use std::{borrow::Cow, fmt, vec};

use chrono::NaiveDate;

use super::{engagement_kind::EngagementKind, key_shard::KeyShard, retention_policy::RetentionPolicy};
use crate::storage::redis::{FigureKind, FigureTarget};

/// A key of figures. Figures over many opportunities are stored by shard, and merged when they are read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum FigureKey {
    /// Numbers of opportunities.
    Counters(KeyShard),
    /// Numbers of views, clicks and saves of one opportunity.
    Engagement(String),
    /// Opportunities by their views, clicks or saves, on one day or over all time.
    Leaderboard(KeyShard, EngagementKind, Option<NaiveDate>),
}

impl FigureKey {
    /// The shard whose tag the key has.
    pub(super) fn shard(&self) -> KeyShard {
        match self {
            Self::Counters(shard) | Self::Leaderboard(shard, ..) => *shard,
            Self::Engagement(opportunity) => KeyShard::for_id(opportunity),
        }
    }

    /// The key without prefix and tag.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Counters(_) => "counters:opportunities".to_owned(),
            Self::Engagement(opportunity) => format!("engagement:{opportunity}"),
            Self::Leaderboard(_, kind, None) => format!("top:{}", kind.name()),
            Self::Leaderboard(_, kind, Some(day)) => format!("top:{}:{day}", kind.name()),
        }
    }

    /// Parses a [`Self::name`] found in a shard.
    pub(super) fn parse(shard: KeyShard, name: &str) -> Option<Self> {
        let key = if let Some(opportunity) = name.strip_prefix("engagement:") {
            Self::Engagement(opportunity.to_owned())
        } else if let Some(rest) = name.strip_prefix("top:") {
            let (kind, day) = rest.split_once(':').map_or((rest, None), |(kind, day)| (kind, Some(day)));
            let day = day.map(str::parse).transpose().ok()?;
            Self::Leaderboard(shard, EngagementKind::ALL.into_iter().find(|known| known.name() == kind)?, day)
        } else {
            Self::Counters(shard)
        };
        // Refuses other spellings of the same key, and keys of another shard.
        (key.name() == name && key.shard() == shard).then_some(key)
    }

    /// The target that the script writes: the full `key`, its type and its expiry.
    pub(super) fn to_target(&self, key: String, retention: RetentionPolicy) -> FigureTarget {
        let (kind, expires_at) = match self {
            Self::Counters(_) => (FigureKind::SharedCounts, 0),
            Self::Engagement(_) => (FigureKind::OwnCounts, 0),
            Self::Leaderboard(_, _, None) => (FigureKind::Ranking, 0),
            Self::Leaderboard(_, _, Some(day)) => (FigureKind::Ranking, retention.leaderboard_expiry(*day)),
        };
        FigureTarget { key, kind, expires_at }
    }
}

impl fmt::Display for FigureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}:{}", self.shard(), self.name())
    }
}

/// Changes by key and field. A list, because nearly all events change few figures: a map of maps would allocate more than
/// it contains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FigureDeltas(Vec<KeyedDelta>);

/// A number to add to a field of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyedDelta {
    pub(super) key: FigureKey,
    pub(super) field: Cow<'static, str>,
    pub(super) delta: i64,
}

impl FigureDeltas {
    pub(super) fn add(&mut self, key: FigureKey, field: impl Into<Cow<'static, str>>, delta: i64) {
        self.0.push(KeyedDelta { key, field: field.into(), delta });
    }

    /// The sums of the changes of each field, without those of zero; sorted by key and field.
    #[must_use]
    pub(super) fn into_sums(mut self) -> Self {
        self.0.sort_unstable_by(|one, other| (&one.key, &one.field).cmp(&(&other.key, &other.field)));
        self.0.dedup_by(|change, sum| {
            let is_same = change.key == sum.key && change.field == sum.field;
            if is_same {
                sum.delta += change.delta;
            }
            is_same
        });
        self.0.retain(|sum| sum.delta != 0);
        self
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> std::slice::Iter<'_, KeyedDelta> {
        self.0.iter()
    }
}

impl IntoIterator for FigureDeltas {
    type Item = KeyedDelta;
    type IntoIter = vec::IntoIter<KeyedDelta>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_parsed_from_its_name_in_its_own_shard() {
        let (day, shard) = ("2026-03-01".parse().unwrap(), KeyShard::for_id("any"));
        for key in [
            FigureKey::Counters(shard),
            FigureKey::Engagement("097:A:1".to_owned()),
            FigureKey::Leaderboard(shard, EngagementKind::Viewed, None),
            FigureKey::Leaderboard(shard, EngagementKind::Saved, Some(day)),
        ] {
            assert_eq!(FigureKey::parse(key.shard(), &key.name()), Some(key));
        }
        for key in ["counters:x", "top:liked", "top:viewed:today", "top:viewed:2026-3-1", "opportunity:1"] {
            assert_eq!(FigureKey::parse(shard, key), None, "{key}");
        }
        let other = KeyShard::all().find(|shard| *shard != KeyShard::for_id("097:A:1")).unwrap();
        assert_eq!(FigureKey::parse(other, "engagement:097:A:1"), None, "in another shard");
    }
}
