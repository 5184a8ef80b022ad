//! A collection's settings, as they are asked for and as they are told.

use std::collections::HashMap;

use qdrant_client::qdrant::{self, vectors_config::Config};
use qdrant_edge::{
    DEFAULT_VECTOR_NAME, Distance, EdgeConfig, EdgeOptimizersConfig, EdgeSparseVectorParams, EdgeVectorParams,
    HnswIndexConfig, Modifier, MultiVectorComparator, MultiVectorConfig, VectorStorageDatatype,
};
use tonic::Status;

use super::{member, size};
use crate::qdrant::refusal::{unsupported, wrong};

/// From so many kilobytes of vectors in a segment on, the engine builds a graph over them, unless the client says
/// otherwise. Ten times and more what a server takes: below it, comparing all takes milliseconds, and a development
/// machine has better uses for the minutes that building takes.
const INDEXING_THRESHOLD_KB: usize = 200_000;

/// The engine's settings for a new collection. Shard and replica numbers and hints on memory and disk change no answer
/// of a single node and are not kept.
pub(crate) fn to_engine(create: qdrant::CreateCollection) -> Result<EdgeConfig, Status> {
    if create.quantization_config.is_some() {
        return Err(unsupported("quantization"));
    }
    if create.strict_mode_config.is_some_and(|strict| strict.enabled == Some(true)) {
        return Err(unsupported("strict mode"));
    }
    if !create.metadata.is_empty() {
        return Err(unsupported("metadata of collections"));
    }
    let vectors = match create.vectors_config.and_then(|vectors| vectors.config) {
        None => HashMap::new(),
        Some(Config::Params(params)) => HashMap::from([(DEFAULT_VECTOR_NAME.to_owned(), params)]),
        Some(Config::ParamsMap(named)) => named.map,
    };
    let sparse = create.sparse_vectors_config.map(|sparse| sparse.map).unwrap_or_default();
    Ok(EdgeConfig {
        vectors: vectors.into_iter().map(|(name, params)| Ok((name, dense(params)?))).collect::<Result<_, Status>>()?,
        sparse_vectors: sparse
            .into_iter()
            .map(|(name, params)| Ok((name, self::sparse(params)?)))
            .collect::<Result<_, Status>>()?,
        hnsw_config: create.hnsw_config.map(hnsw).transpose()?.unwrap_or_default(),
        optimizers: optimizers(create.optimizers_config.unwrap_or_default())?,
        ..EdgeConfig::default()
    })
}

fn dense(params: qdrant::VectorParams) -> Result<EdgeVectorParams, Status> {
    if params.quantization_config.is_some() {
        return Err(unsupported("quantization"));
    }
    if params.size == 0 {
        return Err(wrong("the size of a vector is 0"));
    }
    let distance = match member(params.distance)? {
        qdrant::Distance::UnknownDistance => return Err(wrong("a vector has no distance")),
        qdrant::Distance::Cosine => Distance::Cosine,
        qdrant::Distance::Euclid => Distance::Euclid,
        qdrant::Distance::Dot => Distance::Dot,
        qdrant::Distance::Manhattan => Distance::Manhattan,
    };
    let multivector_config = match params.multivector_config {
        None => None,
        Some(config) => match member(config.comparator)? {
            qdrant::MultiVectorComparator::MaxSim => {
                Some(MultiVectorConfig { comparator: MultiVectorComparator::MaxSim })
            }
        },
    };
    Ok(EdgeVectorParams {
        size: size(params.size)?,
        distance,
        on_disk: None,
        multivector_config,
        datatype: params.datatype.map(datatype).transpose()?.flatten(),
        quantization_config: None,
        hnsw_config: params.hnsw_config.map(hnsw).transpose()?,
    })
}

fn sparse(params: qdrant::SparseVectorParams) -> Result<EdgeSparseVectorParams, Status> {
    let index = params.index.unwrap_or_default();
    let modifier = params.modifier.map(member::<qdrant::Modifier>).transpose()?.map(|modifier| match modifier {
        qdrant::Modifier::None => Modifier::None,
        qdrant::Modifier::Idf => Modifier::Idf,
    });
    Ok(EdgeSparseVectorParams {
        full_scan_threshold: index.full_scan_threshold.map(size).transpose()?,
        on_disk: None,
        modifier,
        datatype: index.datatype.map(datatype).transpose()?.flatten(),
    })
}

fn datatype(number: i32) -> Result<Option<VectorStorageDatatype>, Status> {
    Ok(match member(number)? {
        qdrant::Datatype::Default => None,
        qdrant::Datatype::Float32 => Some(VectorStorageDatatype::Float32),
        qdrant::Datatype::Uint8 => Some(VectorStorageDatatype::Uint8),
        qdrant::Datatype::Float16 => Some(VectorStorageDatatype::Float16),
        qdrant::Datatype::Turbo4 | qdrant::Datatype::Turbo8 | qdrant::Datatype::Turbo16 => {
            return Err(unsupported("turbo data types"));
        }
    })
}

