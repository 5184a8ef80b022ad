//! Counters: which of them an opportunity counts for, and how they change.

use std::collections::HashMap;

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use sqlx::{Row as _, postgres::PgRow};

use super::{
    FacetDimension,
    list_entry::{AwardTotals, naics_sector},
};

/// Most values that a counter is kept for together.
pub(super) const MAX_COUNTED_VALUES: usize = 3;

/// What a counter counts by. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum CounterDimension {
    Agency = 1,
    NoticeType = 2,
    SetAside = 3,
    NaicsSector = 4,
    State = 5,
    /// The UTC day on which the current notice was published, e.g. `2026-03-01`.
    PostedDay = 6,
    /// The whole industry code. Not counted together with other dimensions: there are a thousand codes.
    Naics = 7,
    /// The UTC day of the response deadline.
    DeadlineDay = 8,
}

/// How many dimensions a dimension is counted together with, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum CounterDepth {
    Alone,
    InPairs,
    InTriples,
}

impl CounterDimension {
    /// The number of dimensions.
    const COUNT: usize = 8;

    pub(super) fn number(self) -> i16 {
        self as i16
    }

    fn depth(self) -> CounterDepth {
        match self {
            Self::Naics => CounterDepth::Alone,
            Self::State | Self::DeadlineDay => CounterDepth::InPairs,
            Self::Agency | Self::NoticeType | Self::SetAside | Self::NaicsSector | Self::PostedDay => {
                CounterDepth::InTriples
            }
        }
    }
}

/// Whether there are counters by the values of all of these dimensions together.
pub(super) fn is_counted(dimensions: &[CounterDimension]) -> bool {
    let least = match dimensions.len() {
        0 | 1 => CounterDepth::Alone,
        2 => CounterDepth::InPairs,
        MAX_COUNTED_VALUES => CounterDepth::InTriples,
        _ => return false,
    };
    dimensions.iter().all(|dimension| dimension.depth() >= least)
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

/// A value of one dimension; dimension 0 with an empty value means none.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CounterValue {
    pub(super) dimension: i16,
    pub(super) value: String,
}

/// The key of a counter: up to three values of different dimensions, in the order of their numbers, then none.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CounterKey(pub(super) [CounterValue; MAX_COUNTED_VALUES]);

impl CounterKey {
    /// The table that has the counter.
    pub(super) fn table(&self) -> CounterTable {
        let [_, _, third] = &self.0;
        if third.dimension == 0 { CounterTable::UpToTwoValues } else { CounterTable::ThreeValues }
    }

    /// The key in reports of differences.
    pub(super) fn describe(&self) -> String {
        self.0.each_ref().map(|part| format!("{}={}", part.dimension, part.value)).join(" ")
    }
}

/// A table of counters. Counters of three values have a separate table, because programs of an earlier release do not
/// write them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CounterTable {
    UpToTwoValues,
    ThreeValues,
}

impl CounterTable {
    pub(super) const ALL: [Self; 2] = [Self::UpToTwoValues, Self::ThreeValues];

    /// The table that has the counters of combinations of this many values.
    pub(super) fn for_value_count(count: usize) -> Self {
        if count < MAX_COUNTED_VALUES { Self::UpToTwoValues } else { Self::ThreeValues }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::UpToTwoValues => "counters",
            Self::ThreeValues => "triple_counters",
        }
    }

    /// Number of values in a key.
    pub(super) fn key_parts(self) -> usize {
        match self {
            Self::UpToTwoValues => 2,
            Self::ThreeValues => MAX_COUNTED_VALUES,
        }
    }

    /// All columns: dimension and value of each part of the key, and the figures.
    pub(super) fn copied_columns(self) -> &'static str {
        match self {
            Self::UpToTwoValues => {
                "dimension, value, other_dimension, other_value, opportunities, awarded, awarded_cents"
            }
            Self::ThreeValues => {
                "dimension, value, other_dimension, other_value, third_dimension, third_value, opportunities, \
                 awarded, awarded_cents"
            }
        }
    }
}

/// The values that one opportunity is counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CountedValues {
    pub(super) agency: String,
    pub(super) notice_type: String,
    pub(super) set_aside: Option<String>,
    pub(super) naics: Option<String>,
    pub(super) state: Option<String>,
    pub(super) posted_at: DateTime<Utc>,
    pub(super) response_deadline: Option<DateTime<Utc>>,
    pub(super) awards: AwardTotals,
}

