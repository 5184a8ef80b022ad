//! The gRPC service of collections.

use qdrant_client::qdrant::{
    AliasDescription, ChangeAliases, CollectionClusterInfoRequest, CollectionClusterInfoResponse,
    CollectionDescription, CollectionExists, CollectionExistsRequest, CollectionExistsResponse, CollectionInfo,
    CollectionOperationResponse, CollectionStatus, CreateCollection, CreateShardKeyRequest, CreateShardKeyResponse,
    DeleteCollection, DeleteShardKeyRequest, DeleteShardKeyResponse, GetCollectionInfoRequest,
    GetCollectionInfoResponse, ListAliasesRequest, ListAliasesResponse, ListCollectionAliasesRequest,
    ListCollectionsRequest, ListCollectionsResponse, ListShardKeysRequest, ListShardKeysResponse, OptimizerStatus,
    UpdateCollection, UpdateCollectionClusterSetupRequest, UpdateCollectionClusterSetupResponse,
    collections_server::Collections,
};
use qdrant_edge::{CountRequest, EdgeShard};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{
    api::Api,
    convert::{payload_index, settings},
    refusal::{status, unsupported, wrong},
};

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Collections for Api {
    async fn get(&self, request: Request<GetCollectionInfoRequest>) -> Answer<GetCollectionInfoResponse> {
        let started = Instant::now();
        let info = self.read(request.into_inner().collection_name, info).await?;
        Ok(Response::new(GetCollectionInfoResponse { result: Some(info), time: seconds(started) }))
    }

    async fn list(&self, _: Request<ListCollectionsRequest>) -> Answer<ListCollectionsResponse> {
        let started = Instant::now();
        let names = self.blocking(|catalog| Ok(catalog.names())).await?;
        let collections = names.into_iter().map(|name| CollectionDescription { name }).collect();
        Ok(Response::new(ListCollectionsResponse { collections, time: seconds(started) }))
    }

    async fn create(&self, request: Request<CreateCollection>) -> Answer<CollectionOperationResponse> {
        let started = Instant::now();
        let request = request.into_inner();
        let name = request.collection_name.clone();
        let config = settings::to_engine(request)?;
        self.blocking(move |catalog| catalog.create(&name, config)).await?;
        Ok(done(true, started))
    }

    async fn update(&self, _: Request<UpdateCollection>) -> Answer<CollectionOperationResponse> {
        Err(unsupported("changing the settings of a collection"))
    }

    async fn delete(&self, request: Request<DeleteCollection>) -> Answer<CollectionOperationResponse> {
        let started = Instant::now();
        let name = request.into_inner().collection_name;
        let existed = self.blocking(move |catalog| catalog.delete(&name)).await?;
        Ok(done(existed, started))
    }

    async fn update_aliases(&self, request: Request<ChangeAliases>) -> Answer<CollectionOperationResponse> {
        let started = Instant::now();
        let actions = request.into_inner().actions.into_iter().map(|action| action.action);
        let actions = actions.collect::<Option<Vec<_>>>().ok_or_else(|| wrong("a change of aliases is empty"))?;
        self.blocking(move |catalog| catalog.change_aliases(actions)).await?;
        Ok(done(true, started))
    }

    async fn list_collection_aliases(
        &self,
        request: Request<ListCollectionAliasesRequest>,
    ) -> Answer<ListAliasesResponse> {
        let name = request.into_inner().collection_name;
        self.aliases(Some(name)).await
    }

    async fn list_aliases(&self, _: Request<ListAliasesRequest>) -> Answer<ListAliasesResponse> {
        self.aliases(None).await
    }

    async fn collection_exists(&self, request: Request<CollectionExistsRequest>) -> Answer<CollectionExistsResponse> {
        let started = Instant::now();
        let name = request.into_inner().collection_name;
        let exists = self.blocking(move |catalog| Ok(catalog.find(&name).is_some())).await?;
        let result = Some(CollectionExists { exists });
        Ok(Response::new(CollectionExistsResponse { result, time: seconds(started) }))
    }

    async fn collection_cluster_info(
        &self,
        _: Request<CollectionClusterInfoRequest>,
    ) -> Answer<CollectionClusterInfoResponse> {
        Err(unsupported("clusters"))
    }

    async fn update_collection_cluster_setup(
        &self,
        _: Request<UpdateCollectionClusterSetupRequest>,
    ) -> Answer<UpdateCollectionClusterSetupResponse> {
        Err(unsupported("clusters"))
    }

    async fn create_shard_key(&self, _: Request<CreateShardKeyRequest>) -> Answer<CreateShardKeyResponse> {
        Err(unsupported("shard keys"))
    }

    async fn delete_shard_key(&self, _: Request<DeleteShardKeyRequest>) -> Answer<DeleteShardKeyResponse> {
        Err(unsupported("shard keys"))
    }

    async fn list_shard_keys(&self, _: Request<ListShardKeysRequest>) -> Answer<ListShardKeysResponse> {
        Err(unsupported("shard keys"))
    }
}

impl Api {
    async fn aliases(&self, of: Option<String>) -> Answer<ListAliasesResponse> {
        let started = Instant::now();
        let aliases = self.blocking(|catalog| Ok(catalog.aliases())).await?;
        let aliases = aliases
            .into_iter()
            .filter(|(_, target)| of.as_ref().is_none_or(|of| of == target))
            .map(|(alias_name, collection_name)| AliasDescription { alias_name, collection_name })
            .collect();
        Ok(Response::new(ListAliasesResponse { aliases, time: seconds(started) }))
    }
}

fn info(shard: &EdgeShard) -> Result<CollectionInfo, Status> {
    let points = shard.count(CountRequest { filter: None, exact: true }).map_err(|error| status(&error))?;
    let info = shard.info();
    let schema = info.payload_schema.iter().map(|(key, index)| (key.to_string(), payload_index::info(index)));
    Ok(CollectionInfo {
        status: CollectionStatus::Green.into(),
        optimizer_status: Some(OptimizerStatus { ok: true, error: String::new() }),
        segments_count: info.segments_count as u64,
        config: Some(settings::to_client(&shard.config())),
        payload_schema: schema.collect(),
        points_count: Some(points as u64),
        indexed_vectors_count: Some(info.indexed_vectors_count as u64),
        ..CollectionInfo::default()
    })
}

fn done(result: bool, started: Instant) -> Response<CollectionOperationResponse> {
    Response::new(CollectionOperationResponse { result, time: seconds(started) })
}

fn seconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64()
}
