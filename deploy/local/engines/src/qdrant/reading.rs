//! Reads of one collection: by id, by page, by count, by facet, by likeness.

use qdrant_client::qdrant;
use qdrant_edge::{CountRequest, EdgeShard, FacetRequest, OperationError, OrderByInterface, ScrollRequest};
use tonic::Status;

use super::{
    convert::{answer, filter, no_shard_key, path, point_id, point_ids, query, selection, size},
    refusal::{status, wrong},
};

const DEFAULT_FACET_VALUES: u64 = 10;

/// Points by id; those that do not exist are left out.
pub(super) fn points(shard: &EdgeShard, request: qdrant::GetPoints) -> Result<Vec<qdrant::RetrievedPoint>, Status> {
    no_shard_key(request.shard_key_selector.as_ref())?;
    let payload = selection::payload(request.with_payload)?;
    let vectors = selection::vectors(request.with_vectors);
    let records = shard.retrieve(&point_ids(request.ids)?, payload, Some(vectors)).map_err(failed)?;
    Ok(records.into_iter().map(answer::retrieved).collect())
}

/// One page of points, and where the next one starts.
pub(super) fn page(
    shard: &EdgeShard,
    request: qdrant::ScrollPoints,
) -> Result<(Vec<qdrant::RetrievedPoint>, Option<qdrant::PointId>), Status> {
    no_shard_key(request.shard_key_selector.as_ref())?;
    if request.limit == Some(0) {
        return Err(wrong("a page of no points"));
    }
    let page = ScrollRequest {
        offset: request.offset.map(|offset| point_id(Some(offset))).transpose()?,
        limit: request.limit.map(|limit| size(u64::from(limit))).transpose()?,
        filter: filter::optional(request.filter)?,
        with_payload: selection::payload(request.with_payload)?,
        with_vector: selection::vectors(request.with_vectors),
        order_by: request.order_by.map(query::order_by).transpose()?.map(OrderByInterface::Struct),
    };
    let (records, next) = shard.scroll(page).map_err(failed)?;
    Ok((records.into_iter().map(answer::retrieved).collect(), next.map(answer::point_id)))
}

/// How many points match.
pub(super) fn count(shard: &EdgeShard, request: qdrant::CountPoints) -> Result<u64, Status> {
    no_shard_key(request.shard_key_selector.as_ref())?;
    let filter = filter::optional(request.filter)?;
    let exact = request.exact.unwrap_or(true);
    shard.count(CountRequest { filter, exact }).map(|count| count as u64).map_err(failed)
}

/// How many points have each value of a key.
pub(super) fn facet(shard: &EdgeShard, request: qdrant::FacetCounts) -> Result<Vec<qdrant::FacetHit>, Status> {
    no_shard_key(request.shard_key_selector.as_ref())?;
    let asked = FacetRequest {
        key: path(&request.key)?,
        limit: size(request.limit.unwrap_or(DEFAULT_FACET_VALUES))?,
        filter: filter::optional(request.filter)?,
        exact: request.exact.unwrap_or(false),
    };
    let response = shard.facet(asked).map_err(failed)?;
    Ok(response.hits.into_iter().map(answer::facet).collect())
}

/// The points most like what is asked for.
pub(super) fn search(shard: &EdgeShard, request: qdrant::QueryPoints) -> Result<Vec<qdrant::ScoredPoint>, Status> {
    let request = query::to_engine(request, shard)?;
    let (offset, limit) = (request.offset, request.limit);
    let found = shard.query(request).map_err(failed)?;
    // The engine finds as many more as the offset says and leaves cutting them off to its caller.
    Ok(found.into_iter().skip(offset).take(limit).map(answer::scored).collect())
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn failed(error: OperationError) -> Status {
    status(&error)
}
