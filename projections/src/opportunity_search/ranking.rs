//! The order of what answers a question: how near it is in meaning and how much it has of the words, each as a part of the
//! best one's, added with weights.
//!
//! The store gives in one round trip the best by meaning, the best by words, and how near the latter are in meaning, too.
//! How many words the former have is not asked: one that is not among the best by words has few. The sum is made here: it
//! needs the best score of either kind, which the store's own formulas do not know.

use std::collections::{HashMap, HashSet};

use qdrant_client::qdrant::{
    Filter as StoreFilter, GetPointsBuilder, PrefetchQueryBuilder, Query, QueryBatchPointsBuilder, QueryPointsBuilder,
    RetrievedPoint, ScoredPoint,
};

use super::{
    OpportunitySearch,
    expanded_query::ExpandedQuery,
    point::{DENSE, SPARSE},
};
use crate::{
    QueryError,
    storage::qdrant::{POINTS_PER_CALL, point_uuid, uuid_text},
};

/// How many of either kind are weighed against each other, at least.
const CANDIDATES: u64 = 100;

/// What meaning weighs, words having the rest. Chosen on real notices (ADR 28): less finds more of judged queries, more finds
/// more of long questions.
const MEANING_WEIGHT: f32 = 0.45;

/// The same for a question with an identifier in it: who has it comes before all that have not.
const MEANING_WEIGHT_WITH_IDENTIFIER: f32 = 0.02;

impl OpportunitySearch {
    /// The points of a collection that answer a question, with their scores, best first.
    pub(super) async fn rank_points(
        &self,
        collection: &str,
        question: &ExpandedQuery,
        conditions: &StoreFilter,
        first: u32,
    ) -> Result<Vec<(RetrievedPoint, f32)>, QueryError> {
        let candidates = CANDIDATES.max(u64::from(first));
        let meaning = Query::new_nearest(self.embed_weighted(&question.weighted_texts).await?);
        let request = |query: Query, vector: &str| {
            let request = QueryPointsBuilder::new(collection).query(query).using(vector);
            request.filter(conditions.clone()).limit(candidates).with_payload(false)
        };
        let mut requests = vec![request(meaning.clone(), DENSE).build()];
        if !question.terms.is_empty() {
            let words: Vec<_> = question.terms.iter().map(|(dimension, weight)| (*dimension, *weight)).collect();
            let words = Query::new_nearest(words.as_slice());
            let with_words = PrefetchQueryBuilder::default().query(words.clone()).using(SPARSE);
            let with_words = with_words.filter(conditions.clone()).limit(candidates).build();
            requests.push(request(meaning, DENSE).prefetch(vec![with_words]).build());
            requests.push(request(words, SPARSE).build());
        }
        let batch = self.client().query_batch(QueryBatchPointsBuilder::new(collection, requests));
        let mut scores = self.qdrant().run_request(batch).await?.result.into_iter().map(|scores| scores.result);
        let mut by_meaning = scores.next().unwrap_or_default();
        by_meaning.extend(scores.next().unwrap_or_default());
        let by_words = scores.next().unwrap_or_default();
        let weight = match question {
            question if question.terms.is_empty() => 1.0,
            question if question.has_identifier => MEANING_WEIGHT_WITH_IDENTIFIER,
            _ => MEANING_WEIGHT,
        };
        self.fetch_points(collection, fuse_scores(vec![(weight, by_meaning), (1.0 - weight, by_words)], first as usize))
            .await
    }

    /// The vector of weighted texts.
    async fn embed_weighted(&self, texts: &[(String, f32)]) -> Result<Vec<f32>, QueryError> {
        let mut mean = vec![0.0; self.embedder().dimension()];
        for (text, weight) in texts {
            let vector = self.embed_query(text).await?;
            mean.iter_mut().zip(vector).for_each(|(sum, value)| *sum += weight * value);
        }
        Ok(mean)
    }

    /// The points of these ids, with their scores, in their order. What was deleted meanwhile is left out.
    async fn fetch_points(
        &self,
        collection: &str,
        ranked: Vec<(ScoredPoint, f32)>,
    ) -> Result<Vec<(RetrievedPoint, f32)>, QueryError> {
        let ids: Vec<_> = ranked.iter().filter_map(|(point, _)| point.id.clone()).collect();
        let mut found = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(POINTS_PER_CALL) {
            let get = GetPointsBuilder::new(collection, ids).with_payload(true);
            let points = self.qdrant().run_request(self.client().get_points(get)).await?.result;
            found.extend(points.into_iter().filter_map(|point| Some((point_uuid(&point)?.to_owned(), point))));
        }
        let point =
            |(point, score): (ScoredPoint, f32)| Some((found.remove(point.id.as_ref().and_then(uuid_text)?)?, score));
        Ok(ranked.into_iter().filter_map(point).collect())
    }
}

/// The best of weighted lists by the sum of their scores, each as a part of its list's best. A point that a list names twice
/// counts once.
fn fuse_scores(lists: Vec<(f32, Vec<ScoredPoint>)>, first: usize) -> Vec<(ScoredPoint, f32)> {
    let mut sums = HashMap::<String, (ScoredPoint, f32)>::new();
    for (weight, list) in lists {
        let best = list.iter().map(|point| point.score).fold(0.0, f32::max);
        // Nothing in such a list is an answer.
        if best <= f32::EPSILON {
            continue;
        }
        let mut seen = HashSet::with_capacity(list.len());
        for point in list {
            let Some(id) = point.id.as_ref().and_then(uuid_text).map(str::to_owned) else { continue };
            if !seen.insert(id.clone()) {
                continue;
            }
            let part = weight * point.score.max(0.0) / best;
            sums.entry(id).or_insert((point, 0.0)).1 += part;
        }
    }
    let mut ranked: Vec<_> = sums.into_iter().collect();
    // Ids decide between equals, so that an answer is the same each time.
    ranked.sort_by(|(left_id, (_, left)), (right_id, (_, right))| right.total_cmp(left).then(left_id.cmp(right_id)));
    ranked.truncate(first);
    ranked.into_iter().map(|(_, ranked)| ranked).collect()
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
        let ranked = fuse_scores(vec![(0.25, list(meaning)), (0.75, list(words))], 3);
        let id = |point: &ScoredPoint| point.id.as_ref().and_then(uuid_text)?.parse::<Uuid>().ok();
        ranked.iter().map(|(point, score)| (id(point).unwrap().as_u128(), *score)).collect()
    }

    #[test]
    fn scores_are_parts_of_the_best_of_their_kind() {
        assert_eq!(
            fused(&[(1, 0.8), (2, 0.4)], &[(2, 20.0), (1, 10.0), (3, 5.0)]),
            [(2, 0.875), (1, 0.625), (3, 0.1875)]
        );
    }

    #[test]
    fn equals_stand_in_the_order_of_their_ids_and_no_more_come_than_asked() {
        assert_eq!(fused(&[(4, 0.5), (2, 0.5), (3, 0.5), (1, 0.5)], &[]), [(1, 0.25), (2, 0.25), (3, 0.25)]);
    }

    #[test]
    fn what_points_away_from_the_question_counts_nothing() {
        assert_eq!(fused(&[(1, -0.5)], &[(1, 2.0)]), [(1, 0.75)]);
        assert_eq!(fused(&[(1, 0.5), (2, -0.5)], &[(2, 2.0)]), [(2, 0.75), (1, 0.25)]);
    }
}
