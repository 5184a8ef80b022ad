//! The messages of the `y-websocket` protocol: one or more of them in a binary message of the WebSocket.

use std::collections::HashMap;

use yrs::{
    StateVector, Update,
    block::ClientID,
    sync::{AwarenessUpdate, Message, SyncMessage, awareness::AwarenessUpdateEntry},
    updates::encoder::Encode,
};

use crate::{error::RefusedUpdate, wire_reader::WireReader};

/// The numbers by which messages are told apart.
mod message_tag {
    pub(super) const SYNC: u64 = 0;
    pub(super) const AWARENESS: u64 = 1;
    pub(super) const AWARENESS_QUERY: u64 = 3;
    pub(super) const SYNC_STEP_1: u64 = 0;
    pub(super) const SYNC_STEP_2: u64 = 1;
    pub(super) const SYNC_UPDATE: u64 = 2;
}

/// What an editor says.
#[derive(Debug, PartialEq)]
pub(crate) enum EditorMessage {
    /// What it knows, to be told the rest.
    SyncStep1(StateVector),
    /// What it wrote: to be looked through before it is decoded.
    Update(Vec<u8>),
    /// What it tells of itself.
    Awareness(AwarenessUpdate),
    /// It asks what the others tell of themselves.
    AwarenessQuery,
}

/// What is in a message.
///
/// # Errors
/// [`RefusedUpdate::Malformed`] for anything that is not of the protocol, and for what is cut off.
pub(crate) fn read_messages(bytes: &[u8]) -> Result<Vec<EditorMessage>, RefusedUpdate> {
    let (mut reader, mut said) = (WireReader::new(bytes), Vec::new());
    while !reader.is_at_end() {
        said.push(match reader.read_number()? {
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
    if said.is_empty() { Err(RefusedUpdate::Malformed) } else { Ok(said) }
}

/// What an editor knows: the next clock of each client.
fn read_state_vector(bytes: &[u8]) -> Result<StateVector, RefusedUpdate> {
    let mut reader = WireReader::new(bytes);
    let clocks: Result<Vec<_>, _> =
        (0..reader.read_count(2)?).map(|_| Ok((ClientID::new(reader.read_number()?), reader.read_clock()?))).collect();
    reader.finish()?;
    Ok(clocks?.into_iter().collect())
}

/// What editors tell of themselves.
///
/// # Errors
/// [`RefusedUpdate::Malformed`] for anything else.
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

/// Says nothing: providers take a connection without messages for a dead one.
pub(crate) fn encode_keep_alive() -> Vec<u8> {
    encode_update(Update::EMPTY_V1.to_vec())
}

/// Asks an editor for what the room does not know.
pub(crate) fn encode_sync_step_1(known: StateVector) -> Vec<u8> {
    Message::Sync(SyncMessage::SyncStep1(known)).encode_v1()
}

/// Answers an editor that says what it knows.
pub(crate) fn encode_sync_step_2(update: Vec<u8>) -> Vec<u8> {
    Message::Sync(SyncMessage::SyncStep2(update)).encode_v1()
}

/// What somebody wrote.
pub(crate) fn encode_update(update: Vec<u8>) -> Vec<u8> {
    Message::Sync(SyncMessage::Update(update)).encode_v1()
}

/// What editors tell of themselves.
pub(crate) fn encode_awareness(update: AwarenessUpdate) -> Vec<u8> {
    Message::Awareness(update).encode_v1()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_said_is_read_back() {
        let both = [encode_update(vec![0, 0]), encode_sync_step_1(StateVector::default())].concat();
        assert_eq!(
            read_messages(&both).unwrap(),
            [EditorMessage::Update(vec![0, 0]), EditorMessage::SyncStep1(StateVector::default())]
        );
        assert_eq!(read_messages(&encode_sync_step_2(vec![0, 0])).unwrap(), [EditorMessage::Update(vec![0, 0])]);
        assert_eq!(read_messages(&[3]).unwrap(), [EditorMessage::AwarenessQuery]);
    }

    #[test]
    fn what_is_not_of_the_protocol_is_refused() {
        for bytes in [&b""[..], b"hello", &[0, 9], &[2, 0], &[100, 1, 1], &[0, 0, 5, 1], &[3, 0], &[0, 2, 2, 0]] {
            assert_eq!(read_messages(bytes), Err(RefusedUpdate::Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn nothing_is_reserved_for_what_is_only_declared() {
        const MANY: [u8; 4] = [0xff, 0xff, 0xff, 0x3e];
        let state_vector = [&[0, 0, 4][..], &MANY].concat();
        let awareness = [&[1, 4][..], &MANY].concat();
        for bytes in [state_vector, awareness] {
            assert_eq!(read_messages(&bytes), Err(RefusedUpdate::Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn what_editors_tell_of_themselves_is_read_back() {
        let entry = AwarenessUpdateEntry { clock: 3, json: r#"{"name":"Ånn"}"#.into() };
        let told = AwarenessUpdate { clients: HashMap::from([(ClientID::new((1 << 53) - 1), entry)]) };
        assert_eq!(read_messages(&encode_awareness(told.clone())).unwrap(), [EditorMessage::Awareness(told)]);
        let known: StateVector = [(ClientID::new(7), 300), (ClientID::new(1 << 40), 0x7fff_ffff)].into_iter().collect();
        assert_eq!(read_messages(&encode_sync_step_1(known.clone())).unwrap(), [EditorMessage::SyncStep1(known)]);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reading(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read_messages(&bytes);
        }
    }
}
