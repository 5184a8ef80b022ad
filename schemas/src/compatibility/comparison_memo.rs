//! What is known of pairs of named types, so that none is compared twice.
//!
//! While a pair is compared, meeting it again further in counts as compatible; that is how recursive types end. What
//! was found compatible on that assumption alone is dropped when the assumption turns out wrong. What was found
//! incompatible stays so, since the assumption speaks for the other side.

use std::{
    collections::{HashMap, hash_map::Entry},
    rc::Rc,
};

use apache_avro::Schema;

use super::SchemaIncompatibility;

/// A named type of the reader and one of the writer.
pub(super) type TypePair = (*const Schema, *const Schema);

/// What is known of a pair.
pub(super) enum KnownComparison {
    /// Nothing: it is to be compared now, and then [`ComparisonMemo::finish`]ed.
    New,
    /// It is being compared further out.
    UnderWay,
    Compatible,
    /// With what is wrong, the paths from the type itself; never empty.
    Incompatible(Rc<[SchemaIncompatibility]>),
}

enum PairState {
    /// The number of pairs that were under way when this one began.
    UnderWay(usize),
    /// Compatible on an assumption, as the conditional finding at this index; with `NOTHING`, unconditionally.
    Compatible(usize),
    Incompatible(Rc<[SchemaIncompatibility]>),
}

/// Stands for no pair under way.
const NOTHING: usize = usize::MAX;

/// A pair that is being compared.
struct PairUnderWay {
    /// The outermost pair under way that was assumed to be compatible.
    assumed: usize,
    /// How many conditional findings there were when it began.
    conditional: usize,
}

#[derive(Default)]
pub(super) struct ComparisonMemo {
    pairs: HashMap<TypePair, PairState>,
    /// From the outside in.
    under_way: Vec<PairUnderWay>,
    /// Pairs that were found compatible on an assumption, in the order in which that was found.
    conditional: Vec<TypePair>,
}

impl ComparisonMemo {
    /// What is known of a pair, which is under way from now on if nothing is.
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

    /// Says what was found between `begin` and now; gives it back to be listed.
    pub(super) fn finish(&mut self, pair: TypePair, found: Vec<SchemaIncompatibility>) -> Rc<[SchemaIncompatibility]> {
        let found: Rc<[SchemaIncompatibility]> = found.into();
        let Some(PairUnderWay { assumed, conditional }) = self.under_way.pop() else { return found };
        if !found.is_empty() {
            for wrong in self.conditional.drain(conditional..) {
                self.pairs.remove(&wrong);
            }
            self.pairs.insert(pair, PairState::Incompatible(Rc::clone(&found)));
        } else if assumed < self.under_way.len() {
            self.pairs.insert(pair, PairState::Compatible(self.conditional.len()));
            self.conditional.push(pair);
            self.assume(assumed);
        } else {
            // It depends on nothing but itself, and so does what was found on the way.
            for right in self.conditional.drain(conditional..) {
                self.pairs.insert(right, PairState::Compatible(NOTHING));
            }
            self.pairs.insert(pair, PairState::Compatible(NOTHING));
        }
        found
    }

    /// Notes for the innermost pair under way what its outcome depends on.
    fn assume(&mut self, number: usize) {
        if let Some(innermost) = self.under_way.last_mut() {
            innermost.assumed = innermost.assumed.min(number);
        }
    }
}

/// What a conditional finding depends on by now: what the innermost pair under way depends on in which it was found.
/// The pair that was assumed then may have ended meanwhile, and its number may be another one's.
fn assumption_behind(under_way: &[PairUnderWay], index: usize) -> usize {
    let begun_before = under_way.partition_point(|pair| pair.conditional <= index);
    let innermost = begun_before.checked_sub(1).and_then(|number| under_way.get(number));
    innermost.map_or(0, |pair| pair.assumed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_depends_on_an_ended_pair_depends_on_what_that_one_assumed() {
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

        // Has the number now that the ended pair had, which the inner one was found compatible on.
        assert!(matches!(memo.begin(later), KnownComparison::New));
        assert!(matches!(memo.begin(inner), KnownComparison::Compatible));
        memo.finish(later, vec![]);
        memo.finish(middle, vec![]);
        memo.finish(top, vec![SchemaIncompatibility { path: String::new(), reason: "another type".to_owned() }]);

        assert!(matches!(memo.begin(later), KnownComparison::New), "it was compatible only if the outermost pair is");
    }
}
