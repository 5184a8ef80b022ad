//! Compressed transfer, as clients of ClickHouse use it by default: blocks of ClickHouse's own (`compress=1`,
//! `decompress=1`; JDBC), and bodies in an encoding of HTTP (`Content-Encoding`; clickhouse-connect).
//!
//! ```text
//! block: checksum (CityHash128 1.0.2 of all that follows) | method 0x82 | length with method and lengths | length of data | LZ4
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

/// Data of one block, at most; ClickHouse's own blocks have as much.
const BLOCK_BYTES: usize = 1 << 20;
/// Data of a block that a client sends, at most.
const MAX_BLOCK_BYTES: usize = 128 << 20;
const CHECKSUM_BYTES: usize = 16;
/// Method and the two lengths.
const HEAD_BYTES: usize = 9;
const LZ4: u8 = 0x82;
const NONE: u8 = 0x02;
/// How much of a decoded body is read at once.
const READ_BYTES: usize = 64 << 10;

/// How a body is packed.
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
    /// What a `Content-Encoding` says; `None` where the body is as it is.
    pub(super) fn of(encoding: &str) -> Result<Option<Self>, ClickHouseException> {
        match encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(None),
            "gzip" | "x-gzip" => Ok(Some(Self::Gzip)),
            "deflate" => Ok(Some(Self::Deflate)),
            "lz4" => Ok(Some(Self::Lz4Frame)),
            other => Err(ExceptionCode::NotImplemented
                .because(&format!("the local engine takes bodies in gzip, deflate and lz4, not in '{other}'"))),
        }
    }
}

/// The body, unpacked by way of two files of the folder: neither side of it has to fit into memory.
pub(super) async fn unpack(
    body: &mut RequestBody,
    packing: BodyCompression,
    folder: &Path,
) -> Result<RequestBody, ClickHouseException> {
    let packed = body.spool(&[], folder).await?;
    let (folder, limit) = (folder.to_owned(), body.limit());
    let work = tokio::task::spawn_blocking(move || {
        let mut data = NamedTempFile::new_in(folder)?;
        let written = decode(packing, packed.as_file(), data.as_file_mut(), limit)?;
        let file = data.reopen()?;
        io::Result::Ok((written <= limit).then_some((data, file)))
    });
    let unpacked = work.await.map_err(io::Error::other).and_then(|unpacked| unpacked);
    let broken =
        |error: io::Error| ExceptionCode::BadArguments.because(&format!("the body cannot be unpacked: {error}"));
    let too_large = || ExceptionCode::TooManyBytes.because(&format!("the body is larger than {limit} bytes unpacked"));
    let (kept, file) = unpacked.map_err(broken)?.ok_or_else(too_large)?;
    // The file goes away when its last piece was read.
    let pieces = stream::try_unfold((tokio::fs::File::from_std(file), kept), |(mut file, kept)| async move {
        let mut piece = vec![0; READ_BYTES];
        let length = file.read(&mut piece).await?;
        piece.truncate(length);
        io::Result::Ok((length > 0).then(|| (Bytes::from(piece), (file, kept))))
    });
    Ok(RequestBody::new(Body::from_stream(pieces), limit))
}

/// Writes what is packed, one byte more than the limit at most; tells how many bytes.
fn decode(packing: BodyCompression, packed: &File, data: &mut File, limit: u64) -> io::Result<u64> {
    let mut data = BufWriter::new(data);
    let packed = BufReader::new(packed);
    let most = limit.saturating_add(1);
    let written = match packing {
        BodyCompression::Gzip => io::copy(&mut MultiGzDecoder::new(packed).take(most), &mut data)?,
        BodyCompression::Deflate => io::copy(&mut ZlibDecoder::new(packed).take(most), &mut data)?,
        BodyCompression::Lz4Frame => io::copy(&mut lz4_flex::frame::FrameDecoder::new(packed).take(most), &mut data)?,
        BodyCompression::Blocks => decode_blocks(packed, &mut data, limit)?,
    };
    data.flush()?;
    Ok(written)
}

