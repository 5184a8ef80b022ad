//! Messages of the `y-websocket` protocol: one or more in each binary WebSocket message.

use std::collections::HashMap;

use yrs::{
    StateVector, Update,
    block::ClientID,
    sync::{AwarenessUpdate, Message, SyncMessage, awareness::AwarenessUpdateEntry},
    updates::encoder::Encode,
};

use crate::{error::RefusedUpdate, wire_reader::WireReader};

/// The tags of messages.
mod message_tag {
    pub(super) const SYNC: u64 = 0;
    pub(super) const AWARENESS: u64 = 1;
    pub(super) const AWARENESS_QUERY: u64 = 3;
    pub(super) const SYNC_STEP_1: u64 = 0;
    pub(super) const SYNC_STEP_2: u64 = 1;
    pub(super) const SYNC_UPDATE: u64 = 2;
}

/// A message of an editor.
#[derive(Debug, PartialEq)]
pub(crate) enum EditorMessage {
    /// The editor's state; the room replies with the updates that it lacks.
    SyncStep1(StateVector),
    /// An update, encoded: it is inspected before it is decoded.
    Update(Vec<u8>),
    /// Awareness of the editor.
    Awareness(AwarenessUpdate),
    /// Requests the awareness of all editors.
    AwarenessQuery,
}

/// Reads the messages in a WebSocket message.
///
/// # Errors
/// [`RefusedUpdate::Malformed`] when the bytes are not complete messages of the protocol.
pub(crate) fn read_messages(bytes: &[u8]) -> Result<Vec<EditorMessage>, RefusedUpdate> {
    let (mut reader, mut messages) = (WireReader::new(bytes), Vec::new());
    while !reader.is_at_end() {
        messages.push(match reader.read_number()? {
            message_tag::SYNC => match reader.read_number()? {
                message_tag::SYNC_STEP_1 => EditorMessage::SyncStep1(read_state_vector(reader.read_bytes()?)?),
                message_tag::SYNC_STEP_2 | message_tag::SYNC_UPDATE => {
                    EditorMessage::Update(reader.read_bytes()?.to_vec())
                }
                _ => return Err(RefusedUpdate::Malformed),
            },
            message_tag::AWARENESS => EditorMessage::Awareness(read_awareness(reader.read_bytes()?)?),
            message_tag::AWARENESS_QUERY => EditorMessage::AwarenessQuery,
            _ => return Err(RefusedUpdate::Malformed),
        });
    }
    if messages.is_empty() { Err(RefusedUpdate::Malformed) } else { Ok(messages) }
}

/// Reads a state vector: the next clock of each client.
fn read_state_vector(bytes: &[u8]) -> Result<StateVector, RefusedUpdate> {
    let mut reader = WireReader::new(bytes);
    let clocks: Result<Vec<_>, _> =
        (0..reader.read_count(2)?).map(|_| Ok((ClientID::new(reader.read_number()?), reader.read_clock()?))).collect();
    reader.finish()?;
    Ok(clocks?.into_iter().collect())
}

/// Reads an awareness update.
///
/// # Errors
/// [`RefusedUpdate::Malformed`] when the bytes are not an awareness update.
pub(crate) fn read_awareness(bytes: &[u8]) -> Result<AwarenessUpdate, RefusedUpdate> {
    let mut reader = WireReader::new(bytes);
    let entries: Result<HashMap<_, _>, _> = (0..reader.read_count(3)?)
        .map(|_| {
            let editor = ClientID::new(reader.read_number()?);
            let clock = reader.read_clock()?;
            Ok((editor, AwarenessUpdateEntry { clock, json: reader.read_text()?.into() }))
        })
        .collect();
    reader.finish()?;
    Ok(AwarenessUpdate { clients: entries? })
}

/// Encodes an empty update: providers close a connection without messages.
pub(crate) fn encode_keep_alive() -> Vec<u8> {
    encode_update(Update::EMPTY_V1.to_vec())
}

/// Encodes a request for the updates that are missing from `known`.
pub(crate) fn encode_sync_step_1(known: StateVector) -> Vec<u8> {
    Message::Sync(SyncMessage::SyncStep1(known)).encode_v1()
}

/// Encodes the reply to a request for missing updates.
pub(crate) fn encode_sync_step_2(update: Vec<u8>) -> Vec<u8> {
    Message::Sync(SyncMessage::SyncStep2(update)).encode_v1()
}

/// Encodes an update.
pub(crate) fn encode_update(update: Vec<u8>) -> Vec<u8> {
    Message::Sync(SyncMessage::Update(update)).encode_v1()
}

/// Encodes an awareness update.
pub(crate) fn encode_awareness(update: AwarenessUpdate) -> Vec<u8> {
    Message::Awareness(update).encode_v1()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn encoded_messages_are_read_back() {
        let both = [encode_update(vec![0, 0]), encode_sync_step_1(StateVector::default())].concat();
        assert_eq!(
            read_messages(&both).unwrap(),
            [EditorMessage::Update(vec![0, 0]), EditorMessage::SyncStep1(StateVector::default())]
        );
        assert_eq!(read_messages(&encode_sync_step_2(vec![0, 0])).unwrap(), [EditorMessage::Update(vec![0, 0])]);
        assert_eq!(read_messages(&[3]).unwrap(), [EditorMessage::AwarenessQuery]);
    }

    #[test]
    fn malformed_messages_are_refused() {
        for bytes in [&b""[..], b"hello", &[0, 9], &[2, 0], &[100, 1, 1], &[0, 0, 5, 1], &[3, 0], &[0, 2, 2, 0]] {
            assert_eq!(read_messages(bytes), Err(RefusedUpdate::Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn declared_counts_are_checked_before_allocation() {
        const MANY: [u8; 4] = [0xff, 0xff, 0xff, 0x3e];
        let state_vector = [&[0, 0, 4][..], &MANY].concat();
        let awareness = [&[1, 4][..], &MANY].concat();
        for bytes in [state_vector, awareness] {
            assert_eq!(read_messages(&bytes), Err(RefusedUpdate::Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn awareness_and_state_vectors_are_read_back() {
        let entry = AwarenessUpdateEntry { clock: 3, json: r#"{"name":"Ånn"}"#.into() };
        let update = AwarenessUpdate { clients: HashMap::from([(ClientID::new((1 << 53) - 1), entry)]) };
        assert_eq!(read_messages(&encode_awareness(update.clone())).unwrap(), [EditorMessage::Awareness(update)]);
        let known: StateVector = [(ClientID::new(7), 300), (ClientID::new(1 << 40), 0x7fff_ffff)].into_iter().collect();
        assert_eq!(read_messages(&encode_sync_step_1(known.clone())).unwrap(), [EditorMessage::SyncStep1(known)]);
    }

    proptest! {
        #[test]
        fn reading_arbitrary_bytes_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read_messages(&bytes);
        }
    }
}