fn hnsw(diff: qdrant::HnswConfigDiff) -> Result<HnswIndexConfig, Status> {
    let usual = HnswIndexConfig::default();
    let or = |given: Option<u64>, usual: usize| given.map_or(Ok(usual), size);
    Ok(HnswIndexConfig {
        m: or(diff.m, usual.m)?,
        ef_construct: or(diff.ef_construct, usual.ef_construct)?,
        full_scan_threshold: or(diff.full_scan_threshold, usual.full_scan_threshold)?,
        max_indexing_threads: or(diff.max_indexing_threads, usual.max_indexing_threads)?,
        payload_m: diff.payload_m.map(size).transpose()?,
        ..usual
    })
}

fn optimizers(diff: qdrant::OptimizersConfigDiff) -> Result<EdgeOptimizersConfig, Status> {
    if diff.prevent_unoptimized == Some(true) {
        return Err(unsupported("prevent_unoptimized"));
    }
    let whole = |number: Option<u64>| number.map(size).transpose();
    Ok(EdgeOptimizersConfig {
        deleted_threshold: diff.deleted_threshold,
        vacuum_min_vector_number: whole(diff.vacuum_min_vector_number)?,
        default_segment_number: whole(diff.default_segment_number)?,
        max_segment_size: whole(diff.max_segment_size)?,
        indexing_threshold: whole(diff.indexing_threshold)?.or(Some(INDEXING_THRESHOLD_KB)),
        prevent_unoptimized: None,
    })
}

/// The settings of a collection, as a client reads them.
pub(crate) fn to_client(config: &EdgeConfig) -> qdrant::CollectionConfig {
    let mut dense: HashMap<_, _> = config.vectors.iter().map(|(name, params)| (name.clone(), told(params))).collect();
    let vectors = match dense.remove(DEFAULT_VECTOR_NAME) {
        Some(only) if dense.is_empty() => Config::Params(only),
        unnamed => {
            dense.extend(unnamed.map(|params| (DEFAULT_VECTOR_NAME.to_owned(), params)));
            Config::ParamsMap(qdrant::VectorParamsMap { map: dense })
        }
    };
    let sparse: HashMap<_, _> =
        config.sparse_vectors.iter().map(|(name, params)| (name.clone(), told_sparse(params))).collect();
    let hnsw = &config.hnsw_config;
    qdrant::CollectionConfig {
        params: Some(qdrant::CollectionParams {
            shard_number: 1,
            replication_factor: Some(1),
            write_consistency_factor: Some(1),
            vectors_config: Some(qdrant::VectorsConfig { config: Some(vectors) }),
            sparse_vectors_config: (!sparse.is_empty()).then_some(qdrant::SparseVectorConfig { map: sparse }),
            ..qdrant::CollectionParams::default()
        }),
        hnsw_config: Some(qdrant::HnswConfigDiff {
            m: Some(hnsw.m as u64),
            ef_construct: Some(hnsw.ef_construct as u64),
            full_scan_threshold: Some(hnsw.full_scan_threshold as u64),
            ..qdrant::HnswConfigDiff::default()
        }),
        ..qdrant::CollectionConfig::default()
    }
}

fn told(params: &EdgeVectorParams) -> qdrant::VectorParams {
    let distance = match params.distance {
        Distance::Cosine => qdrant::Distance::Cosine,
        Distance::Euclid => qdrant::Distance::Euclid,
        Distance::Dot => qdrant::Distance::Dot,
        Distance::Manhattan => qdrant::Distance::Manhattan,
    };
    let multivector_config = params.multivector_config.map(|config| match config.comparator {
        MultiVectorComparator::MaxSim => {
            qdrant::MultiVectorConfig { comparator: qdrant::MultiVectorComparator::MaxSim.into() }
        }
    });
    qdrant::VectorParams {
        size: params.size as u64,
        distance: distance.into(),
        datatype: params.datatype.map(|datatype| told_datatype(datatype).into()),
        multivector_config,
        ..qdrant::VectorParams::default()
    }
}

fn told_sparse(params: &EdgeSparseVectorParams) -> qdrant::SparseVectorParams {
    let modifier = params.modifier.map(|modifier| match modifier {
        Modifier::None => qdrant::Modifier::None.into(),
        Modifier::Idf => qdrant::Modifier::Idf.into(),
    });
    let index = qdrant::SparseIndexConfig {
        full_scan_threshold: params.full_scan_threshold.map(|threshold| threshold as u64),
        datatype: params.datatype.map(|datatype| told_datatype(datatype).into()),
        ..qdrant::SparseIndexConfig::default()
    };
    qdrant::SparseVectorParams { index: Some(index), modifier }
}

fn told_datatype(datatype: VectorStorageDatatype) -> qdrant::Datatype {
    match datatype {
        VectorStorageDatatype::Float32 => qdrant::Datatype::Float32,
        VectorStorageDatatype::Float16 => qdrant::Datatype::Float16,
        VectorStorageDatatype::Uint8 => qdrant::Datatype::Uint8,
        VectorStorageDatatype::Turbo4 => qdrant::Datatype::Turbo4,
    }
}
