//! Remembers the results for pairs of named types, so that none is compared twice.
//!
//! While a pair is being compared, it counts as compatible when it occurs again further in; so the comparison of
//! recursive types ends. Results that are compatible only under this assumption are dropped if it turns out wrong.
//! Incompatible results stay, since the assumption can only hide incompatibilities.

use std::{
    collections::{HashMap, hash_map::Entry},
    rc::Rc,
};

use apache_avro::Schema;

use super::SchemaIncompatibility;

/// A named type of the reader and one of the writer.
pub(super) type TypePair = (*const Schema, *const Schema);

/// The known result of a pair.
pub(super) enum KnownComparison {
    /// None: the caller has to compare the pair and to call [`ComparisonMemo::finish`].
    New,
    /// The pair is being compared further out.
    UnderWay,
    Compatible,
    /// The incompatibilities, with paths relative to the type; never empty.
    Incompatible(Rc<[SchemaIncompatibility]>),
}

enum PairState {
    /// The number of pairs under way when this one began.
    UnderWay(usize),
    /// Compatible under an assumption, as the conditional result with this index; unconditionally with `NOTHING`.
    Compatible(usize),
    Incompatible(Rc<[SchemaIncompatibility]>),
}

/// The number of no pair.
const NOTHING: usize = usize::MAX;

/// A pair that is being compared.
struct PairUnderWay {
    /// The outermost pair under way that was assumed to be compatible.
    assumed: usize,
    /// The number of conditional results when it began.
    conditional: usize,
}

#[derive(Default)]
pub(super) struct ComparisonMemo {
    pairs: HashMap<TypePair, PairState>,
    /// The pairs under way, outermost first.
    under_way: Vec<PairUnderWay>,
    /// Pairs that are compatible under an assumption, in the order of their results.
    conditional: Vec<TypePair>,
}

impl ComparisonMemo {
    /// The known result of a pair; if there is none, the pair is under way from now on.
    pub(super) fn begin(&mut self, pair: TypePair) -> KnownComparison {
        let (assumed, known) = match self.pairs.entry(pair) {
            Entry::Vacant(entry) => {
                entry.insert(PairState::UnderWay(self.under_way.len()));
                self.under_way.push(PairUnderWay { assumed: NOTHING, conditional: self.conditional.len() });
                return KnownComparison::New;
            }
            Entry::Occupied(entry) => match entry.get() {
                PairState::Incompatible(found) => return KnownComparison::Incompatible(Rc::clone(found)),
                PairState::UnderWay(number) => (*number, KnownComparison::UnderWay),
                PairState::Compatible(NOTHING) => (NOTHING, KnownComparison::Compatible),
                PairState::Compatible(index) => {
                    (assumption_behind(&self.under_way, *index), KnownComparison::Compatible)
                }
            },
        };
        self.assume(assumed);
        known
    }

    /// Records and returns the result of the innermost pair under way.
    pub(super) fn finish(&mut self, pair: TypePair, found: Vec<SchemaIncompatibility>) -> Rc<[SchemaIncompatibility]> {
        let found: Rc<[SchemaIncompatibility]> = found.into();
        let Some(PairUnderWay { assumed, conditional }) = self.under_way.pop() else { return found };
        if !found.is_empty() {
            for dropped in self.conditional.drain(conditional..) {
                self.pairs.remove(&dropped);
            }
            self.pairs.insert(pair, PairState::Incompatible(Rc::clone(&found)));
        } else if assumed < self.under_way.len() {
            self.pairs.insert(pair, PairState::Compatible(self.conditional.len()));
            self.conditional.push(pair);
            self.assume(assumed);
        } else {
            // No assumption about an outer pair is left, neither for this result nor for those inside it.
            for confirmed in self.conditional.drain(conditional..) {
                self.pairs.insert(confirmed, PairState::Compatible(NOTHING));
            }
            self.pairs.insert(pair, PairState::Compatible(NOTHING));
        }
        found
    }

    /// Records that the innermost pair under way depends on the pair with this number.
    fn assume(&mut self, number: usize) {
        if let Some(innermost) = self.under_way.last_mut() {
            innermost.assumed = innermost.assumed.min(number);
        }
    }
}

/// The pair on which a conditional result depends now: that of the innermost pair under way in which it was found. The
/// pair that was assumed originally may have ended, and another pair may have its number.
fn assumption_behind(under_way: &[PairUnderWay], index: usize) -> usize {
    let begun_before = under_way.partition_point(|pair| pair.conditional <= index);
    let innermost = begun_before.checked_sub(1).and_then(|number| under_way.get(number));
    innermost.map_or(0, |pair| pair.assumed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_depends_on_an_ended_pair_depends_on_the_assumption_of_that_pair() {
        let schemas = [const { Schema::Null }; 5];
        let [top, middle, ended, inner, later] =
            [0, 1, 2, 3, 4].map(|at| (&raw const schemas[at], &raw const schemas[at]));
        let mut memo = ComparisonMemo::default();
        for pair in [top, middle, ended, inner] {
            assert!(matches!(memo.begin(pair), KnownComparison::New));
        }
        assert!(matches!(memo.begin(ended), KnownComparison::UnderWay));
        memo.finish(inner, vec![]);
        assert!(matches!(memo.begin(top), KnownComparison::UnderWay));
        memo.finish(ended, vec![]);

        // This pair gets the number of the ended pair, on which the result of `inner` depended.
        assert!(matches!(memo.begin(later), KnownComparison::New));
        assert!(matches!(memo.begin(inner), KnownComparison::Compatible));
        memo.finish(later, vec![]);
        memo.finish(middle, vec![]);
        memo.finish(top, vec![SchemaIncompatibility { path: String::new(), reason: "another type".to_owned() }]);

        assert!(matches!(memo.begin(later), KnownComparison::New), "it is compatible only if the outermost pair is");
    }
}
