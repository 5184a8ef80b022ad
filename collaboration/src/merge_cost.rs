//! What it costs to merge blocks that were written at once, counted before the library does it.
//!
//! YATA puts a block between its origin (the letter that stood left of it) and its right origin. Where something else
//! stands there by now, the library looks at every block between the two: with n blocks that n clients wrote at one place
//! without knowing of each other these are n² looks, and a client that lies about its origins needs no others for that.
//!
//! The count here is an upper bound for every order in which the library may come to merge the blocks, a reload from the
//! record included. Blocks make a tree, each below its origin, and a search that begins behind an origin stays below it.
//! It does not come by what builds on the block that is searched for, nor by what stands behind its right origin, where
//! both have the same origin. Everything else below that origin counts. What editors write that know of each other's
//! blocks costs nothing by that, however many blocks they write at one place.

use std::collections::BTreeMap;

use crate::update_contents::{InsertedBlock, LetterId, UpdateContents};

/// What merging a text costs the library.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MergeCost {
    /// The pieces of its blocks, split wherever something stands between two letters or is deleted.
    pub(crate) pieces: usize,
    /// The most looks at other pieces: pairs of pieces at one place of which neither builds on the other.
    pub(crate) steps: usize,
}

impl MergeCost {
    /// What a text costs that has all of these: what is known first, and then what is about to be merged.
    pub(crate) fn estimate(parts: &[&UpdateContents]) -> Self {
        let pieces = split_into_pieces(parts);
        let links = link_pieces(&pieces);
        let order = order_by_dependency(&links);
        let places = place_pieces(&pieces, &links, &order);
        Self { pieces: pieces.len(), steps: count_steps(&places, &order) }
    }
}

/// A part of a block that nothing splits any further.
struct BlockPiece<'a> {
    start: LetterId,
    block: &'a InsertedBlock,
}

/// Splits blocks as the library does to put others between their letters. What is in an earlier part counts as it is there.
fn split_into_pieces<'a>(parts: &[&'a UpdateContents]) -> Vec<BlockPiece<'a>> {
    let mut ends: BTreeMap<u64, u32> = BTreeMap::new();
    let mut spans: Vec<(LetterId, u32, &'a InsertedBlock)> = Vec::new();
    let mut cuts: Vec<LetterId> = Vec::new();
    for part in parts {
        let known = ends.clone();
        for block in &part.inserted_blocks {
            let from = block.clock.max(known.get(&block.client).copied().unwrap_or_default());
            let end = block.clock.saturating_add(block.length);
            if from < end {
                spans.push(((block.client, from), end, block));
                ends.insert(block.client, end);
                cuts.extend(block.origin.map(|(client, clock)| (client, clock.saturating_add(1))));
                cuts.extend(block.right_origin);
            }
        }
        for (client, ranges) in &part.deletions {
            cuts.extend(ranges.iter().flat_map(|(start, end)| [(*client, *start), (*client, *end)]));
        }
    }
    spans.sort_unstable_by_key(|(start, ..)| *start);
    cuts.sort_unstable();
    cuts.dedup();
    let mut pieces = Vec::with_capacity(spans.len());
    let mut cuts = cuts.into_iter().peekable();
    for (start, end, block) in spans {
        pieces.push(BlockPiece { start, block });
        while cuts.next_if(|cut| *cut <= start).is_some() {}
        while let Some(start) = cuts.next_if(|cut| *cut < (block.client, end)) {
            pieces.push(BlockPiece { start, block });
        }
    }
    pieces
}

/// The pieces that a piece was written between.
#[derive(Clone, Copy)]
struct PieceLinks {
    origin: Option<usize>,
    right: Option<usize>,
}

fn link_pieces(pieces: &[BlockPiece<'_>]) -> Vec<PieceLinks> {
    let piece_with = |letter: LetterId| {
        let at = pieces.partition_point(|piece| piece.start <= letter).checked_sub(1)?;
        pieces.get(at).filter(|piece| piece.start.0 == letter.0).map(|_| at)
    };
    let link = |piece: &BlockPiece<'_>| {
        let (client, clock) = piece.start;
        let before = clock.checked_sub(1).map(|clock| (client, clock));
        let origin = if clock == piece.block.clock { piece.block.origin } else { before };
        PieceLinks { origin: origin.and_then(piece_with), right: piece.block.right_origin.and_then(piece_with) }
    };
    pieces.iter().map(link).collect()
}

