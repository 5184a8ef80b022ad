//! Redis: writes the same values in pipelines of plain commands.

use std::time::{Duration, Instant};

use projections::runtime::ReadModelGeneration;
use redis::{Pipeline, aio::MultiplexedConnection};

use super::BaselineRun;
use crate::bench_environment::BenchEnvironment;

/// Commands per pipeline.
const PIPELINE_COMMANDS: usize = 500;

pub(super) async fn write_baseline(
    environment: &BenchEnvironment,
    generation: ReadModelGeneration,
) -> anyhow::Result<BaselineRun> {
    let client = environment.config.redis.open_client()?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let (from, to) =
        (format!("{}:{generation}:", environment.name_prefix), format!("{}:raw:", environment.name_prefix));
    let (mut elapsed, mut rows, mut cursor) = (Duration::ZERO, 0, 0_u64);
    loop {
        let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(format!("{from}*"))
            .arg("COUNT")
            .arg(1_000)
            .query_async(&mut connection)
            .await?;
        for keys in keys.chunks(PIPELINE_COMMANDS) {
            let pipeline = build_copy_pipeline(&mut connection, keys, &from, &to).await?;
            rows += keys.len() as u64;
            let started = Instant::now();
            pipeline.exec_async(&mut connection).await?;
            elapsed += started.elapsed();
            unlink_copies(&mut connection, keys, &from, &to).await?;
        }
        cursor = next;
        if cursor == 0 {
            return Ok(BaselineRun {
                elapsed,
                rows,
                description: "pipelines of 500 HSET, ZADD and SET with the same values",
            });
        }
    }
}

/// Returns commands that write the same values under other keys.
async fn build_copy_pipeline(
    connection: &mut MultiplexedConnection,
    keys: &[String],
    from: &str,
    to: &str,
) -> anyhow::Result<Pipeline> {
    let mut kinds = redis::pipe();
    for key in keys {
        kinds.cmd("TYPE").arg(key);
    }
    let kinds: Vec<String> = kinds.query_async(connection).await?;
    let mut pipeline = redis::pipe();
    for (key, kind) in keys.iter().zip(kinds) {
        let copy = key.replacen(from, to, 1);
        match kind.as_str() {
            "hash" => {
                let fields: Vec<(String, Vec<u8>)> = redis::cmd("HGETALL").arg(key).query_async(connection).await?;
                pipeline.cmd("HSET").arg(copy);
                for (field, value) in fields {
                    pipeline.arg(field).arg(value);
                }
                pipeline.ignore();
            }
            "zset" => {
                let members: Vec<(Vec<u8>, f64)> =
                    redis::cmd("ZRANGE").arg(key).arg(0).arg(-1).arg("WITHSCORES").query_async(connection).await?;
                pipeline.cmd("ZADD").arg(copy);
                for (member, score) in members {
                    pipeline.arg(score).arg(member);
                }
                pipeline.ignore();
            }
            "string" => {
                let value: Vec<u8> = redis::cmd("GET").arg(key).query_async(connection).await?;
                pipeline.cmd("SET").arg(copy).arg(value).ignore();
            }
            "set" => {
                let members: Vec<Vec<u8>> = redis::cmd("SMEMBERS").arg(key).query_async(connection).await?;
                pipeline.cmd("SADD").arg(copy).arg(members).ignore();
            }
            other => anyhow::bail!("{key} has the unexpected type {other}"),
        }
    }
    Ok(pipeline)
}

async fn unlink_copies(
    connection: &mut MultiplexedConnection,
    keys: &[String],
    from: &str,
    to: &str,
) -> anyhow::Result<()> {
    let copies: Vec<_> = keys.iter().map(|key| key.replacen(from, to, 1)).collect();
    redis::cmd("UNLINK").arg(copies).exec_async(connection).await?;
    Ok(())
}
