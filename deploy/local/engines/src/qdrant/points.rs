//! The gRPC service of points.

use qdrant_client::qdrant::{
    BatchResult, ClearPayloadPoints, CountPoints, CountResponse, CountResult, CreateFieldIndexCollection,
    CreateVectorNameRequest, DeleteFieldIndexCollection, DeletePayloadPoints, DeletePointVectors, DeletePoints,
    DeleteVectorNameRequest, DiscoverBatchPoints, DiscoverBatchResponse, DiscoverPoints, DiscoverResponse, FacetCounts,
    FacetResponse, GetPoints, GetResponse, PointsOperationResponse, QueryBatchPoints, QueryBatchResponse,
    QueryGroupsResponse, QueryPointGroups, QueryPoints, QueryResponse, RecommendBatchPoints, RecommendBatchResponse,
    RecommendGroupsResponse, RecommendPointGroups, RecommendPoints, RecommendResponse, ScrollPoints, ScrollResponse,
    SearchBatchPoints, SearchBatchResponse, SearchGroupsResponse, SearchMatrixOffsetsResponse,
    SearchMatrixPairsResponse, SearchMatrixPoints, SearchPointGroups, SearchPoints, SearchResponse, SetPayloadPoints,
    UpdateBatchPoints, UpdateBatchResponse, UpdatePointVectors, UpsertPoints,
    points_server::Points,
    points_update_operation::{self as change, Operation},
};
use qdrant_edge::{CreateIndex, FieldIndexOperations};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{
    api::{Api, updated},
    convert::{path, payload_index, query},
    reading,
    refusal::{unsupported, wrong},
};

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Points for Api {
    async fn upsert(&self, request: Request<UpsertPoints>) -> Answer<PointsOperationResponse> {
        let UpsertPoints { collection_name, wait, points, shard_key_selector, update_filter, update_mode, .. } =
            request.into_inner();
        let list = change::PointStructList { points, shard_key_selector, update_filter, update_mode };
        self.change(collection_name, wait, Operation::Upsert(list)).await
    }

    async fn delete(&self, request: Request<DeletePoints>) -> Answer<PointsOperationResponse> {
        let DeletePoints { collection_name, wait, points, shard_key_selector, .. } = request.into_inner();
        let delete = change::DeletePoints { points, shard_key_selector };
        self.change(collection_name, wait, Operation::DeletePoints(delete)).await
    }

    async fn update_vectors(&self, request: Request<UpdatePointVectors>) -> Answer<PointsOperationResponse> {
        let UpdatePointVectors { collection_name, wait, points, shard_key_selector, update_filter, .. } =
            request.into_inner();
        let update = change::UpdateVectors { points, shard_key_selector, update_filter };
        self.change(collection_name, wait, Operation::UpdateVectors(update)).await
    }

    async fn delete_vectors(&self, request: Request<DeletePointVectors>) -> Answer<PointsOperationResponse> {
        let DeletePointVectors { collection_name, wait, points_selector, vectors, shard_key_selector, .. } =
            request.into_inner();
        let delete = change::DeleteVectors { points_selector, vectors, shard_key_selector };
        self.change(collection_name, wait, Operation::DeleteVectors(delete)).await
    }

    async fn set_payload(&self, request: Request<SetPayloadPoints>) -> Answer<PointsOperationResponse> {
        let SetPayloadPoints { collection_name, wait, payload, points_selector, shard_key_selector, key, .. } =
            request.into_inner();
        let set = change::SetPayload { payload, points_selector, shard_key_selector, key };
        self.change(collection_name, wait, Operation::SetPayload(set)).await
    }

    async fn overwrite_payload(&self, request: Request<SetPayloadPoints>) -> Answer<PointsOperationResponse> {
        let SetPayloadPoints { collection_name, wait, payload, points_selector, shard_key_selector, key, .. } =
            request.into_inner();
        let set = change::OverwritePayload { payload, points_selector, shard_key_selector, key };
        self.change(collection_name, wait, Operation::OverwritePayload(set)).await
    }

    async fn delete_payload(&self, request: Request<DeletePayloadPoints>) -> Answer<PointsOperationResponse> {
        let DeletePayloadPoints { collection_name, wait, keys, points_selector, shard_key_selector, .. } =
            request.into_inner();
        let delete = change::DeletePayload { keys, points_selector, shard_key_selector };
        self.change(collection_name, wait, Operation::DeletePayload(delete)).await
    }

    async fn clear_payload(&self, request: Request<ClearPayloadPoints>) -> Answer<PointsOperationResponse> {
        let ClearPayloadPoints { collection_name, wait, points, shard_key_selector, .. } = request.into_inner();
        let clear = change::ClearPayload { points, shard_key_selector };
        self.change(collection_name, wait, Operation::ClearPayload(clear)).await
    }

    async fn update_batch(&self, request: Request<UpdateBatchPoints>) -> Answer<UpdateBatchResponse> {
        let started = Instant::now();
        let UpdateBatchPoints { collection_name, wait, operations, .. } = request.into_inner();
        let operations = operations.into_iter().map(|operation| operation.operation);
        let operations = operations.collect::<Option<Vec<_>>>().ok_or_else(|| wrong("an operation is empty"))?;
        let numbers = self.blocking(move |catalog| {
            let collection = catalog.get(&collection_name)?;
            operations.into_iter().map(|operation| collection.change(operation)).collect::<Result<Vec<_>, _>>()
        });
        let result = numbers.await?.into_iter().map(|number| updated(number, wait)).collect();
        Ok(Response::new(UpdateBatchResponse { result, time: seconds(started), usage: None }))
    }

    async fn create_field_index(
        &self,
        request: Request<CreateFieldIndexCollection>,
    ) -> Answer<PointsOperationResponse> {
        let request = request.into_inner();
        let field_schema = Some(payload_index::schema(request.field_type, request.field_index_params)?);
        let create = CreateIndex { field_name: path(&request.field_name)?, field_schema };
        self.index(request.collection_name, request.wait, FieldIndexOperations::CreateIndex(create)).await
    }

    async fn delete_field_index(
        &self,
        request: Request<DeleteFieldIndexCollection>,
    ) -> Answer<PointsOperationResponse> {
        let request = request.into_inner();
        let delete = FieldIndexOperations::DeleteIndex(path(&request.field_name)?);
        self.index(request.collection_name, request.wait, delete).await
    }

    async fn get(&self, request: Request<GetPoints>) -> Answer<GetResponse> {
        let (started, request) = (Instant::now(), request.into_inner());
        let name = request.collection_name.clone();
        let result = self.read(name, move |shard| reading::points(shard, request)).await?;
        Ok(Response::new(GetResponse { result, time: seconds(started), usage: None }))
    }

    async fn scroll(&self, request: Request<ScrollPoints>) -> Answer<ScrollResponse> {
        let (started, request) = (Instant::now(), request.into_inner());
        let name = request.collection_name.clone();
        let (result, next_page_offset) = self.read(name, move |shard| reading::page(shard, request)).await?;
        Ok(Response::new(ScrollResponse { next_page_offset, result, time: seconds(started), usage: None }))
    }

    async fn count(&self, request: Request<CountPoints>) -> Answer<CountResponse> {
        let (started, request) = (Instant::now(), request.into_inner());
        let name = request.collection_name.clone();
        let count = self.read(name, move |shard| reading::count(shard, request)).await?;
        Ok(Response::new(CountResponse { result: Some(CountResult { count }), time: seconds(started), usage: None }))
    }

    async fn facet(&self, request: Request<FacetCounts>) -> Answer<FacetResponse> {
        let (started, request) = (Instant::now(), request.into_inner());
        let name = request.collection_name.clone();
        let hits = self.read(name, move |shard| reading::facet(shard, request)).await?;
        Ok(Response::new(FacetResponse { hits, time: seconds(started), usage: None }))
    }

    async fn query(&self, request: Request<QueryPoints>) -> Answer<QueryResponse> {
        let (started, request) = (Instant::now(), request.into_inner());
        let name = request.collection_name.clone();
        let result = self.read(name, move |shard| reading::search(shard, request)).await?;
        Ok(Response::new(QueryResponse { result, time: seconds(started), usage: None }))
    }

    async fn query_batch(&self, request: Request<QueryBatchPoints>) -> Answer<QueryBatchResponse> {
        let (started, request) = (Instant::now(), request.into_inner());
        let result = self.searches(request.collection_name, request.query_points).await?;
        Ok(Response::new(QueryBatchResponse { result, time: seconds(started), usage: None }))
    }

    async fn search(&self, request: Request<SearchPoints>) -> Answer<SearchResponse> {
        let (started, request) = (Instant::now(), query::from_search(request.into_inner()));
        let name = request.collection_name.clone();
        let result = self.read(name, move |shard| reading::search(shard, request)).await?;
        Ok(Response::new(SearchResponse { result, time: seconds(started), usage: None }))
    }

    async fn search_batch(&self, request: Request<SearchBatchPoints>) -> Answer<SearchBatchResponse> {
        let (started, request) = (Instant::now(), request.into_inner());
        let searches = request.search_points.into_iter().map(query::from_search).collect();
        let result = self.searches(request.collection_name, searches).await?;
        Ok(Response::new(SearchBatchResponse { result, time: seconds(started), usage: None }))
    }

    async fn create_vector_name(&self, _: Request<CreateVectorNameRequest>) -> Answer<PointsOperationResponse> {
        Err(unsupported("adding vectors to a collection"))
    }

    async fn delete_vector_name(&self, _: Request<DeleteVectorNameRequest>) -> Answer<PointsOperationResponse> {
        Err(unsupported("dropping vectors from a collection"))
    }

    async fn search_groups(&self, _: Request<SearchPointGroups>) -> Answer<SearchGroupsResponse> {
        Err(unsupported("groups"))
    }

    async fn query_groups(&self, _: Request<QueryPointGroups>) -> Answer<QueryGroupsResponse> {
        Err(unsupported("groups"))
    }

    async fn recommend(&self, _: Request<RecommendPoints>) -> Answer<RecommendResponse> {
        Err(unsupported("the older recommend request (use query)"))
    }

    async fn recommend_batch(&self, _: Request<RecommendBatchPoints>) -> Answer<RecommendBatchResponse> {
        Err(unsupported("the older recommend request (use query)"))
    }

    async fn recommend_groups(&self, _: Request<RecommendPointGroups>) -> Answer<RecommendGroupsResponse> {
        Err(unsupported("groups"))
    }

    async fn discover(&self, _: Request<DiscoverPoints>) -> Answer<DiscoverResponse> {
        Err(unsupported("discovery"))
    }

    async fn discover_batch(&self, _: Request<DiscoverBatchPoints>) -> Answer<DiscoverBatchResponse> {
        Err(unsupported("discovery"))
    }

    async fn search_matrix_pairs(&self, _: Request<SearchMatrixPoints>) -> Answer<SearchMatrixPairsResponse> {
        Err(unsupported("distance matrices"))
    }

    async fn search_matrix_offsets(&self, _: Request<SearchMatrixPoints>) -> Answer<SearchMatrixOffsetsResponse> {
        Err(unsupported("distance matrices"))
    }
}

impl Api {
    async fn index(
        &self,
        collection: String,
        wait: Option<bool>,
        change: FieldIndexOperations,
    ) -> Answer<PointsOperationResponse> {
        let started = Instant::now();
        let number = self.blocking(move |catalog| catalog.get(&collection)?.index(change)).await?;
        let result = Some(updated(number, wait));
        Ok(Response::new(PointsOperationResponse { result, time: seconds(started), usage: None }))
    }

    async fn searches(&self, collection: String, searches: Vec<QueryPoints>) -> Result<Vec<BatchResult>, Status> {
        let one_by_one = |shard: &_| {
            let results = searches.into_iter().map(|search| reading::search(shard, search));
            results.map(|result| Ok(BatchResult { result: result? })).collect()
        };
        self.read(collection, one_by_one).await
    }
}

fn seconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64()
}
