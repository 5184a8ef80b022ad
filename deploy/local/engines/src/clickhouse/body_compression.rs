//! Compressed transfer, which clients of ClickHouse use by default: ClickHouse's own blocks (`compress=1`,
//! `decompress=1`; JDBC), and bodies with an HTTP encoding (`Content-Encoding`; clickhouse-connect).
//!
//! ```text
//! block: checksum (CityHash128 1.0.2 of the rest) | method 0x82 | length with method and lengths | data length | LZ4
//! ```

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

use axum::body::{Body, Bytes};
use cityhash_rs::cityhash_102_128;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use futures::stream;
use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt;

use super::{
    exception::{ClickHouseException, ExceptionCode},
    request_body::RequestBody,
};

/// Maximum data of a block that is sent, the same as in ClickHouse.
const BLOCK_BYTES: usize = 1 << 20;
/// Maximum data of a block that a client sends.
const MAX_BLOCK_BYTES: usize = 128 << 20;
const CHECKSUM_BYTES: usize = 16;
/// The method and the two lengths.
const HEAD_BYTES: usize = 9;
const LZ4: u8 = 0x82;
const NONE: u8 = 0x02;
/// Size of one read of a decoded body.
const READ_BYTES: usize = 64 << 10;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyCompression {
    /// `Content-Encoding: gzip`.
    Gzip,
    /// `Content-Encoding: deflate`.
    Deflate,
    /// `Content-Encoding: lz4`, a frame.
    Lz4Frame,
    /// ClickHouse's blocks.
    Blocks,
}

impl BodyCompression {
    /// Parses a `Content-Encoding`; `None` if the body is not compressed.
    pub(super) fn from_content_encoding(encoding: &str) -> Result<Option<Self>, ClickHouseException> {
        match encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(None),
            "gzip" | "x-gzip" => Ok(Some(Self::Gzip)),
            "deflate" => Ok(Some(Self::Deflate)),
            "lz4" => Ok(Some(Self::Lz4Frame)),
            other => Err(ExceptionCode::NotImplemented
                .with_message(&format!("the local engine supports bodies in gzip, deflate and lz4, not in '{other}'"))),
        }
    }
}

/// Decompresses the body through two files of the folder, so that neither form has to fit into memory.
pub(super) async fn decompress(
    body: &mut RequestBody,
    compression: BodyCompression,
    folder: &Path,
) -> Result<RequestBody, ClickHouseException> {
    let compressed = body.spool_to_file(&[], folder).await?;
    let (folder, limit) = (folder.to_owned(), body.limit());
    let work = tokio::task::spawn_blocking(move || {
        let mut data = NamedTempFile::new_in(folder)?;
        let written = write_decoded(compression, compressed.as_file(), data.as_file_mut(), limit)?;
        let file = data.reopen()?;
        io::Result::Ok((written <= limit).then_some((data, file)))
    });
    let decompressed = work.await.map_err(io::Error::other).and_then(|decompressed| decompressed);
    let invalid = |error: io::Error| {
        ExceptionCode::BadArguments.with_message(&format!("the body cannot be decompressed: {error}"))
    };
    let too_large = || {
        ExceptionCode::TooManyBytes.with_message(&format!("the body is larger than {limit} bytes after decompression"))
    };
    let (data, file) = decompressed.map_err(invalid)?.ok_or_else(too_large)?;
    // The file is removed after its last chunk was read.
    let chunks = stream::try_unfold((tokio::fs::File::from_std(file), data), |(mut file, data)| async move {
        let mut chunk = vec![0; READ_BYTES];
        let length = file.read(&mut chunk).await?;
        chunk.truncate(length);
        io::Result::Ok((length > 0).then(|| (Bytes::from(chunk), (file, data))))
    });
    Ok(RequestBody::new(Body::from_stream(chunks), limit))
}

/// Writes the decompressed data, at most one byte more than the limit; returns the number of bytes.
fn write_decoded(compression: BodyCompression, compressed: &File, data: &mut File, limit: u64) -> io::Result<u64> {
    let mut data = BufWriter::new(data);
    let compressed = BufReader::new(compressed);
    let max_bytes = limit.saturating_add(1);
    let written = match compression {
        BodyCompression::Gzip => io::copy(&mut MultiGzDecoder::new(compressed).take(max_bytes), &mut data)?,
        BodyCompression::Deflate => io::copy(&mut ZlibDecoder::new(compressed).take(max_bytes), &mut data)?,
        BodyCompression::Lz4Frame => {
            io::copy(&mut lz4_flex::frame::FrameDecoder::new(compressed).take(max_bytes), &mut data)?
        }
        BodyCompression::Blocks => write_decoded_blocks(compressed, &mut data, limit)?,
    };
    data.flush()?;
    Ok(written)
}

