//! Searches: what to score by, what to prefetch, what to leave out.

use qdrant_client::qdrant::{self, query::Variant, vector_input};
use qdrant_edge::{
    DEFAULT_VECTOR_NAME, Direction, EdgeShard, Fusion, Mmr, NamedQuery, OrderBy, PointId, Prefetch, QueryEnum,
    QueryRequest, RecommendQuery, Sample, ScoringQuery, SearchParams, StartFrom, VectorInternal, VectorStructInternal,
    WithPayloadInterface, WithVector, external::ordered_float::OrderedFloat,
};
use tonic::Status;

use super::{filter, member, no_shard_key, path, point_id, selection, size, vector};
use crate::qdrant::refusal::{status, unsupported, wrong};

const DEFAULT_LIMIT: u64 = 10;
/// Qdrant's constant of reciprocal rank fusion.
const DEFAULT_RRF_K: usize = 2;
const DEFAULT_DIVERSITY: f32 = 0.5;

/// The engine's form of a search; points it refers to are looked up in the shard.
pub(crate) fn to_engine(query: qdrant::QueryPoints, shard: &EdgeShard) -> Result<QueryRequest, Status> {
    no_shard_key(query.shard_key_selector.as_ref())?;
    no_lookup(query.lookup_from.as_ref())?;
    let limit = size(query.limit.unwrap_or(DEFAULT_LIMIT))?;
    let mut scoring = Scoring { shard, using: query.using.unwrap_or_default(), limit, referred: Vec::new() };
    let scored_by = query.query.map(|query| scoring.query(query)).transpose()?;
    let prefetches = query.prefetch.into_iter().map(|inner| prefetch(inner, shard)).collect::<Result<_, _>>()?;
    Ok(QueryRequest {
        prefetches,
        query: scored_by,
        filter: filter::without(filter::optional(query.filter)?, &scoring.referred),
        score_threshold: query.score_threshold.map(OrderedFloat),
        limit,
        offset: size(query.offset.unwrap_or(0))?,
        params: query.params.as_ref().map(params).transpose()?,
        with_vector: selection::vectors(query.with_vectors),
        with_payload: selection::payload(query.with_payload)?.unwrap_or(WithPayloadInterface::Bool(false)),
    })
}

/// The older form of a search by one vector, in the newer form.
pub(crate) fn from_search(search: qdrant::SearchPoints) -> qdrant::QueryPoints {
    let variant = match search.sparse_indices {
        Some(indices) => {
            vector_input::Variant::Sparse(qdrant::SparseVector { values: search.vector, indices: indices.data })
        }
        None => vector_input::Variant::Dense(qdrant::DenseVector { data: search.vector }),
    };
    let nearest = Variant::Nearest(qdrant::VectorInput { variant: Some(variant) });
    qdrant::QueryPoints {
        collection_name: search.collection_name,
        query: Some(qdrant::Query { variant: Some(nearest) }),
        using: search.vector_name,
        filter: search.filter,
        params: search.params,
        score_threshold: search.score_threshold,
        limit: Some(search.limit),
        offset: search.offset,
        with_vectors: search.with_vectors,
        with_payload: search.with_payload,
        shard_key_selector: search.shard_key_selector,
        ..qdrant::QueryPoints::default()
    }
}

/// Sorting by a value of the payload.
pub(crate) fn order_by(order: qdrant::OrderBy) -> Result<OrderBy, Status> {
    use qdrant::start_from::Value;
    let direction = order.direction.map(member::<qdrant::Direction>).transpose()?.map(|direction| match direction {
        qdrant::Direction::Asc => Direction::Asc,
        qdrant::Direction::Desc => Direction::Desc,
    });
    let start_from = match order.start_from.and_then(|start| start.value) {
        None => None,
        Some(Value::Float(number)) => Some(StartFrom::Float(number)),
        Some(Value::Integer(number)) => Some(StartFrom::Integer(number)),
        Some(Value::Timestamp(time)) => Some(StartFrom::Datetime(filter::time_from(&time)?)),
        Some(Value::Datetime(text)) => Some(StartFrom::Datetime(text.parse().map_err(wrong)?)),
    };
    Ok(OrderBy { key: path(&order.key)?, direction, start_from })
}

