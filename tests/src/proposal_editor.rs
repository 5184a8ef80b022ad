//! An editor of a proposal's shared text, like that of a browser: a Yjs document over a WebSocket.

use std::collections::HashMap;

use collaboration::SharedText;
use domain::proposal::SectionKey;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest as _, http::HeaderValue},
};
use yrs::{
    block::ClientID,
    encoding::read::Cursor,
    sync::{AwarenessUpdate, Message as YrsMessage, MessageReader, SyncMessage, awareness::AwarenessUpdateEntry},
    updates::{decoder::DecoderV1, encoder::Encode as _},
};

use crate::WAIT_TIMEOUT;

/// One editor. Without a connection its edits stay local.
#[derive(Default)]
pub struct ProposalEditor {
    /// This editor's copy of the shared text.
    pub text: SharedText,
    socket: Option<WebSocketStream<MaybeTlsStream<TcpStream>>>,
    /// The awareness states of the other editors, by their client numbers.
    pub awareness_states: HashMap<u64, Value>,
}

impl ProposalEditor {
    /// Opens a proposal of the product at `http`.
    ///
    /// # Errors
    /// If the product refuses (the error holds status and text), or the connection fails.
    pub async fn open(http: &str, proposal: &str, protocols: &str) -> anyhow::Result<Self> {
        let mut editor = Self::default();
        editor.connect(http, proposal, protocols).await?;
        Ok(editor)
    }

    /// Connects, and requests the updates that this editor misses.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn connect(&mut self, http: &str, proposal: &str, protocols: &str) -> anyhow::Result<()> {
        let address = format!("{}/together/{proposal}", http.replacen("http", "ws", 1));
        let mut request = address.into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_str(protocols)?);
        let socket = match connect_async(request).await {
            Ok((socket, _)) => socket,
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                anyhow::bail!("{} {}", response.status().as_u16(), String::from_utf8_lossy(body));
            }
            Err(error) => return Err(error.into()),
        };
        self.socket = Some(socket);
        self.send_message(&YrsMessage::Sync(SyncMessage::SyncStep1(self.text.state_vector()))).await
    }

    /// Drops the connection without a closing handshake.
    pub fn drop_connection(&mut self) {
        self.socket = None;
    }

    /// Replaces a section's content, and sends the update if connected.
    ///
    /// # Errors
    /// If the connection breaks off.
    pub async fn write_section(&mut self, section: &str, content: &str) -> anyhow::Result<()> {
        let Some(update) = self.text.rewrite_section(&SectionKey::try_new(section)?, content) else { return Ok(()) };
        if self.socket.is_some() {
            self.send_message(&YrsMessage::Sync(SyncMessage::Update(update))).await
        } else {
            Ok(())
        }
    }

    /// Sends an awareness state to the other editors.
    ///
    /// # Errors
    /// If the connection breaks off.
    pub async fn send_awareness(&mut self, number: u64, clock: u32, state: &Value) -> anyhow::Result<()> {
        let entry = AwarenessUpdateEntry { clock, json: state.to_string().into() };
        let clients = HashMap::from([(ClientID::new(number), entry)]);
        self.send_message(&YrsMessage::Awareness(AwarenessUpdate { clients })).await
    }

    /// The current text of a section.
    ///
    /// # Errors
    /// If `section` is not a valid key of a section.
    pub fn section_text(&self, section: &str) -> anyhow::Result<String> {
        Ok(self.text.section_text(&SectionKey::try_new(section)?))
    }

    /// Receives messages until `condition` holds.
    ///
    /// # Errors
    /// If it does not hold within [`WAIT_TIMEOUT`] (the error shows the text instead), or the connection ends.
    pub async fn receive_until(&mut self, condition: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while !condition(self) {
            let Ok(received) = timeout_at(deadline, self.receive_message()).await else {
                anyhow::bail!("the text is {:?}, other editors {:?}", self.text.section_texts(), self.awareness_states)
            };
            if let Some((code, reason)) = received? {
                anyhow::bail!("the connection ended with {code} {reason}");
            }
        }
        Ok(())
    }

    /// Waits until the product closes the connection, and returns the close code and reason.
    ///
    /// # Errors
    /// If that takes longer than [`WAIT_TIMEOUT`].
    pub async fn wait_until_closed(&mut self) -> anyhow::Result<(u16, String)> {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            let Ok(received) = timeout_at(deadline, self.receive_message()).await else {
                anyhow::bail!("the product did not close the connection")
            };
            if let Some(ended) = received? {
                return Ok(ended);
            }
        }
    }

    /// Sends any message, also one that a real editor would not send.
    ///
    /// # Errors
    /// If the connection breaks off.
    pub async fn send(&mut self, message: Message) -> anyhow::Result<()> {
        let Some(socket) = &mut self.socket else { anyhow::bail!("there is no connection") };
        Ok(socket.send(message).await?)
    }

    async fn send_message(&mut self, message: &YrsMessage) -> anyhow::Result<()> {
        self.send(Message::binary(message.encode_v1())).await
    }

    /// Handles the next message; returns code and reason if it closes the connection.
    async fn receive_message(&mut self) -> anyhow::Result<Option<(u16, String)>> {
        let Some(socket) = &mut self.socket else { anyhow::bail!("there is no connection") };
        let Some(message) = socket.next().await else { return Ok(Some((0, "no close frame".to_owned()))) };
        let bytes = match message? {
            Message::Binary(bytes) => bytes,
            Message::Close(frame) => {
                let close = frame.map(|frame| (u16::from(frame.code), frame.reason.to_string()));
                return Ok(Some(close.unwrap_or_default()));
            }
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(None),
        };
        let mut decoder = DecoderV1::new(Cursor::new(&bytes));
        let messages: Vec<_> = MessageReader::new(&mut decoder).collect::<Result<_, _>>()?;
        for message in messages {
            match message {
                YrsMessage::Sync(SyncMessage::SyncStep1(known)) => {
                    let missing = self.text.encode_diff(&known);
                    self.send_message(&YrsMessage::Sync(SyncMessage::SyncStep2(missing))).await?;
                }
                YrsMessage::Sync(SyncMessage::SyncStep2(update) | SyncMessage::Update(update)) => {
                    self.text.merge_stored_update(&update)?;
                }
                YrsMessage::Awareness(update) => {
                    for (number, entry) in update.clients {
                        let state = serde_json::from_str(&entry.json)?;
                        if state == json!(null) {
                            self.awareness_states.remove(&number.get());
                        } else {
                            self.awareness_states.insert(number.get(), state);
                        }
                    }
                }
                YrsMessage::Auth(_) | YrsMessage::AwarenessQuery | YrsMessage::Custom(..) => {
                    anyhow::bail!("{message:?}")
                }
            }
        }
        Ok(None)
    }
}
