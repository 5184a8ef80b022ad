//! A decoder of server-sent events, as in the HTML Living Standard, section 9.2, with bounded memory.

/// Maximum length of one event in bytes.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// An event of more than [`MAX_EVENT_BYTES`], or one that is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventStreamError {
    #[error("an event of more than {MAX_EVENT_BYTES} bytes")]
    TooLong,
    #[error("an event that is not UTF-8")]
    NotUtf8,
}

/// Splits a stream of bytes into the data of its events. Names, ids and comments are skipped: both protocols repeat the
/// name in the data.
#[derive(Debug, Default)]
pub(crate) struct EventStreamDecoder {
    line: Vec<u8>,
    data: String,
    has_data: bool,
    ends_with_carriage_return: bool,
}

impl EventStreamDecoder {
    /// Decodes more bytes; returns the data of the events that they complete.
    pub(crate) fn decode_chunk(&mut self, chunk: &[u8]) -> Result<Vec<String>, EventStreamError> {
        let mut events = vec![];
        for byte in chunk {
            let follows_carriage_return = std::mem::take(&mut self.ends_with_carriage_return);
            match byte {
                b'\n' if follows_carriage_return => {}
                b'\n' | b'\r' => {
                    self.ends_with_carriage_return = *byte == b'\r';
                    self.end_line(&mut events)?;
                }
                other if self.line.len() + self.data.len() < MAX_EVENT_BYTES => self.line.push(*other),
                _ => return Err(EventStreamError::TooLong),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self, events: &mut Vec<String>) -> Result<(), EventStreamError> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            if std::mem::take(&mut self.has_data) {
                events.push(data);
            }
            return Ok(());
        }
        let line = std::str::from_utf8(&line).map_err(|_| EventStreamError::NotUtf8)?;
        if let Some(value) = line.strip_prefix("data:") {
            if self.has_data {
                self.data.push('\n');
            }
            self.data.push_str(value.strip_prefix(' ').unwrap_or(value));
            self.has_data = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(chunks: &[&[u8]]) -> Result<Vec<String>, EventStreamError> {
        let mut decoder = EventStreamDecoder::default();
        let mut events = vec![];
        for chunk in chunks {
            events.extend(decoder.decode_chunk(chunk)?);
        }
        Ok(events)
    }

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let stream =
            b": hello\r\nevent: ping\r\ndata: {\"a\":1}\r\n\r\ndata: one\ndata:two\n\nid: 7\n\ndata: \xc3\xa4\n\nrest";
        let expected = ["{\"a\":1}", "one\ntwo", "\u{e4}"];
        assert_eq!(decode(&[stream]).unwrap(), expected);
        for cut in 0..stream.len() {
            let (left, right) = stream.split_at(cut);
            assert_eq!(decode(&[left, right]).unwrap(), expected, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(decode(&bytes).unwrap(), expected);
    }

    #[test]
    fn events_are_bounded_and_text() {
        assert_eq!(decode(&[&vec![b'x'; MAX_EVENT_BYTES + 1]]), Err(EventStreamError::TooLong));
        let line = [b"data: ".as_slice(), &vec![b'x'; 1_000], b"\n"].concat();
        let endless: Vec<&[u8]> = std::iter::repeat_n(line.as_slice(), 1_100).collect();
        assert_eq!(decode(&endless), Err(EventStreamError::TooLong));
        assert_eq!(decode(&[b"data: \xff\n\n"]), Err(EventStreamError::NotUtf8));
    }
}