fn prefetch(prefetch: qdrant::PrefetchQuery, shard: &EdgeShard) -> Result<Prefetch, Status> {
    no_lookup(prefetch.lookup_from.as_ref())?;
    let limit = size(prefetch.limit.unwrap_or(DEFAULT_LIMIT))?;
    let mut scoring = Scoring { shard, using: prefetch.using.unwrap_or_default(), limit, referred: Vec::new() };
    let query = prefetch.query.map(|query| scoring.query(query)).transpose()?;
    Ok(Prefetch {
        prefetches: prefetch
            .prefetch
            .into_iter()
            .map(|inner| self::prefetch(inner, shard))
            .collect::<Result<_, _>>()?,
        query,
        limit,
        params: prefetch.params.as_ref().map(params).transpose()?,
        filter: filter::without(filter::optional(prefetch.filter)?, &scoring.referred),
        score_threshold: prefetch.score_threshold.map(OrderedFloat),
    })
}

fn no_lookup(location: Option<&qdrant::LookupLocation>) -> Result<(), Status> {
    if location.is_some() { Err(unsupported("vectors looked up in another collection")) } else { Ok(()) }
}

fn params(params: &qdrant::SearchParams) -> Result<SearchParams, Status> {
    if params.idf.is_some() {
        return Err(unsupported("the idf parameter of a search"));
    }
    Ok(SearchParams {
        hnsw_ef: params.hnsw_ef.map(size).transpose()?,
        exact: params.exact.unwrap_or(false),
        // Both only trade accuracy for speed, on indexes that the local engine does not build.
        quantization: None,
        acorn: None,
        indexed_only: params.indexed_only.unwrap_or(false),
    })
}

/// What is needed to understand one level of a search.
struct Scoring<'a> {
    shard: &'a EdgeShard,
    using: String,
    limit: usize,
    /// Points the query is made of; they are no results of it.
    referred: Vec<PointId>,
}

impl Scoring<'_> {
    fn query(&mut self, query: qdrant::Query) -> Result<ScoringQuery, Status> {
        Ok(match query.variant.ok_or_else(|| wrong("the query is empty"))? {
            Variant::Nearest(input) => nearest(self.input(input)?, &self.using),
            Variant::Recommend(input) => self.recommend(input)?,
            Variant::OrderBy(order) => ScoringQuery::OrderBy(order_by(order)?),
            Variant::Fusion(fusion) => ScoringQuery::Fusion(match member(fusion)? {
                qdrant::Fusion::Rrf => Fusion::Rrf { k: DEFAULT_RRF_K, weights: None },
                qdrant::Fusion::Dbsf => Fusion::Dbsf,
            }),
            Variant::Rrf(rrf) => ScoringQuery::Fusion(reciprocal_rank(rrf)?),
            Variant::Sample(sample) => match member(sample)? {
                qdrant::Sample::Random => ScoringQuery::Sample(Sample::Random),
            },
            Variant::NearestWithMmr(input) => self.diverse(input)?,
            Variant::Discover(_) | Variant::Context(_) => return Err(unsupported("discovery")),
            Variant::Formula(_) => return Err(unsupported("score formulas")),
            Variant::RelevanceFeedback(_) => return Err(unsupported("relevance feedback")),
            Variant::Text(_) => return Err(unsupported("text queries")),
        })
    }

    fn input(&mut self, input: qdrant::VectorInput) -> Result<VectorInternal, Status> {
        match input.variant.ok_or_else(|| wrong("a query has no vector"))? {
            vector_input::Variant::Dense(dense) => Ok(VectorInternal::Dense(dense.data)),
            vector_input::Variant::Sparse(sparse) => vector::sparse(sparse),
            vector_input::Variant::MultiDense(multi) => vector::multi(multi),
            vector_input::Variant::Id(id) => self.stored(point_id(Some(id))?),
            vector_input::Variant::Document(_) | vector_input::Variant::Image(_) | vector_input::Variant::Object(_) => {
                Err(vector::no_inference())
            }
        }
    }

    /// The vector of a point that the query refers to.
    fn stored(&mut self, id: PointId) -> Result<VectorInternal, Status> {
        let wanted = WithVector::Selector(vec![self.using.clone()]);
        let records = self
            .shard
            .retrieve(&[id], Some(WithPayloadInterface::Bool(false)), Some(wanted))
            .map_err(|error| status(&error))?;
        let vector = match records.into_iter().next().and_then(|record| record.vector) {
            Some(VectorStructInternal::Single(dense)) => Some(VectorInternal::Dense(dense)),
            Some(VectorStructInternal::MultiDense(multi)) => Some(VectorInternal::MultiDense(multi)),
            Some(VectorStructInternal::Named(mut named)) => named.remove(&self.using),
            None => None,
        };
        self.referred.push(id);
        vector.ok_or_else(|| Status::not_found(format!("Not found: No point with id {id} found")))
    }

    fn inputs(&mut self, inputs: Vec<qdrant::VectorInput>) -> Result<Vec<VectorInternal>, Status> {
        inputs.into_iter().map(|input| self.input(input)).collect()
    }

    fn recommend(&mut self, input: qdrant::RecommendInput) -> Result<ScoringQuery, Status> {
        let positive = self.inputs(input.positive)?;
        let negative = self.inputs(input.negative)?;
        let strategy = input.strategy.map(member::<qdrant::RecommendStrategy>).transpose()?;
        let named = |positive, negative| NamedQuery {
            query: RecommendQuery::new(positive, negative),
            using: Some(self.using.clone()),
        };
        Ok(match strategy {
            None | Some(qdrant::RecommendStrategy::AverageVector) => {
                nearest(average(&positive, &negative)?, &self.using)
            }
            Some(qdrant::RecommendStrategy::BestScore) => {
                ScoringQuery::Vector(QueryEnum::RecommendBestScore(named(positive, negative)))
            }
            Some(qdrant::RecommendStrategy::SumScores) => {
                ScoringQuery::Vector(QueryEnum::RecommendSumScores(named(positive, negative)))
            }
        })
    }

    fn diverse(&mut self, input: qdrant::NearestInputWithMmr) -> Result<ScoringQuery, Status> {
        let vector = self.input(input.nearest.ok_or_else(|| wrong("a query has no vector"))?)?;
        let mmr = input.mmr.unwrap_or_default();
        let candidates = mmr.candidates_limit.map(|limit| size(u64::from(limit))).transpose()?;
        Ok(ScoringQuery::Mmr(Mmr {
            vector,
            using: self.using.clone(),
            lambda: OrderedFloat(1.0 - mmr.diversity.unwrap_or(DEFAULT_DIVERSITY)),
            candidates_limit: candidates.unwrap_or(self.limit),
        }))
    }
}

