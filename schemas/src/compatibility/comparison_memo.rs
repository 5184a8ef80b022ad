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
    /// Compatible if the pair under way with this number is; with `NOTHING`, whatever comes.
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
                PairState::Compatible(number) => (*number, KnownComparison::Compatible),
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
            self.pairs.insert(pair, PairState::Compatible(assumed));
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