/// Pieces behind those that they were written between. What waits for itself is left out: the library never merges it.
fn order_by_dependency(links: &[PieceLinks]) -> Vec<usize> {
    let mut waits_for = vec![0_u8; links.len()];
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); links.len()];
    for ((at, links), waits) in links.iter().enumerate().zip(&mut waits_for) {
        for dependency in [links.origin, links.right].into_iter().flatten() {
            if let Some(dependents) = dependents.get_mut(dependency) {
                dependents.push(at);
                *waits += 1;
            }
        }
    }
    let free = waits_for.iter().enumerate().filter(|(_, waits)| **waits == 0);
    let mut order: Vec<usize> = free.map(|(at, _)| at).collect();
    let mut done = 0;
    while let Some(at) = order.get(done).copied() {
        done += 1;
        for dependent in dependents.get(at).into_iter().flatten() {
            if let Some(waits) = waits_for.get_mut(*dependent) {
                *waits -= 1;
                if *waits == 0 {
                    order.push(*dependent);
                }
            }
        }
    }
    order
}

/// Where a piece stands.
#[derive(Clone, Copy)]
struct PiecePlace {
    /// The number of its section, or of what else the update names.
    section: usize,
    /// Whether it is an entry of a map, whose entries the library searches from their end.
    is_entry: bool,
    /// The piece that it stands below in the tree.
    origin: Option<usize>,
    /// All with the same number have the same origin: that of the origin, or one of a section's beginning.
    siblings: usize,
    /// The sibling that its search ends at.
    right_sibling: Option<usize>,
}

/// Where each piece stands; none for what stands in no text, as what the library has forgotten.
fn place_pieces(pieces: &[BlockPiece<'_>], links: &[PieceLinks], order: &[usize]) -> Vec<Option<PiecePlace>> {
    let mut sections: BTreeMap<&str, usize> = BTreeMap::new();
    let mut places: Vec<Option<PiecePlace>> = vec![None; pieces.len()];
    for at in order {
        let (Some(piece), Some(links)) = (pieces.get(*at), links.get(*at)) else { continue };
        let place_of = |other: Option<usize>| other.and_then(|other| places.get(other).copied().flatten());
        let (left, right) = (place_of(links.origin), place_of(links.right));
        let named = piece.block.section.as_deref().map(|name| {
            let next = sections.len();
            *sections.entry(name).or_insert(next)
        });
        let Some(section) = left.or(right).map(|place| place.section).or(named) else { continue };
        let is_entry = piece.block.is_entry || [left, right].into_iter().flatten().any(|place| place.is_entry);
        // What stands behind something forgotten is searched for from the beginning.
        let origin = links.origin.filter(|_| left.is_some());
        let siblings = origin.unwrap_or(pieces.len() + section);
        let right_sibling = links.right.filter(|_| !is_entry && right.is_some_and(|right| right.siblings == siblings));
        if let Some(place) = places.get_mut(*at) {
            *place = Some(PiecePlace { section, is_entry, origin, siblings, right_sibling });
        }
    }
    places
}

/// Sums up what each piece may be compared with: what stands below its siblings, but for those that come after its right
/// sibling and those that build on itself.
fn count_steps(places: &[Option<PiecePlace>], order: &[usize]) -> usize {
    let in_order = || order.iter().filter_map(move |at| Some((*at, places.get(*at).copied().flatten()?)));
    let mut below = PieceCounts::default();
    let mut among_siblings = PieceCounts::default();
    let mut left_of = PieceCounts::default();
    for (at, place) in in_order().rev() {
        below.add(at, 1);
        if let Some(origin) = place.origin {
            below.add(origin, below.get(at));
        }
        among_siblings.add(place.siblings, below.get(at));
    }
    // By now everything below each is known, which those right of it need.
    for (at, place) in in_order().rev() {
        left_of.add(at, below.get(at));
        if let Some(right) = place.right_sibling {
            left_of.add(right, left_of.get(at));
        }
    }
    let (mut right_of, mut steps) = (PieceCounts::default(), 0_usize);
    for (at, place) in in_order() {
        if let Some(right) = place.right_sibling {
            right_of.add(at, right_of.get(right).saturating_add(below.get(right)));
        }
        let not_compared = right_of.get(at).saturating_add(left_of.get(at));
        steps = steps.saturating_add(among_siblings.get(place.siblings).saturating_sub(not_compared));
    }
    steps
}

/// Counts by the number of a piece or of its siblings.
#[derive(Default)]
struct PieceCounts(Vec<usize>);

impl PieceCounts {
    fn get(&self, at: usize) -> usize {
        self.0.get(at).copied().unwrap_or_default()
    }

    fn add(&mut self, at: usize, count: usize) {
        if at >= self.0.len() {
            self.0.resize(at.saturating_add(1), 0);
        }
        if let Some(counted) = self.0.get_mut(at) {
            *counted = counted.saturating_add(count);
        }
    }
}

#[cfg(test)]
mod tests;
