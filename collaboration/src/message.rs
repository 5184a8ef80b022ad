//! The messages of the `y-websocket` protocol: one or more of them in a binary message of the WebSocket.

use std::panic::catch_unwind;

use yrs::{
    StateVector,
    encoding::read::Cursor,
    sync::{AwarenessUpdate, Message, MessageReader, SyncMessage},
    updates::{decoder::DecoderV1, encoder::Encode},
};

use crate::error::RefusedUpdate;

/// What an editor says.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    /// What it knows, to be told the rest.
    Knows(StateVector),
    /// What it wrote.
    Wrote(Vec<u8>),
    /// What it tells of itself.
    Tells(AwarenessUpdate),
    /// It asks what the others tell of themselves.
    Asks,
}

/// What is in a message.
///
/// # Errors
/// [`RefusedUpdate::Malformed`] for anything that is not of the protocol.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Said>, RefusedUpdate> {
    let read = catch_unwind(|| {
        let mut decoder = DecoderV1::new(Cursor::new(bytes));
        let said = |message| match message {
            Ok(Message::Sync(SyncMessage::SyncStep1(known))) => Ok(Said::Knows(known)),
            Ok(Message::Sync(SyncMessage::SyncStep2(update) | SyncMessage::Update(update))) => Ok(Said::Wrote(update)),
            Ok(Message::Awareness(update)) => Ok(Said::Tells(update)),
            Ok(Message::AwarenessQuery) => Ok(Said::Asks),
            Ok(Message::Auth(_) | Message::Custom(..)) | Err(_) => Err(RefusedUpdate::Malformed),
        };
        MessageReader::new(&mut decoder).map(said).collect::<Result<Vec<_>, _>>()
    });
    let said = read.unwrap_or(Err(RefusedUpdate::Malformed))?;
    // What is cut off in the middle ends the reading without an error.
    if said.is_empty() { Err(RefusedUpdate::Malformed) } else { Ok(said) }
}

/// Asks an editor for what the room does not know.
pub(crate) fn knows(known: StateVector) -> Vec<u8> {
    Message::Sync(SyncMessage::SyncStep1(known)).encode_v1()
}

/// Answers an editor that says what it knows.
pub(crate) fn rest(update: Vec<u8>) -> Vec<u8> {
    Message::Sync(SyncMessage::SyncStep2(update)).encode_v1()
}

/// What somebody wrote.
pub(crate) fn wrote(update: Vec<u8>) -> Vec<u8> {
    Message::Sync(SyncMessage::Update(update)).encode_v1()
}

/// What editors tell of themselves.
pub(crate) fn tells(update: AwarenessUpdate) -> Vec<u8> {
    Message::Awareness(update).encode_v1()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_said_is_read_back() {
        let both = [wrote(vec![0, 0]), knows(StateVector::default())].concat();
        assert_eq!(read(&both).unwrap(), [Said::Wrote(vec![0, 0]), Said::Knows(StateVector::default())]);
        assert_eq!(read(&rest(vec![0, 0])).unwrap(), [Said::Wrote(vec![0, 0])]);
        assert_eq!(read(&[3]).unwrap(), [Said::Asks]);
    }

    #[test]
    fn what_is_not_of_the_protocol_is_refused() {
        for bytes in [&b""[..], b"hello", &[0, 9], &[2, 0], &[100, 1, 1], &[0, 0, 5, 1]] {
            assert_eq!(read(bytes), Err(RefusedUpdate::Malformed), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reading(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&bytes);
        }
    }
}
