//! Facts as one array per column.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
};

use domain::{
    envelope::EventMetadata,
    event_store::{FactOutcome, NewFact},
};
use uuid::Uuid;

/// The columns of facts. A column with few distinct values holds each value once, and a number for each fact: a value
/// is sent, parsed and looked up once.
pub(super) struct FactColumns<'a> {
    pub(super) ids: Vec<Uuid>,
    pub(super) payloads: Vec<&'a str>,
    pub(super) streams: DictionaryColumn<&'a str>,
    /// How many of the facts each stream has.
    pub(super) stream_counts: Vec<i64>,
    /// For each fact its number among the facts of its stream, from 1.
    pub(super) ordinals: Vec<i32>,
    /// Types with their versions.
    pub(super) event_types: DictionaryColumn<(&'a str, &'a str)>,
    pub(super) metadata: DictionaryColumn<&'a Arc<EventMetadata>>,
    /// For each row, the index of its fact.
    fact_indexes: Vec<usize>,
}

impl<'a> FactColumns<'a> {
    /// Skips repeated facts and sets their outcome to [`FactOutcome::Known`].
    pub(super) fn from_facts(facts: &'a [NewFact], outcomes: &mut [FactOutcome]) -> Self {
        let mut columns = Self {
            ids: Vec::with_capacity(facts.len()),
            payloads: Vec::with_capacity(facts.len()),
            streams: DictionaryColumn::with_capacity(facts.len()),
            stream_counts: vec![],
            ordinals: Vec::with_capacity(facts.len()),
            event_types: DictionaryColumn::with_capacity(facts.len()),
            metadata: DictionaryColumn::with_capacity(facts.len()),
            fact_indexes: Vec::with_capacity(facts.len()),
        };
        let mut seen = HashSet::with_capacity(facts.len());
        for (index, (fact, outcome)) in facts.iter().zip(outcomes).enumerate() {
            if seen.insert(fact.event_id) {
                columns.push(index, fact);
            } else {
                *outcome = FactOutcome::Known;
            }
        }
        columns
    }

    fn push(&mut self, index: usize, fact: &'a NewFact) {
        self.ids.push(fact.event_id);
        self.payloads.push(&fact.payload);
        let stream = self.streams.push(&fact.aggregate_id);
        if self.stream_counts.len() == stream {
            self.stream_counts.push(0);
        }
        if let Some(count) = self.stream_counts.get_mut(stream) {
            *count += 1;
            self.ordinals.push(i32::try_from(*count).unwrap_or(i32::MAX));
        }
        self.event_types.push((&fact.event_type, &fact.event_version));
        self.metadata.push(&fact.metadata);
        self.fact_indexes.push(index);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The index of the fact in the row with this number, from 1.
    pub(super) fn fact_index(&self, row: i64) -> Option<usize> {
        self.fact_indexes.get(usize::try_from(row - 1).ok()?).copied()
    }

    /// The distinct metadata as JSON.
    pub(super) fn metadata_texts(&self) -> Result<Vec<String>, serde_json::Error> {
        self.metadata.values.iter().map(|metadata| serde_json::to_string(&***metadata)).collect()
    }
}

/// Distinct values in the order of their first occurrence, and for each row the number of its value, from 1.
pub(super) struct DictionaryColumn<T> {
    pub(super) values: Vec<T>,
    pub(super) numbers: Vec<i32>,
    indexes: HashMap<T, usize>,
    last: usize,
}

impl<T: Copy + Eq + Hash> DictionaryColumn<T> {
    fn with_capacity(rows: usize) -> Self {
        Self { values: vec![], numbers: Vec::with_capacity(rows), indexes: HashMap::new(), last: 0 }
    }

    /// Adds a row and returns the index of its value.
    fn push(&mut self, value: T) -> usize {
        // Rows with the same value often follow each other.
        if self.values.get(self.last) != Some(&value) {
            let next = self.values.len();
            self.last = *self.indexes.entry(value).or_insert(next);
            if self.last == next {
                self.values.push(value);
            }
        }
        self.numbers.push(i32::try_from(self.last + 1).unwrap_or(i32::MAX));
        self.last
    }

    /// The value of each row: `values` has one for each distinct value.
    pub(super) fn expand<V: Copy>(&self, values: &[V]) -> Vec<V> {
        let value = |number: &i32| usize::try_from(number - 1).ok().and_then(|index| values.get(index).copied());
        self.numbers.iter().filter_map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(stream: &str, number: u128, event_type: &str, origin: &Arc<EventMetadata>) -> NewFact {
        NewFact {
            aggregate_id: stream.to_owned(),
            event_id: Uuid::from_u128(number),
            event_type: event_type.to_owned(),
            event_version: "1.0".to_owned(),
            payload: format!("{{\"number\":{number}}}"),
            metadata: Arc::clone(origin),
        }
    }

    #[test]
    fn values_that_facts_share_are_listed_once_and_repeated_facts_are_left_out() {
        let origin = Arc::new(EventMetadata { tenant_id: "acme".to_owned(), ..EventMetadata::default() });
        let equal_origin = Arc::new((*origin).clone());
        let facts = [
            fact("v", 1, "viewed", &origin),
            fact("w", 2, "viewed", &equal_origin),
            fact("v", 1, "viewed", &origin),
            fact("v", 3, "clicked", &origin),
        ];
        let mut outcomes = vec![FactOutcome::Recorded; facts.len()];
        let columns = FactColumns::from_facts(&facts, &mut outcomes);

        assert_eq!(
            outcomes.iter().map(|outcome| *outcome == FactOutcome::Known).collect::<Vec<_>>(),
            [false, false, true, false]
        );
        assert_eq!((&columns.streams.values, &columns.streams.numbers), (&vec!["v", "w"], &vec![1, 2, 1]));
        assert_eq!((&columns.stream_counts, &columns.ordinals), (&vec![2, 1], &vec![1, 1, 2]));
        assert_eq!(columns.event_types.values, [("viewed", "1.0"), ("clicked", "1.0")]);
        assert_eq!(columns.streams.expand(&columns.streams.values), ["v", "w", "v"]);
        assert_eq!(columns.metadata_texts().unwrap(), [r#"{"tenant_id":"acme"}"#]);
        assert_eq!((columns.fact_index(3), columns.fact_index(0), columns.fact_index(4)), (Some(3), None, None));
    }
}
