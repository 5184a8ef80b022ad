//! Ranks the hits of a query by the weighted sum of their scores, each divided by the best score of its kind: similarity
//! of meaning, match of words, and with some rankings the date of the notice.
//!
//! `Qdrant` returns in one round trip the best points by meaning, the best points by words, and the similarity of
//! meaning of the latter. The word scores of the former are not requested: a point that is not among the best by words
//! has a low one. The sum is computed here, because it needs the best score of each kind, which
//! `Qdrant`'s formulas do not have.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use qdrant_client::qdrant::{
    Filter as StoreFilter, GetPointsBuilder, PayloadIncludeSelector, PointId, PrefetchQueryBuilder, Query,
    QueryBatchPointsBuilder, QueryPointsBuilder, RetrievedPoint, ScoredPoint, with_payload_selector::SelectorOptions,
};

use super::{
    OpportunitySearch,
    expanded_query::ExpandedQuery,
    point::{DENSE, SPARSE},
    search_ranking::RankingWeights,
};
use crate::{
    QueryError,
    storage::qdrant::{POINTS_PER_CALL, point_uuid, uuid_text},
};

/// Fewest candidates that are requested by meaning, and by words.
const CANDIDATES: u64 = 100;

/// Age, in seconds relative to the newest candidate, at which the score of a notice's date is a half: 30 days.
const RECENCY_HALF_LIFE: f32 = 30.0 * 86_400.0;

/// Payload field with the date of a notice.
const POSTED_AT: &str = "posted_at";

impl OpportunitySearch {
    /// The best points of a collection for a query, with their scores, best first.
    pub(super) async fn rank_points(
        &self,
        collection: &str,
        expanded: &ExpandedQuery,
        weights: RankingWeights,
        conditions: &StoreFilter,
        first: u32,
    ) -> Result<Vec<(RetrievedPoint, f32)>, QueryError> {
        let candidates = CANDIDATES.max(u64::from(first));
        let meaning = Query::new_nearest(self.embed_weighted(&expanded.weighted_texts).await?);
        // Not a selection of no field, for which the engine reads the whole payload of each candidate.
        let payload = if weights.recency > 0.0 {
            SelectorOptions::Include(PayloadIncludeSelector { fields: vec![POSTED_AT.to_owned()] })
        } else {
            SelectorOptions::Enable(false)
        };
        let request = |query: Query, vector: &str| {
            let request = QueryPointsBuilder::new(collection).query(query).using(vector);
            request.filter(conditions.clone()).limit(candidates).with_payload(payload.clone())
        };
        let mut requests = vec![request(meaning.clone(), DENSE).build()];
        if !expanded.terms.is_empty() {
            let words: Vec<_> = expanded.terms.iter().map(|(dimension, weight)| (*dimension, *weight)).collect();
            let words = Query::new_nearest(words.as_slice());
            let best_by_words = PrefetchQueryBuilder::default().query(words.clone()).using(SPARSE);
            let best_by_words = best_by_words.filter(conditions.clone()).limit(candidates).build();
            requests.push(request(meaning, DENSE).prefetch(vec![best_by_words]).build());
            requests.push(request(words, SPARSE).build());
        }
        let batch = self.client().query_batch(QueryBatchPointsBuilder::new(collection, requests));
        let mut scores = self.qdrant().run_request(batch).await?.result.into_iter().map(|scores| scores.result);
        let mut by_meaning = scores.next().unwrap_or_default();
        by_meaning.extend(scores.next().unwrap_or_default());
        let by_words = scores.next().unwrap_or_default();
        let by_date = if weights.recency > 0.0 { score_dates(by_meaning.iter().chain(&by_words)) } else { vec![] };
        let lists = [(weights.meaning, by_meaning), (weights.words, by_words), (weights.recency, by_date)];
        self.fetch_points(collection, fuse_scores(&lists, first as usize)).await
    }

    /// Loads ranked points with their payloads, in the same order. Points that were deleted meanwhile are left out.
    async fn fetch_points(
        &self,
        collection: &str,
        ranked: Vec<(PointId, f32)>,
    ) -> Result<Vec<(RetrievedPoint, f32)>, QueryError> {
        let ids: Vec<_> = ranked.iter().map(|(id, _)| id.clone()).collect();
        let mut points_by_id = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(POINTS_PER_CALL) {
            let get = GetPointsBuilder::new(collection, ids).with_payload(true);
            let points = self.qdrant().run_request(self.client().get_points(get)).await?.result;
            points_by_id.extend(points.into_iter().filter_map(|point| Some((point_uuid(&point)?.to_owned(), point))));
        }
        let with_payload = |(id, score): (PointId, f32)| Some((points_by_id.remove(uuid_text(&id)?)?, score));
        Ok(ranked.into_iter().filter_map(with_payload).collect())
    }
}

