//! The inverse document frequency of terms, as `Qdrant` applies it to the sparse vectors of queries.

use std::collections::HashMap;

use qdrant_client::qdrant::{
    Query, QueryBatchPointsBuilder, QueryPointsBuilder, ScoredPoint, VectorsOutput, VectorsSelector, vector_output,
    with_vectors_selector::SelectorOptions,
};

use super::{OpportunitySearch, point::SPARSE};
use crate::QueryError;

/// Terms that are looked up by one request.
const TERMS_PER_CALL: usize = 100;

/// The inverse document frequency of a term that `with` of `all` texts have (Robertson and Zaragoza, 2009, as `Qdrant`
/// computes it).
#[expect(clippy::cast_precision_loss, reason = "collections have far fewer than 2^24 points")]
pub(super) fn term_rarity(all: u64, with: u64) -> f32 {
    let (all, with) = (all as f32, with as f32);
    ((all - with + 0.5) / (with + 0.5)).ln_1p()
}

impl OpportunitySearch {
    /// The inverse document frequencies of terms by dimension. A term that no text has gets the highest one.
    ///
    /// `Qdrant` shows them only as a factor of scores: that of a query with one term is the product of the frequency
    /// and the term's weight in the point.
    pub(super) async fn load_term_rarities(&self, dimensions: &[u32]) -> Result<HashMap<u32, f32>, QueryError> {
        let absent = term_rarity(self.count_opportunities().await?, 0);
        let mut rarities = HashMap::with_capacity(dimensions.len());
        for chunk in dimensions.chunks(TERMS_PER_CALL) {
            let request = |dimension: &u32| {
                let sparse = VectorsSelector { names: vec![SPARSE.to_owned()] };
                QueryPointsBuilder::new(self.collection())
                    .query(Query::new_nearest([(*dimension, 1.0_f32)].as_slice()))
                    .using(SPARSE)
                    .limit(1)
                    .with_payload(false)
                    .with_vectors(SelectorOptions::Include(sparse))
                    .build()
            };
            let requests: Vec<_> = chunk.iter().map(request).collect();
            let batch = self.client().query_batch(QueryBatchPointsBuilder::new(self.collection(), requests));
            let answers = self.qdrant().run_request(batch).await?.result;
            for (dimension, answer) in chunk.iter().zip(answers) {
                let rarity = answer.result.first().and_then(|point| rarity_from_point(point, *dimension));
                rarities.insert(*dimension, rarity.unwrap_or(absent));
            }
        }
        Ok(rarities)
    }
}

/// The factor between a term's weight in a point and the point's score.
fn rarity_from_point(point: &ScoredPoint, dimension: u32) -> Option<f32> {
    let vector = VectorsOutput::get_vector_by_name(point.vectors.as_ref()?, SPARSE)?;
    let vector_output::Vector::Sparse(sparse) = vector else { return None };
    let index = sparse.indices.iter().position(|found| *found == dimension)?;
    let weight = sparse.values.get(index).filter(|weight| **weight > 0.0)?;
    Some(point.score / weight)
}
