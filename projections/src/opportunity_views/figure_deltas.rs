//! What events add to figures over many streams.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::leaderboard::EngagementKind;

/// A key that holds figures.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum FigureKey {
    /// How many opportunities there are.
    Counters,
    /// How often one opportunity was viewed, clicked, saved.
    Engagement(String),
    /// Which opportunities were viewed, clicked, saved most; on one day or in all.
    Leaderboard(EngagementKind, Option<NaiveDate>),
}

impl FigureKey {
    /// Its key, without what every key begins with.
    pub(super) fn redis_key(&self) -> String {
        match self {
            Self::Counters => "counters:opportunities".to_owned(),
            Self::Engagement(opportunity) => format!("engagement:{opportunity}"),
            Self::Leaderboard(kind, None) => format!("top:{}", kind.name()),
            Self::Leaderboard(kind, Some(day)) => format!("top:{}:{day}", kind.name()),
        }
    }

    /// The other way round.
    pub(super) fn parse(key: &str) -> Option<Self> {
        if let Some(opportunity) = key.strip_prefix("engagement:") {
            return Some(Self::Engagement(opportunity.to_owned()));
        }
        let target = match key.strip_prefix("top:") {
            None => Self::Counters,
            Some(rest) => {
                let (kind, day) = rest.split_once(':').map_or((rest, None), |(kind, day)| (kind, Some(day)));
                let day = day.map(str::parse).transpose().ok()?;
                Self::Leaderboard(EngagementKind::ALL.into_iter().find(|known| known.name() == kind)?, day)
            }
        };
        // Only in exactly one spelling.
        (target.redis_key() == key).then_some(target)
    }
}

/// Sums by key and field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FigureDeltas(BTreeMap<FigureKey, BTreeMap<String, i64>>);

impl FigureDeltas {
    pub(super) fn add(&mut self, target: FigureKey, field: &str, delta: i64) {
        let fields = self.0.entry(target).or_default();
        match fields.get_mut(field) {
            Some(sum) => *sum += delta,
            None => {
                fields.insert(field.to_owned(), delta);
            }
        }
    }

    /// Leaves out what adds up to nothing.
    pub(super) fn drop_zeros(&mut self) {
        for fields in self.0.values_mut() {
            fields.retain(|_, delta| *delta != 0);
        }
        self.0.retain(|_, fields| !fields.is_empty());
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&FigureKey, &str, i64)> {
        self.0.iter().flat_map(|(target, fields)| fields.iter().map(move |(field, sum)| (target, field.as_str(), *sum)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_made() {
        let day = "2026-03-01".parse().unwrap();
        for target in [
            FigureKey::Counters,
            FigureKey::Engagement("097:A:1".to_owned()),
            FigureKey::Leaderboard(EngagementKind::Viewed, None),
            FigureKey::Leaderboard(EngagementKind::Saved, Some(day)),
        ] {
            assert_eq!(FigureKey::parse(&target.redis_key()), Some(target));
        }
        for key in ["counters:x", "top:liked", "top:viewed:today", "top:viewed:2026-3-1", "opportunity:1"] {
            assert_eq!(FigureKey::parse(key), None, "{key}");
        }
    }
}