fn nearest(query: VectorInternal, using: &str) -> ScoringQuery {
    let using = (using != DEFAULT_VECTOR_NAME).then(|| using.to_owned());
    ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery { query, using }))
}

fn reciprocal_rank(rrf: qdrant::Rrf) -> Result<Fusion, Status> {
    let k = rrf.k.map(|k| size(u64::from(k))).transpose()?.unwrap_or(DEFAULT_RRF_K);
    let weights = (!rrf.weights.is_empty()).then(|| rrf.weights.into_iter().map(OrderedFloat).collect());
    Ok(Fusion::Rrf { k, weights })
}

/// Qdrant's average strategy: the mean of the positive ones, drawn away from the mean of the negative ones.
fn average(positive: &[VectorInternal], negative: &[VectorInternal]) -> Result<VectorInternal, Status> {
    let positive = mean(positive)?.ok_or_else(|| wrong("a recommendation by average needs a positive example"))?;
    let Some(negative) = mean(negative)? else { return Ok(VectorInternal::Dense(positive)) };
    Ok(VectorInternal::Dense(positive.iter().zip(negative).map(|(good, bad)| good + good - bad).collect()))
}

fn mean(vectors: &[VectorInternal]) -> Result<Option<Vec<f32>>, Status> {
    let mut sum: Option<Vec<f32>> = None;
    let mut count = 0.0_f32;
    for vector in vectors {
        let VectorInternal::Dense(dense) = vector else {
            return Err(unsupported("recommendations by average of sparse or multi vectors"));
        };
        let sum = sum.get_or_insert_with(|| vec![0.0; dense.len()]);
        if sum.len() != dense.len() {
            return Err(wrong("the examples have different dimensions"));
        }
        sum.iter_mut().zip(dense).for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    Ok(sum.map(|sum| sum.into_iter().map(|value| value / count).collect()))
}