/// The points with the scores of their dates: 1 for the newest. Those without a date are left out.
fn score_dates<'a>(points: impl Iterator<Item = &'a ScoredPoint>) -> Vec<ScoredPoint> {
    let dated: Vec<_> = points.filter_map(|point| Some((point, posted_at(point)?))).collect();
    let newest = dated.iter().map(|(_, at)| *at).max().unwrap_or_default();
    let score = |at: DateTime<Utc>| (-(newest - at).as_seconds_f32() / RECENCY_HALF_LIFE).exp2();
    dated.into_iter().map(|(point, at)| ScoredPoint { score: score(at), ..point.clone() }).collect()
}

fn posted_at(point: &ScoredPoint) -> Option<DateTime<Utc>> {
    point.payload.get(POSTED_AT)?.as_str()?.parse().ok()
}

/// Merges weighted lists: the score of a point is the weighted sum of its scores, each divided by the best of its list.
/// A point that is twice in a list counts once.
fn fuse_scores(lists: &[(f32, Vec<ScoredPoint>)], first: usize) -> Vec<(PointId, f32)> {
    // By id: the sum, and the list that was added last.
    let mut sums = HashMap::<&str, (f32, usize)>::new();
    for (list_index, (weight, list)) in lists.iter().enumerate() {
        let best = list.iter().map(|point| point.score).fold(0.0, f32::max);
        // A list without a positive score has no relevant point.
        if best <= f32::EPSILON {
            continue;
        }
        for point in list {
            let Some(id) = point.id.as_ref().and_then(uuid_text) else { continue };
            let (sum, last_list) = sums.entry(id).or_insert((0.0, usize::MAX));
            if *last_list != list_index {
                *sum += weight * point.score.max(0.0) / best;
                *last_list = list_index;
            }
        }
    }
    let mut ranked: Vec<(&str, f32)> = sums.into_iter().map(|(id, (sum, _))| (id, sum)).collect();
    // Equal scores are ordered by id, so that the order is always the same.
    ranked.sort_unstable_by(|(left_id, left), (right_id, right)| right.total_cmp(left).then(left_id.cmp(right_id)));
    ranked.truncate(first);
    ranked.into_iter().map(|(id, score)| (id.into(), score)).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::storage::qdrant::to_point_id;

    fn list(scores: &[(u128, f32)]) -> Vec<ScoredPoint> {
        let point = |(id, score): &(u128, f32)| ScoredPoint {
            id: Some(to_point_id(Uuid::from_u128(*id))),
            score: *score,
            ..ScoredPoint::default()
        };
        scores.iter().map(point).collect()
    }

    fn fused(meaning: &[(u128, f32)], words: &[(u128, f32)]) -> Vec<(u128, f32)> {
        let ranked = fuse_scores(&[(0.25, list(meaning)), (0.75, list(words))], 3);
        let number = |id: &PointId| uuid_text(id).unwrap().parse::<Uuid>().unwrap().as_u128();
        ranked.iter().map(|(id, score)| (number(id), *score)).collect()
    }

    #[test]
    fn scores_are_divided_by_the_best_of_their_kind() {
        assert_eq!(
            fused(&[(1, 0.8), (2, 0.4)], &[(2, 20.0), (1, 10.0), (3, 5.0)]),
            [(2, 0.875), (1, 0.625), (3, 0.1875)]
        );
    }

    #[test]
    fn equal_scores_are_ordered_by_id_and_the_result_is_limited() {
        assert_eq!(fused(&[(4, 0.5), (2, 0.5), (3, 0.5), (1, 0.5)], &[]), [(1, 0.25), (2, 0.25), (3, 0.25)]);
    }

    #[test]
    fn the_score_of_a_date_is_halved_every_thirty_days() {
        let dated = |id: u128, at: &str| ScoredPoint {
            id: Some(to_point_id(Uuid::from_u128(id))),
            payload: [(POSTED_AT.to_owned(), at.into())].into(),
            ..ScoredPoint::default()
        };
        let points = [dated(1, "2026-03-01T00:00:00Z"), dated(2, "2026-03-31T00:00:00Z"), dated(3, "tomorrow")];
        let scores: Vec<_> = score_dates(points.iter()).iter().map(|point| point.score).collect();
        assert_eq!(scores, [0.5, 1.0]);
    }

    #[test]
    fn a_negative_score_counts_as_zero() {
        assert_eq!(fused(&[(1, -0.5)], &[(1, 2.0)]), [(1, 0.75)]);
        assert_eq!(fused(&[(1, 0.5), (2, -0.5)], &[(2, 2.0)]), [(2, 0.75), (1, 0.25)]);
    }
}