fn write_decoded_blocks(mut compressed: impl Read, data: &mut impl Write, limit: u64) -> io::Result<u64> {
    let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
    let mut written = 0;
    loop {
        let mut checksum = [0; CHECKSUM_BYTES];
        match compressed.read(&mut checksum[..1])? {
            0 => return Ok(written),
            _ => compressed.read_exact(&mut checksum[1..])?,
        }
        let mut head = [0; HEAD_BYTES];
        compressed.read_exact(&mut head)?;
        let length =
            |from: usize| u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]]) as usize;
        let (size, data_size) = (length(1), length(5));
        if !(HEAD_BYTES..=MAX_BLOCK_BYTES).contains(&size) || data_size > MAX_BLOCK_BYTES {
            return Err(invalid("a block's length is invalid"));
        }
        let mut block = head.to_vec();
        block.resize(size, 0);
        compressed.read_exact(&mut block[HEAD_BYTES..])?;
        if block_checksum(&block) != checksum {
            return Err(invalid("a block's checksum does not match"));
        }
        let chunk = match head[0] {
            LZ4 => lz4_flex::block::decompress(&block[HEAD_BYTES..], data_size).map_err(io::Error::other)?,
            NONE => block.split_off(HEAD_BYTES),
            _ => return Err(invalid("a block is neither LZ4 nor uncompressed")),
        };
        written += chunk.len() as u64;
        if written > limit {
            return Ok(written);
        }
        data.write_all(&chunk)?;
    }
}

/// Compresses data into ClickHouse's blocks.
pub(super) fn compress_blocks(data: &[u8]) -> Bytes {
    let mut blocks = Vec::with_capacity(data.len() / 2 + CHECKSUM_BYTES + HEAD_BYTES);
    for chunk in data.chunks(BLOCK_BYTES) {
        let compressed = lz4_flex::block::compress(chunk);
        let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
        let block = [&[LZ4], &length(compressed.len() + HEAD_BYTES)[..], &length(chunk.len()), &compressed].concat();
        blocks.extend(block_checksum(&block));
        blocks.extend(block);
    }
    blocks.into()
}

/// ClickHouse writes the two halves of the hash in order, each in little-endian byte order.
fn block_checksum(block: &[u8]) -> [u8; CHECKSUM_BYTES] {
    cityhash_102_128(block).rotate_left(64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decompressed(compression: BodyCompression, compressed: &[u8], limit: u64) -> io::Result<(u64, Vec<u8>)> {
        let mut file = tempfile::tempfile().unwrap();
        io::Seek::rewind(&mut {
            file.write_all(compressed).unwrap();
            &file
        })
        .unwrap();
        let mut data = NamedTempFile::new().unwrap();
        let written = write_decoded(compression, &file, data.as_file_mut(), limit)?;
        Ok((written, std::fs::read(data.path()).unwrap()))
    }

    #[test]
    fn compressed_blocks_decompress_to_the_same_data() {
        let data: Vec<u8> = (0..3_000_000_u32).map(|n| u8::try_from(n % 251).unwrap_or_default()).collect();
        let compressed = compress_blocks(&data);
        assert!(compressed.len() < data.len() / 10);
        assert_eq!(decompressed(BodyCompression::Blocks, &compressed, 1 << 30).unwrap(), (3_000_000, data));
        assert_eq!(compress_blocks(b"").len(), 0);
        assert!(decompressed(BodyCompression::Blocks, &compressed, 10).unwrap().0 > 10, "above the limit");
    }

    #[test]
    fn an_invalid_block_is_refused() {
        let mut compressed = compress_blocks(b"some data, some data").to_vec();
        assert!(decompressed(BodyCompression::Blocks, &compressed[..compressed.len() - 1], 100).is_err());
        compressed[30] ^= 1;
        assert!(decompressed(BodyCompression::Blocks, &compressed, 100).is_err());
        assert!(decompressed(BodyCompression::Gzip, b"no gzip", 100).is_err());
    }

    #[test]
    fn encodings_are_parsed_by_name() {
        assert_eq!(BodyCompression::from_content_encoding("GZIP").unwrap(), Some(BodyCompression::Gzip));
        assert_eq!(BodyCompression::from_content_encoding("identity").unwrap(), None);
        assert_eq!(BodyCompression::from_content_encoding("br").unwrap_err().code, 48);
    }
}
