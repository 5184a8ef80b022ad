//! The journal of a collection: changes that the engine has applied but may not have on disk yet.
//!
//! A record is its length, its checksum (both 32 bits, little endian) and a `PointsUpdateOperation`. Records are written
//! before the change is applied and read again when the collection is opened, so a killed process loses nothing that
//! it acknowledged. They are handed to the operating system, not forced to the disk: what it had not written by itself
//! before a power failure, half a minute by Linux' defaults, may be lost.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use flate2::Crc;
use prost::Message;
use qdrant_client::qdrant::{PointsUpdateOperation, points_update_operation::Operation};

const HEAD_BYTES: usize = 8;

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    length: u64,
}

impl Journal {
    /// Opens the journal and returns the changes it holds; a record that was cut off by a kill ends it.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Operation>)> {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (operations, whole) = read(&bytes);
        if whole < bytes.len() {
            tracing::warn!(journal.path = %path.display(), bytes = bytes.len() - whole, "cut-off record left out");
        }
        let mut journal = Self { file, length: 0 };
        journal.shorten(whole as u64)?;
        Ok((journal, operations))
    }

    /// Bytes in the journal.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Appends a change, already encoded.
    pub(super) fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let length = u32::try_from(record.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + record.len());
        bytes.extend(length.to_le_bytes());
        bytes.extend(checksum(record).to_le_bytes());
        bytes.extend(record);
        if let Err(error) = self.file.write_all(&bytes) {
            // A part of a record would hide the records behind it.
            self.shorten(self.length)?;
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Forgets everything, once the engine has it on disk.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.shorten(0)
    }

    fn shorten(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        self.length = length;
        Ok(())
    }
}

/// Encodes a change for the journal.
pub(super) fn encode(operation: Operation) -> (Vec<u8>, Option<Operation>) {
    let message = PointsUpdateOperation { operation: Some(operation) };
    (message.encode_to_vec(), message.operation)
}

/// Reads records up to the first that is not whole; also tells where that is.
fn read(bytes: &[u8]) -> (Vec<Operation>, usize) {
    let (mut operations, mut at) = (Vec::new(), 0);
    while let Some((record, end)) = next(bytes, at) {
        if let Ok(PointsUpdateOperation { operation: Some(operation) }) = PointsUpdateOperation::decode(record) {
            operations.push(operation);
        }
        at = end;
    }
    (operations, at)
}

fn next(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (length, rest) = bytes.get(at..)?.split_first_chunk::<4>()?;
    let (expected, rest) = rest.split_first_chunk::<4>()?;
    let record = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    // An empty record is what a file extended by a crash looks like: zeros.
    let sound = !record.is_empty() && checksum(record) == u32::from_le_bytes(*expected);
    sound.then_some((record, at + HEAD_BYTES + record.len()))
}

fn checksum(record: &[u8]) -> u32 {
    let mut checksum = Crc::new();
    checksum.update(record);
    checksum.sum()
}

#[cfg(test)]
mod tests {
    use qdrant_client::qdrant::points_update_operation::DeletePoints;

    use super::*;

    fn change(id: u64) -> Operation {
        Operation::DeletePoints(DeletePoints { points: Some(vec![id.into()].into()), shard_key_selector: None })
    }

    fn written(path: &Path, ids: std::ops::Range<u64>) {
        let (mut journal, _) = Journal::open(path).unwrap();
        for id in ids {
            journal.append(&encode(change(id)).0).unwrap();
        }
    }

    #[test]
    fn what_was_appended_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path, 0..3);
        written(&path, 3..5);
        let (mut journal, operations) = Journal::open(&path).unwrap();
        assert_eq!(operations, (0..5).map(change).collect::<Vec<_>>());
        journal.clear().unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, []);
    }

    #[test]
    fn a_record_cut_off_anywhere_is_left_out_and_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path, 0..2);
        let whole = std::fs::read(&path).unwrap();
        for length in whole.len() / 2..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1, [change(0)], "cut at {length}");
            written(&path, 7..8);
            assert_eq!(Journal::open(&path).unwrap().1, [change(0), change(7)]);
        }
    }

    #[test]
    fn a_damaged_record_ends_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path, 0..2);
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        bytes.extend([0; 64]);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, [change(0)]);
    }
}
