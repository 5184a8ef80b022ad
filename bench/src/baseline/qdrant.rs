//! Qdrant: upserts the same points with its client.

use std::time::{Duration, Instant};

use projections::runtime::ReadModelGeneration;
use qdrant_client::{
    Qdrant,
    qdrant::{
        CreateCollectionBuilder, PointId, PointStruct, RetrievedPoint, ScrollPointsBuilder, UpsertPointsBuilder,
        Vectors, VectorsOutput, vectors_output::VectorsOptions,
    },
};

use super::BaselineRun;
use crate::bench_environment::BenchEnvironment;

/// Points per call.
const UPSERT_POINTS: u32 = 500;

pub(super) async fn write_baseline(
    environment: &BenchEnvironment,
    generation: ReadModelGeneration,
) -> anyhow::Result<BaselineRun> {
    let client = Qdrant::from_url(&environment.config.qdrant.url).skip_compatibility_check().build()?;
    let (from, to) =
        (format!("{}_opportunities_{generation}", environment.name_prefix), format!("{}_raw", environment.name_prefix));
    let outcome = Box::pin(copy_points(&client, &from, &to)).await;
    Box::pin(client.delete_collection(&to)).await?;
    let (elapsed, rows) = outcome?;
    Ok(BaselineRun {
        elapsed,
        rows,
        description: "upserts of the same points by the plain client, 500 points each, without indexes",
    })
}

async fn copy_points(client: &Qdrant, from: &str, to: &str) -> anyhow::Result<(Duration, u64)> {
    let info = client.collection_info(from).await?;
    let params = info.result.and_then(|info| info.config).and_then(|config| config.params).unwrap_or_default();
    let mut create = CreateCollectionBuilder::new(to);
    if let Some(config) = params.vectors_config.and_then(|vectors| vectors.config) {
        create = create.vectors_config(config);
    }
    if let Some(sparse) = params.sparse_vectors_config {
        create = create.sparse_vectors_config(sparse);
    }
    client.create_collection(create).await?;
    let (mut elapsed, mut rows, mut offset) = (Duration::ZERO, 0, None);
    loop {
        let mut scroll = ScrollPointsBuilder::new(from).limit(UPSERT_POINTS).with_payload(true).with_vectors(true);
        if let Some(from) = offset.take() {
            scroll = scroll.offset::<PointId>(from);
        }
        let page = client.scroll(scroll).await?;
        let points: Vec<_> = page.result.into_iter().map(to_point_struct).collect();
        rows += points.len() as u64;
        let started = Instant::now();
        if !points.is_empty() {
            client.upsert_points(UpsertPointsBuilder::new(to, points).wait(true)).await?;
        }
        elapsed += started.elapsed();
        match page.next_page_offset {
            Some(next) => offset = Some(next),
            None => return Ok((elapsed, rows)),
        }
    }
}

fn to_point_struct(point: RetrievedPoint) -> PointStruct {
    let vectors = point.vectors.and_then(to_input_vectors);
    PointStruct { id: point.id, vectors, payload: point.payload }
}

/// Converts vectors of a response to vectors of a request.
fn to_input_vectors(vectors: VectorsOutput) -> Option<Vectors> {
    use qdrant_client::qdrant::{NamedVectors, vector, vector_output, vectors};
    let convert_vector = |output: qdrant_client::qdrant::VectorOutput| {
        let vector = match output.vector? {
            vector_output::Vector::Dense(dense) => vector::Vector::Dense(dense),
            vector_output::Vector::Sparse(sparse) => vector::Vector::Sparse(sparse),
            vector_output::Vector::MultiDense(multi) => vector::Vector::MultiDense(multi),
        };
        Some(qdrant_client::qdrant::Vector { vector: Some(vector), ..qdrant_client::qdrant::Vector::default() })
    };
    let options = match vectors.vectors_options? {
        VectorsOptions::Vector(vector) => vectors::VectorsOptions::Vector(convert_vector(vector)?),
        VectorsOptions::Vectors(named) => {
            let vectors = named.vectors.into_iter().filter_map(|(name, vector)| Some((name, convert_vector(vector)?)));
            vectors::VectorsOptions::Vectors(NamedVectors { vectors: vectors.collect() })
        }
    };
    Some(Vectors { vectors_options: Some(options) })
}
