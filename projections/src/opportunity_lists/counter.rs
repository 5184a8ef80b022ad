//! Counters: which of them an opportunity counts for, and how they change.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{
    FacetDimension,
    list_entry::{AwardTotals, naics_sector},
};

/// What a counter counts by. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum CounterDimension {
    /// All opportunities; the value is empty.
    All = 0,
    Agency = 1,
    NoticeType = 2,
    SetAside = 3,
    NaicsSector = 4,
    State = 5,
    /// The UTC day on which the current notice was published, e.g. `2026-03-01`.
    PostedDay = 6,
    /// The whole industry code. Not counted together with other dimensions: there are a thousand codes.
    Naics = 7,
}

impl CounterDimension {
    pub(super) fn number(self) -> i16 {
        self as i16
    }
}

impl From<FacetDimension> for CounterDimension {
    fn from(dimension: FacetDimension) -> Self {
        match dimension {
            FacetDimension::Agency => Self::Agency,
            FacetDimension::NoticeType => Self::NoticeType,
            FacetDimension::SetAside => Self::SetAside,
            FacetDimension::NaicsSector => Self::NaicsSector,
            FacetDimension::State => Self::State,
        }
    }
}

/// The key of a counter: one value, or values of two dimensions, of which the smaller is first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CounterKey {
    pub(super) dimension: i16,
    pub(super) value: String,
    /// 0 if there is one value only.
    pub(super) other_dimension: i16,
    pub(super) other_value: String,
}

impl CounterKey {
    /// The key in reports of differences.
    pub(super) fn describe(&self) -> String {
        format!("{}={} {}={}", self.dimension, self.value, self.other_dimension, self.other_value)
    }
}

/// The values of one opportunity by which it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CountedValues {
    pub(super) agency: String,
    pub(super) notice_type: String,
    pub(super) set_aside: Option<String>,
    pub(super) naics: Option<String>,
    pub(super) state: Option<String>,
    pub(super) posted_at: DateTime<Utc>,
    pub(super) awards: AwardTotals,
}

impl CountedValues {
    /// The counters that it counts for: all, each value, and each pair of values.
    fn keys(&self) -> Vec<CounterKey> {
        let naics = self.naics.as_deref();
        let posted_day = posted_day(self.posted_at);
        let values: Vec<_> = [
            (CounterDimension::Agency, Some(self.agency.as_str())),
            (CounterDimension::NoticeType, Some(self.notice_type.as_str())),
            (CounterDimension::SetAside, self.set_aside.as_deref()),
            (CounterDimension::NaicsSector, naics.map(naics_sector)),
            (CounterDimension::State, self.state.as_deref()),
            (CounterDimension::PostedDay, Some(posted_day.as_str())),
        ]
        .into_iter()
        .filter_map(|(dimension, value)| value.map(|value| (dimension, value)))
        .collect();
        let key = |(dimension, value): (CounterDimension, &str), (other, other_value): (CounterDimension, &str)| {
            let (dimension, other_dimension) = (dimension.number(), other.number());
            CounterKey { dimension, value: value.to_owned(), other_dimension, other_value: other_value.to_owned() }
        };
        let none = (CounterDimension::All, "");
        let mut keys = vec![key(none, none)];
        keys.extend(naics.map(|code| key((CounterDimension::Naics, code), none)));
        for (index, value) in values.iter().enumerate() {
            keys.push(key(*value, none));
            keys.extend(values.iter().skip(index + 1).map(|other| key(*value, *other)));
        }
        keys
    }
}

/// A UTC day as the value of a counter.
pub(super) fn posted_day(posted_at: DateTime<Utc>) -> String {
    posted_at.date_naive().to_string()
}

/// A signed change of a counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct CounterDelta {
    pub(super) opportunities: i64,
    /// Opportunities with an award.
    pub(super) awarded: i64,
    /// Sum of the awards in US cents.
    pub(super) cents: i128,
}

/// Changes of counters, in the order of their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CounterDeltas(BTreeMap<CounterKey, CounterDelta>);

impl CounterDeltas {
    /// Counts an opportunity.
    pub(super) fn add(&mut self, values: &CountedValues) {
        self.change(values, 1);
    }

    /// Ceases to count an opportunity with these values.
    pub(super) fn subtract(&mut self, values: &CountedValues) {
        self.change(values, -1);
    }

    fn change(&mut self, values: &CountedValues, sign: i64) {
        let cents = i128::from(values.awards.cents.unwrap_or_default()) * i128::from(sign);
        for key in values.keys() {
            let delta = self.0.entry(key).or_default();
            delta.opportunities += sign;
            delta.awarded += if values.awards.count > 0 { sign } else { 0 };
            delta.cents += cents;
        }
    }

    /// The changes that are not zero.
    pub(super) fn changed(&self) -> impl Iterator<Item = (&CounterKey, &CounterDelta)> {
        self.0.iter().filter(|(_, delta)| **delta != CounterDelta::default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = CountedValues> {
        let awards = (0..3_i32, prop::option::of(-5..50_i64)).prop_map(|(count, cents)| AwardTotals { count, cents });
        let codes = (prop::option::of("[ab]"), prop::option::of("(11|3391|339112)"), prop::option::of("(VA|MD)"));
        ("[0-2]", "[xy]", codes, 0..3_i64, awards).prop_map(
            |(agency, notice_type, (set_aside, naics, state), day, awards)| {
                let posted_at = DateTime::from_timestamp(day * 86_400, 0).unwrap();
                CountedValues { agency, notice_type, set_aside, naics, state, posted_at, awards }
            },
        )
    }

    proptest! {
        #[test]
        fn changes_one_by_one_equal_a_count_of_the_result(
            steps in prop::collection::vec((0..6_usize, values()), 0..40)
        ) {
            let (mut deltas, mut current) = (CounterDeltas::default(), BTreeMap::new());
            for (id, values) in steps {
                deltas.add(&values);
                if let Some(old) = current.insert(id, values) {
                    deltas.subtract(&old);
                }
            }
            let mut counted = CounterDeltas::default();
            for values in current.values() {
                counted.add(values);
            }
            prop_assert_eq!(deltas.changed().collect::<Vec<_>>(), counted.changed().collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_opportunity_counts_by_each_value_and_each_pair() {
        let values = CountedValues {
            agency: "036".to_owned(),
            notice_type: "Solicitation".to_owned(),
            set_aside: None,
            naics: Some("339113".to_owned()),
            state: None,
            posted_at: "2026-03-01T23:59:59Z".parse().unwrap(),
            awards: AwardTotals { count: 1, cents: Some(7) },
        };
        let keys: Vec<_> = values.keys().iter().map(CounterKey::describe).collect();
        assert_eq!(
            keys,
            [
                "0= 0=",
                "7=339113 0=",
                "1=036 0=",
                "1=036 2=Solicitation",
                "1=036 4=33",
                "1=036 6=2026-03-01",
                "2=Solicitation 0=",
                "2=Solicitation 4=33",
                "2=Solicitation 6=2026-03-01",
                "4=33 0=",
                "4=33 6=2026-03-01",
                "6=2026-03-01 0=",
            ]
        );
    }
}