fn decode_blocks(mut packed: impl Read, data: &mut impl Write, limit: u64) -> io::Result<u64> {
    let broken = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
    let mut written = 0;
    loop {
        let mut checksum = [0; CHECKSUM_BYTES];
        match packed.read(&mut checksum[..1])? {
            0 => return Ok(written),
            _ => packed.read_exact(&mut checksum[1..])?,
        }
        let mut head = [0; HEAD_BYTES];
        packed.read_exact(&mut head)?;
        let length =
            |from: usize| u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]]) as usize;
        let (size, data_size) = (length(1), length(5));
        if !(HEAD_BYTES..=MAX_BLOCK_BYTES).contains(&size) || data_size > MAX_BLOCK_BYTES {
            return Err(broken("a block's length is impossible"));
        }
        let mut block = head.to_vec();
        block.resize(size, 0);
        packed.read_exact(&mut block[HEAD_BYTES..])?;
        if checksum_of(&block) != checksum {
            return Err(broken("a block's checksum does not fit"));
        }
        let piece = match head[0] {
            LZ4 => lz4_flex::block::decompress(&block[HEAD_BYTES..], data_size).map_err(io::Error::other)?,
            NONE => block.split_off(HEAD_BYTES),
            _ => return Err(broken("a block is neither LZ4 nor plain")),
        };
        written += piece.len() as u64;
        if written > limit {
            return Ok(written);
        }
        data.write_all(&piece)?;
    }
}

/// Data as blocks.
pub(super) fn blocks(data: &[u8]) -> Bytes {
    let mut blocks = Vec::with_capacity(data.len() / 2 + CHECKSUM_BYTES + HEAD_BYTES);
    for piece in data.chunks(BLOCK_BYTES) {
        let packed = lz4_flex::block::compress(piece);
        let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
        let block = [&[LZ4], &length(packed.len() + HEAD_BYTES)[..], &length(piece.len()), &packed].concat();
        blocks.extend(checksum_of(&block));
        blocks.extend(block);
    }
    blocks.into()
}

/// ClickHouse writes the two halves of the hash each in little-endian order, the first one first.
fn checksum_of(block: &[u8]) -> [u8; CHECKSUM_BYTES] {
    cityhash_102_128(block).rotate_left(64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(packing: BodyCompression, packed: &[u8], limit: u64) -> io::Result<(u64, Vec<u8>)> {
        let mut file = tempfile::tempfile().unwrap();
        io::Seek::rewind(&mut {
            file.write_all(packed).unwrap();
            &file
        })
        .unwrap();
        let mut data = NamedTempFile::new().unwrap();
        let written = decode(packing, &file, data.as_file_mut(), limit)?;
        Ok((written, std::fs::read(data.path()).unwrap()))
    }

    #[test]
    fn what_is_packed_into_blocks_comes_out_again() {
        let data: Vec<u8> = (0..3_000_000_u32).map(|n| u8::try_from(n % 251).unwrap_or_default()).collect();
        let packed = blocks(&data);
        assert!(packed.len() < data.len() / 10);
        assert_eq!(unpacked(BodyCompression::Blocks, &packed, 1 << 30).unwrap(), (3_000_000, data));
        assert_eq!(blocks(b"").len(), 0);
        assert!(unpacked(BodyCompression::Blocks, &packed, 10).unwrap().0 > 10, "above the limit");
    }

    #[test]
    fn a_broken_block_is_noticed() {
        let mut packed = blocks(b"some data, some data").to_vec();
        assert!(unpacked(BodyCompression::Blocks, &packed[..packed.len() - 1], 100).is_err());
        packed[30] ^= 1;
        assert!(unpacked(BodyCompression::Blocks, &packed, 100).is_err());
        assert!(unpacked(BodyCompression::Gzip, b"no gzip", 100).is_err());
    }

    #[test]
    fn encodings_are_known_by_name() {
        assert_eq!(BodyCompression::of("GZIP").unwrap(), Some(BodyCompression::Gzip));
        assert_eq!(BodyCompression::of("identity").unwrap(), None);
        assert_eq!(BodyCompression::of("br").unwrap_err().code, 48);
    }
}
