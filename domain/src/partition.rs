//! Assigns aggregates to the partitions of their topic.

/// The partition of an aggregate. Same result as Kafka's default partitioner, so that producers in any language agree.
///
/// The relay assigns partitions explicitly because after a crash it must know on which partition to look for an event.
pub fn partition_for_key(aggregate_id: &str, partitions: i32) -> i32 {
    let positive = murmur2(aggregate_id.as_bytes()) & 0x7fff_ffff;
    let partition = positive % partitions.max(1).unsigned_abs();
    i32::try_from(partition).unwrap_or_default()
}

/// `MurmurHash2` (Austin Appleby, public domain) with the seed of Kafka's Java client.
fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_b28c ^ length;
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = chunk.iter().rev().fold(0_u32, |k, byte| (k << 8) | u32::from(*byte));
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0_u32, |k, byte| (k << 8) | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_agree_with_the_java_client() {
        // Values of org.apache.kafka.common.utils.Utils.murmur2, from Kafka's own UtilsTest.
        for (text, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ] {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn every_partition_is_within_range() {
        for n in 0..1_000 {
            assert!((0..7).contains(&partition_for_key(&format!("097:{n}"), 7)));
        }
    }
}