impl CountedValues {
    /// Decodes the columns of `opportunities`.
    pub(super) fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            agency: row.try_get("agency_code")?,
            notice_type: row.try_get("notice_type")?,
            set_aside: row.try_get("set_aside")?,
            naics: row.try_get("naics")?,
            state: row.try_get("place_state")?,
            posted_at: row.try_get("posted_at")?,
            response_deadline: row.try_get("response_deadline")?,
            awards: AwardTotals::from_row(row)?,
        })
    }
}

/// A UTC day as the value of a counter. A day that has no year of four digits counts as the nearest that has, so that
/// days are in order as texts.
pub(super) fn counter_day(time: DateTime<Utc>) -> String {
    let day = match time.year() {
        1..=9_999 => Some(time.date_naive()),
        ..1 => NaiveDate::from_ymd_opt(1, 1, 1),
        10_000.. => NaiveDate::from_ymd_opt(9_999, 12, 31),
    };
    day.unwrap_or_default().to_string()
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

/// The number of a value in [`CounterDeltas`]; 0 is none.
type ValueNumber = u32;

/// Changes of counters. An opportunity changes some forty, so their keys are numbers while they are summed.
#[derive(Debug, Clone, Default)]
pub(super) struct CounterDeltas {
    numbers: [HashMap<String, ValueNumber>; CounterDimension::COUNT],
    values: Vec<CounterValue>,
    deltas: HashMap<[ValueNumber; MAX_COUNTED_VALUES], CounterDelta>,
}

impl CounterDeltas {
    /// Counts an opportunity.
    pub(super) fn add(&mut self, values: &CountedValues) {
        self.change(values, 1);
    }

    /// Ceases to count an opportunity with these values.
    pub(super) fn subtract(&mut self, values: &CountedValues) {
        self.change(values, -1);
    }

    /// The changes that are not zero, in no order.
    pub(super) fn changed(&self) -> impl Iterator<Item = (CounterKey, CounterDelta)> {
        let value = |number: &ValueNumber| {
            let index = usize::try_from(*number).unwrap_or_default();
            index.checked_sub(1).and_then(|index| self.values.get(index)).cloned().unwrap_or_default()
        };
        let deltas = self.deltas.iter().filter(|(_, delta)| **delta != CounterDelta::default());
        deltas.map(move |(numbers, delta)| (CounterKey(numbers.each_ref().map(value)), *delta))
    }

    /// The changes that are not zero, in the order of their keys.
    pub(super) fn sorted_changes(&self) -> Vec<(CounterKey, CounterDelta)> {
        let mut changes: Vec<_> = self.changed().collect();
        changes.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        changes
    }

    fn change(&mut self, values: &CountedValues, sign: i64) {
        let delta = CounterDelta {
            opportunities: sign,
            awarded: if values.awards.count > 0 { sign } else { 0 },
            cents: i128::from(values.awards.cents.unwrap_or_default()) * i128::from(sign),
        };
        let (posted_day, deadline_day) = (counter_day(values.posted_at), values.response_deadline.map(counter_day));
        let naics = values.naics.as_deref();
        let present = [
            (CounterDimension::Agency, Some(values.agency.as_str())),
            (CounterDimension::NoticeType, Some(values.notice_type.as_str())),
            (CounterDimension::SetAside, values.set_aside.as_deref()),
            (CounterDimension::NaicsSector, naics.map(naics_sector)),
            (CounterDimension::State, values.state.as_deref()),
            (CounterDimension::PostedDay, Some(posted_day.as_str())),
            (CounterDimension::Naics, naics),
            (CounterDimension::DeadlineDay, deadline_day.as_deref()),
        ];
        let numbered: Vec<_> = present
            .into_iter()
            .filter_map(|(dimension, value)| value.map(|value| (dimension, self.assign_number(dimension, value))))
            .collect();
        self.change_counter([0, 0, 0], delta);
        for (index, (one, first)) in numbered.iter().enumerate() {
            self.change_counter([*first, 0, 0], delta);
            let later = numbered.get(index + 1..).unwrap_or_default();
            for (index, (two, second)) in later.iter().enumerate() {
                if !is_counted(&[*one, *two]) {
                    continue;
                }
                self.change_counter([*first, *second, 0], delta);
                for (three, third) in later.get(index + 1..).unwrap_or_default() {
                    if is_counted(&[*one, *two, *three]) {
                        self.change_counter([*first, *second, *third], delta);
                    }
                }
            }
        }
    }

    fn change_counter(&mut self, key: [ValueNumber; MAX_COUNTED_VALUES], change: CounterDelta) {
        let delta = self.deltas.entry(key).or_default();
        delta.opportunities += change.opportunities;
        delta.awarded += change.awarded;
        delta.cents += change.cents;
    }

    fn assign_number(&mut self, dimension: CounterDimension, value: &str) -> ValueNumber {
        let index = usize::try_from(dimension.number()).unwrap_or_default().saturating_sub(1);
        let Some(numbers) = self.numbers.get_mut(index) else { return 0 };
        if let Some(number) = numbers.get(value) {
            return *number;
        }
        self.values.push(CounterValue { dimension: dimension.number(), value: value.to_owned() });
        let number = ValueNumber::try_from(self.values.len()).unwrap_or_default();
        numbers.insert(value.to_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = CountedValues> {
        let awards = (0..3_i32, prop::option::of(-5..50_i64)).prop_map(|(count, cents)| AwardTotals { count, cents });
        let codes = (prop::option::of("[ab]"), prop::option::of("(11|3391|339112)"), prop::option::of("(VA|MD)"));
        let days = (0..3_i64, prop::option::of(0..3_i64));
        ("[0-2]", "[xy]", codes, days, awards).prop_map(
            |(agency, notice_type, (set_aside, naics, state), (day, deadline), awards)| {
                let time = |day: i64| DateTime::from_timestamp(day * 86_400, 0).unwrap();
                let (posted_at, response_deadline) = (time(day), deadline.map(time));
                CountedValues { agency, notice_type, set_aside, naics, state, posted_at, response_deadline, awards }
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
            prop_assert_eq!(deltas.sorted_changes(), counted.sorted_changes());
        }
    }

    #[test]
    fn an_opportunity_counts_by_each_value_each_pair_and_some_triples() {
        let values = CountedValues {
            agency: "036".to_owned(),
            notice_type: "Solicitation".to_owned(),
            set_aside: None,
            naics: Some("339113".to_owned()),
            state: Some("VA".to_owned()),
            posted_at: "2026-03-01T23:59:59Z".parse().unwrap(),
            response_deadline: "2026-03-09T00:00:00Z".parse().ok(),
            awards: AwardTotals { count: 1, cents: Some(7) },
        };
        let mut deltas = CounterDeltas::default();
        deltas.add(&values);
        let keys: Vec<_> = deltas.sorted_changes().iter().map(|(key, _)| key.describe().replace(" 0=", "")).collect();
        let expected = "0=
            1=036
            1=036 2=Solicitation
            1=036 2=Solicitation 4=33
            1=036 2=Solicitation 6=2026-03-01
            1=036 4=33
            1=036 4=33 6=2026-03-01
            1=036 5=VA
            1=036 6=2026-03-01
            1=036 8=2026-03-09
            2=Solicitation
            2=Solicitation 4=33
            2=Solicitation 4=33 6=2026-03-01
            2=Solicitation 5=VA
            2=Solicitation 6=2026-03-01
            2=Solicitation 8=2026-03-09
            4=33
            4=33 5=VA
            4=33 6=2026-03-01
            4=33 8=2026-03-09
            5=VA
            5=VA 6=2026-03-01
            5=VA 8=2026-03-09
            6=2026-03-01
            6=2026-03-01 8=2026-03-09
            7=339113
            8=2026-03-09";
        assert_eq!(keys, expected.lines().map(str::trim).collect::<Vec<_>>());
    }

    #[test]
    fn days_are_in_order_as_texts() {
        let day =
            |year| counter_day(NaiveDate::from_ymd_opt(year, 7, 1).unwrap().and_hms_opt(1, 2, 3).unwrap().and_utc());
        assert_eq!(
            [-5, 1, 2026, 9_999, 10_000].map(day),
            ["0001-01-01", "0001-07-01", "2026-07-01", "9999-07-01", "9999-12-31"]
        );
    }
}
