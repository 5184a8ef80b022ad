//! The vectors of tokens, read from the file of weights when a text first has the token.
//!
//! A text has few of the 32,000 tokens, and many processes embed no text at all: to read and convert all vectors at the
//! start would take most of the start's time, and 32 MB.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use safetensors::{Dtype, tensor::Metadata};

use super::{super::EmbeddingError, token_table::DIMENSION};
use crate::error::BoxedError;

const TENSOR: &str = "embedding.weight";

/// The file begins with the length of its header.
const LENGTH_BYTES: usize = size_of::<u64>();

/// Longest header that is read, in bytes. That of the model has less than 100.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Bytes of a vector in the file, which holds 16-bit floats.
const VECTOR_BYTES: usize = 2 * DIMENSION;

/// One vector for each token.
pub(super) struct TokenVectors {
    path: PathBuf,
    file: File,
    /// Where the first vector begins in the file, in bytes.
    first_vector: u64,
    /// By token; empty until a text has it.
    vectors: Box<[OnceLock<Box<TokenVector>>]>,
}

type TokenVector = [f32; DIMENSION];

impl TokenVectors {
    /// Opens a file of weights and checks that it holds the vectors.
    pub(super) fn open(path: &Path) -> Result<Self, BoxedError> {
        let file = File::open(path)?;
        let mut length = [0; LENGTH_BYTES];
        file.read_exact_at(&mut length, 0)?;
        let header_bytes = u64::from_le_bytes(length);
        if header_bytes > MAX_HEADER_BYTES {
            return Err(format!("the header has {header_bytes} bytes").into());
        }
        let mut header = vec![0; usize::try_from(header_bytes)?];
        file.read_exact_at(&mut header, LENGTH_BYTES as u64)?;
        let metadata: Metadata = serde_json::from_slice(&header)?;
        let tensor = metadata.info(TENSOR).ok_or_else(|| format!("there is no tensor {TENSOR}"))?;
        let &[count, DIMENSION] = tensor.shape.as_slice() else {
            return Err(format!("the tensor has the shape {:?}", tensor.shape).into());
        };
        if count == 0 || tensor.dtype != Dtype::F16 {
            return Err(format!("the tensor has {count} rows of {:?}", tensor.dtype).into());
        }
        let (start, end) = tensor.data_offsets;
        let data = LENGTH_BYTES as u64 + header_bytes;
        let is_complete = end.checked_sub(start).is_some_and(|bytes| Some(bytes) == count.checked_mul(VECTOR_BYTES))
            && data.checked_add(u64::try_from(end)?).is_some_and(|end| file.metadata().is_ok_and(|it| end <= it.len()));
        if !is_complete {
            return Err(format!("the file does not hold the {count} rows of the tensor").into());
        }
        let vectors = (0..count).map(|_| OnceLock::new()).collect();
        Ok(Self { path: path.to_owned(), file, first_vector: data + u64::try_from(start)?, vectors })
    }

    /// The number of tokens, which is at least 1.
    pub(super) fn count(&self) -> usize {
        self.vectors.len()
    }

    /// The vector of a token.
    ///
    /// # Errors
    /// When it cannot be read from the file.
    pub(super) fn vector(&self, token: usize) -> Result<&TokenVector, EmbeddingError> {
        let place = &self.vectors[token];
        if let Some(vector) = place.get() {
            return Ok(vector);
        }
        let unusable = |source: io::Error| EmbeddingError::Unusable { path: self.path.clone(), source: source.into() };
        let vector = self.read_vector(token).map_err(unusable)?;
        // Another thread may have read it meanwhile.
        Ok(place.get_or_init(|| vector))
    }

    fn read_vector(&self, token: usize) -> io::Result<Box<TokenVector>> {
        let mut bytes = [0; VECTOR_BYTES];
        self.file.read_exact_at(&mut bytes, self.first_vector + (token * VECTOR_BYTES) as u64)?;
        let mut vector = Box::new([0.0; DIMENSION]);
        let (halves, _) = bytes.as_chunks::<2>();
        for (value, half) in vector.iter_mut().zip(halves) {
            *value = half_to_f32(u16::from_le_bytes(*half));
        }
        Ok(vector)
    }
}

/// Converts a 16-bit float to a 32-bit one.
fn half_to_f32(bits: u16) -> f32 {
    let bits = u32::from(bits);
    let (sign, exponent, fraction) = ((bits & 0x8000) << 16, (bits >> 10) & 0x1f, bits & 0x3ff);
    let magnitude = match (exponent, fraction) {
        // Subnormal numbers are multiples of 2^-24.
        (0, fraction) => f32::from_bits(0x3380_0000) * f32::from(u16::try_from(fraction).unwrap_or_default()),
        (0x1f, fraction) => f32::from_bits(0x7f80_0000 | (fraction << 13)),
        (exponent, fraction) => f32::from_bits(((exponent + 112) << 23) | (fraction << 13)),
    };
    f32::from_bits(magnitude.to_bits() | sign)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A file of weights whose vectors are filled with these halves.
    fn write_weights(folder: &Path, dtype: &str, shape: [usize; 2], halves: &[u16]) -> PathBuf {
        let bytes = shape[0] * shape[1] * if dtype == "F32" { 4 } else { 2 };
        let header = format!(
            r#"{{"{TENSOR}":{{"dtype":"{dtype}","shape":[{},{}],"data_offsets":[0,{bytes}]}}}}"#,
            shape[0], shape[1]
        );
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        for half in halves {
            file.extend([half.to_le_bytes(); DIMENSION].as_flattened());
        }
        let path = folder.join("weights");
        fs::write(&path, file).unwrap();
        path
    }

    #[test]
    fn each_token_has_the_vector_of_its_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = write_weights(folder.path(), "F16", [3, DIMENSION], &[0x3c00, 0xc000, 0x0000]);

        let vectors = TokenVectors::open(&path).unwrap();

        assert_eq!(vectors.count(), 3);
        for (token, value) in [(1, -2.0_f32), (0, 1.0), (2, 0.0), (1, -2.0)] {
            let bits = vectors.vector(token).unwrap().map(f32::to_bits);
            assert_eq!(bits, [value.to_bits(); DIMENSION], "{token}");
        }
    }

    #[test]
    fn a_file_that_does_not_hold_the_vectors_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (dtype, shape, rows, reason) in [
            ("F16", [3, DIMENSION], 2, "does not hold the 3 rows"),
            ("F32", [2, DIMENSION], 4, "2 rows of F32"),
            ("F16", [2, DIMENSION / 2], 1, "the shape [2, 128]"),
            ("F16", [0, DIMENSION], 0, "0 rows"),
        ] {
            let path = write_weights(folder.path(), dtype, shape, &vec![0x3c00; rows]);
            let refused = TokenVectors::open(&path).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refused.contains(reason), "{dtype} {shape:?}: {refused}");
        }
    }

    #[test]
    fn half_precision_is_read_exactly() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x0000, 0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x7bff, 65_504.0),
        ] {
            assert!(
                (half_to_f32(bits) - value).abs() <= f32::EPSILON * value.abs(),
                "{bits:#x}: {} is not {value}",
                half_to_f32(bits)
            );
        }
        assert!(half_to_f32(0x7c00).is_infinite() && half_to_f32(0x7e00).is_nan());
    }
}
