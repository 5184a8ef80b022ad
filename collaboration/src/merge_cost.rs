//! Estimates the cost of merging concurrent blocks before the library merges them.
//!
//! YATA inserts a block between its origin (the letter to its left when it was written) and its right origin. If other
//! blocks are between the two by then, the library compares the new block with each of them: n blocks that n clients
//! wrote concurrently at the same position take n² comparisons, and one client that sends false origins can cause the
//! same.
//!
//! The estimate is an upper bound for every order in which the library may merge the blocks, including a reload of the
//! stored text. Blocks form a tree; each block is below its origin. The search for a block's position starts at its
//! origin and stays among the blocks below that. It does not reach blocks that build on the block itself, nor blocks
//! after its right origin if the right origin has the same origin. The estimate counts all other blocks below the
//! origin. So blocks of editors that know each other's blocks cost nothing, however many there are at the same
//! position.

use std::collections::BTreeMap;

use crate::update_contents::{InsertedBlock, LetterId, UpdateContents};

/// The library's cost of merging a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MergeCost {
    /// Number of pieces: the blocks, split at each insertion between two letters and at each deletion.
    pub(crate) pieces: usize,
    /// Maximum number of comparisons: pairs of independent pieces at the same position.
    pub(crate) steps: usize,
}

impl MergeCost {
    /// Estimates the cost of a text with these contents: first the known ones, then those that are about to be merged.
    pub(crate) fn estimate(parts: &[&UpdateContents]) -> Self {
        let pieces = split_into_pieces(parts);
        let links = link_pieces(&pieces);
        let order = order_by_dependency(&links);
        let places = place_pieces(&pieces, &links, &order);
        Self { pieces: pieces.len(), steps: count_steps(&places, &order) }
    }
}

/// A part of a block that is not split further.
struct BlockPiece<'a> {
    start: LetterId,
    block: &'a InsertedBlock,
}

/// Splits blocks as the library does to insert others between their letters. A range that occurs in an earlier part is
/// ignored in later ones.
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

/// The pieces to the left and right of a piece when it was written.
#[derive(Clone, Copy)]
struct PieceLinks {
    origin: Option<usize>,
    right: Option<usize>,
}

fn link_pieces(pieces: &[BlockPiece<'_>]) -> Vec<PieceLinks> {
    let find_piece = |letter: LetterId| {
        let at = pieces.partition_point(|piece| piece.start <= letter).checked_sub(1)?;
        pieces.get(at).filter(|piece| piece.start.0 == letter.0).map(|_| at)
    };
    let link = |piece: &BlockPiece<'_>| {
        let (client, clock) = piece.start;
        let before = clock.checked_sub(1).map(|clock| (client, clock));
        let origin = if clock == piece.block.clock { piece.block.origin } else { before };
        PieceLinks { origin: origin.and_then(find_piece), right: piece.block.right_origin.and_then(find_piece) }
    };
    pieces.iter().map(link).collect()
}

/// The pieces, sorted so that each comes after its dependencies. Pieces that depend on themselves are left out: the
/// library never merges them.
fn order_by_dependency(links: &[PieceLinks]) -> Vec<usize> {
    let mut open_dependencies = vec![0_u8; links.len()];
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); links.len()];
    for ((at, links), open_count) in links.iter().enumerate().zip(&mut open_dependencies) {
        for dependency in [links.origin, links.right].into_iter().flatten() {
            if let Some(dependents) = dependents.get_mut(dependency) {
                dependents.push(at);
                *open_count += 1;
            }
        }
    }
    let ready = open_dependencies.iter().enumerate().filter(|(_, open_count)| **open_count == 0);
    let mut order: Vec<usize> = ready.map(|(at, _)| at).collect();
    let mut next_index = 0;
    while let Some(at) = order.get(next_index).copied() {
        next_index += 1;
        for dependent in dependents.get(at).into_iter().flatten() {
            if let Some(open_count) = open_dependencies.get_mut(*dependent) {
                *open_count -= 1;
                if *open_count == 0 {
                    order.push(*dependent);
                }
            }
        }
    }
    order
}

/// The position of a piece in the text.
#[derive(Clone, Copy)]
struct PiecePlace {
    /// The number of its root, which is a section or another name in the update.
    section: usize,
    /// Whether it is an entry of a map; the library searches entries from the end.
    is_entry: bool,
    /// The parent in the tree.
    origin: Option<usize>,
    /// Pieces with the same number have the same origin: the number of the origin, or one for the start of a section.
    siblings: usize,
    /// The sibling at which its search ends.
    right_sibling: Option<usize>,
}

/// The position of each piece; `None` for pieces that are in no text, such as those that the library has collected.
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
        // The search for a piece after a collected one starts at the beginning.
        let origin = links.origin.filter(|_| left.is_some());
        let siblings = origin.unwrap_or(pieces.len() + section);
        let right_sibling = links.right.filter(|_| !is_entry && right.is_some_and(|right| right.siblings == siblings));
        if let Some(place) = places.get_mut(*at) {
            *place = Some(PiecePlace { section, is_entry, origin, siblings, right_sibling });
        }
    }
    places
}

/// Counts the pieces that each piece may be compared with: all pieces below its siblings, except pieces after its right
/// sibling and pieces that build on the piece itself.
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
    // The counts below each piece are complete now; the pieces to its right need them.
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

/// Counts by the number of a piece or of a group of siblings.
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
        if let Some(total) = self.0.get_mut(at) {
            *total = total.saturating_add(count);
        }
    }
}

#[cfg(test)]
mod tests;
