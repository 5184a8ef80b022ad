//! The brokers in answers of Kafka's protocol (<https://kafka.apache.org/protocol>), as far as this client library and
//! broker use it: metadata in the encoding with compact arrays, one coordinator in the one without.

use anyhow::{Context as _, ensure};

/// The first version of metadata with compact arrays.
const FIRST_COMPACT_METADATA: i16 = 9;
/// The last version of an answer with one coordinator that ends with its port.
const LAST_PLAIN_COORDINATOR: i16 = 2;

/// Correlation id, no tagged fields, and throttle time.
const METADATA_HEADER_BYTES: usize = 4 + 1 + 4;

/// Replaces the list of brokers in an answer with metadata by an empty one.
pub(super) fn hide_brokers(answer: &mut Vec<u8>, version: i16) -> anyhow::Result<()> {
    let (_, end) = find_brokers(answer, version)?;
    // A compact array begins with the number of its elements plus one.
    answer.splice(METADATA_HEADER_BYTES..end, [1]);
    Ok(())
}

/// Replaces the port of each broker in an answer with metadata.
pub(super) fn replace_broker_port(answer: &mut [u8], version: i16, port: u16) -> anyhow::Result<()> {
    let (ports, _) = find_brokers(answer, version)?;
    for at in ports {
        answer[at..at + 4].copy_from_slice(&i32::from(port).to_be_bytes());
    }
    Ok(())
}

/// Replaces the port in an answer with a coordinator.
pub(super) fn replace_coordinator_port(answer: &mut [u8], version: i16, port: u16) -> anyhow::Result<()> {
    ensure!(version <= LAST_PLAIN_COORDINATOR, "the proxy does not know coordinators of version {version}");
    let found = answer.last_chunk_mut::<4>().context("the answer is too short")?;
    // Without a coordinator it is -1.
    if i32::from_be_bytes(*found) > 0 {
        *found = i32::from(port).to_be_bytes();
    }
    Ok(())
}

/// Where the port of each broker in an answer with metadata begins, and where the list of brokers ends.
fn find_brokers(answer: &[u8], version: i16) -> anyhow::Result<(Vec<usize>, usize)> {
    ensure!(version >= FIRST_COMPACT_METADATA, "the proxy does not know metadata of version {version}");
    let mut at = METADATA_HEADER_BYTES;
    let count = read_varint(answer, &mut at)?.saturating_sub(1);
    let mut ports = vec![];
    for _ in 0..count {
        at += 4;
        skip_text(answer, &mut at)?;
        ports.push(at);
        at += 4;
        skip_text(answer, &mut at)?;
        ensure!(read_varint(answer, &mut at)? == 0, "the proxy does not know tagged fields of a broker");
    }
    ensure!(at <= answer.len(), "the list of brokers is truncated");
    Ok((ports, at))
}

/// Skips a compact text, which begins with its length plus one, or with zero if there is none.
fn skip_text(answer: &[u8], at: &mut usize) -> anyhow::Result<()> {
    *at += read_varint(answer, at)?.saturating_sub(1);
    Ok(())
}

/// Reads an unsigned number of which each byte holds seven bits, the lowest first.
fn read_varint(answer: &[u8], at: &mut usize) -> anyhow::Result<usize> {
    let mut value = 0;
    for shift in (0..28).step_by(7) {
        let byte = *answer.get(*at).context("the list of brokers is truncated")?;
        *at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    anyhow::bail!("a length in the list of brokers is too large")
}
