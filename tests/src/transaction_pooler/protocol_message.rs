//! A message of the protocol of Postgres, after the start of a session.

use std::io;

use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// A message of the protocol.
pub(super) struct ProtocolMessage {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

impl ProtocolMessage {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let length = i32::try_from(self.body.len() + 4).unwrap_or(i32::MAX);
        [&[self.kind], length.to_be_bytes().as_slice(), &self.body].concat()
    }

    /// The text that begins at `at`, and the offset after its terminator.
    pub(super) fn text(&self, at: usize) -> (String, usize) {
        let rest = self.body.get(at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
        (String::from_utf8_lossy(&rest[..end]).into_owned(), at + end + 1)
    }

    /// The same message with another text at `at`.
    pub(super) fn with_text(&self, at: usize, text: &str) -> Self {
        let (_, next) = self.text(at);
        let body = [&self.body[..at], text.as_bytes(), b"\0", self.body.get(next..).unwrap_or_default()].concat();
        Self { kind: self.kind, body }
    }
}

/// Reads the next message.
pub(super) async fn read_message(stream: &mut TcpStream) -> io::Result<ProtocolMessage> {
    let kind = stream.read_u8().await?;
    let length = stream.read_i32().await?;
    let mut body = vec![0; usize::try_from(length - 4).unwrap_or_default()];
    stream.read_exact(&mut body).await?;
    Ok(ProtocolMessage { kind, body })
}
