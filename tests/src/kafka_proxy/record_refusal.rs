//! Requests of Kafka's protocol (<https://kafka.apache.org/protocol>) that write records, changed so that the broker refuses
//! them: it does not know the partition, which the client library treats as a broker that does not lead it yet.

use anyhow::{Context as _, bail, ensure};

/// The first version of the request with compact strings and arrays.
const FIRST_COMPACT: i16 = 9;
/// The first version that names topics by their ids.
const FIRST_WITH_TOPIC_IDS: i16 = 13;

/// Key, version and correlation id.
const HEADER_BYTES: usize = 2 + 2 + 4;
/// Acknowledgements and timeout.
const SETTINGS_BYTES: usize = 2 + 4;

/// A partition that no topic of a test has.
const UNKNOWN_PARTITION: i32 = 4_095;

/// Replaces the partition for which a request has records.
pub(super) fn misdirect_records(request: &mut [u8], version: i16) -> anyhow::Result<()> {
    ensure!(version < FIRST_WITH_TOPIC_IDS, "the proxy does not know requests with records of version {version}");
    let at = find_partition(request, version).context("the request with records is too short")?;
    let partition = request.get_mut(at..at + 4).context("the request with records has none")?;
    if !(0..UNKNOWN_PARTITION).contains(&i32::from_be_bytes(partition.try_into()?)) {
        bail!("the proxy finds no partition in a request of version {version}");
    }
    partition.copy_from_slice(&UNKNOWN_PARTITION.to_be_bytes());
    Ok(())
}

/// Where the number of the first topic's first partition is.
fn find_partition(request: &[u8], version: i16) -> Option<usize> {
    let client_name = skip_string(request, HEADER_BYTES)?;
    if version < FIRST_COMPACT {
        let topics = skip_string(request, client_name)? + SETTINGS_BYTES;
        return Some(skip_string(request, topics + 4)? + 4);
    }
    // No tagged fields, and no transaction; the lengths below are numbers of one byte each.
    let topic_name = client_name + 1 + 1 + SETTINGS_BYTES + 1;
    let length = usize::from(request.get(topic_name)?.checked_sub(1)?);
    Some(topic_name + 1 + length + 1)
}

/// The end of a string with a length of two bytes, which is -1 for none.
fn skip_string(request: &[u8], at: usize) -> Option<usize> {
    let length = i16::from_be_bytes(*request.get(at..)?.first_chunk()?);
    Some(at + 2 + usize::try_from(length).unwrap_or_default())
}
