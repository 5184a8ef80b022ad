use proptest::prelude::*;

use super::*;

type CopyValues = Vec<[Option<Vec<u8>>; 2]>;

fn encode_header() -> Vec<u8> {
    [&SIGNATURE[..], &[0; 8]].concat()
}

/// Encodes rows as Postgres sends them.
fn encode_rows(rows: &CopyValues) -> Vec<u8> {
    let mut bytes = encode_header();
    for row in rows {
        bytes.extend(2_i16.to_be_bytes());
        for value in row {
            let length = value.as_ref().map_or(-1, |value| i32::try_from(value.len()).unwrap());
            bytes.extend(length.to_be_bytes());
            bytes.extend(value.iter().flatten());
        }
    }
    bytes.extend((-1_i16).to_be_bytes());
    bytes
}

fn decode_chunks<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<CopyValues, CopyError> {
    let mut decoder = CopyDecoder::<2>::default();
    let mut rows = CopyValues::new();
    for chunk in chunks {
        decoder.push_chunk(chunk);
        while let Some((row, _)) = decoder.next_row()? {
            rows.push(row.map(|value| value.map(<[u8]>::to_vec)));
        }
    }
    decoder.finish()?;
    Ok(rows)
}

fn sample_rows() -> CopyValues {
    vec![[Some(b"abc".to_vec()), None], [Some(vec![]), Some(vec![0xff; 300])], [None, None]]
}

#[test]
fn encoded_rows_are_decoded_to_the_same_rows() {
    assert_eq!(decode_chunks([encode_rows(&sample_rows()).as_slice()]).unwrap(), sample_rows());
}

#[test]
fn chunks_may_be_cut_at_every_byte() {
    let bytes = encode_rows(&sample_rows());
    for cut in 0..=bytes.len() {
        let (front, back) = bytes.split_at(cut);
        assert_eq!(decode_chunks([front, back]).unwrap(), sample_rows(), "cut at {cut}");
    }
    assert_eq!(decode_chunks(bytes.chunks(1)).unwrap(), sample_rows());
}

#[test]
fn a_row_is_returned_with_its_size_in_bytes() {
    let mut decoder = CopyDecoder::<2>::default();
    decoder.push_chunk(&encode_rows(&sample_rows()));
    assert_eq!(decoder.next_row().unwrap().unwrap().1, 2 + 4 + 3 + 4);
}

#[test]
fn a_copy_without_rows_is_complete() {
    assert_eq!(decode_chunks([encode_rows(&vec![]).as_slice()]).unwrap(), CopyValues::new());
}

#[test]
fn an_extension_of_the_header_is_skipped() {
    let mut bytes = [&SIGNATURE[..], &[0, 0, 0, 1], &3_i32.to_be_bytes(), b"xyz"].concat();
    bytes.extend((-1_i16).to_be_bytes());
    assert_eq!(decode_chunks(bytes.chunks(1)).unwrap(), CopyValues::new());
}

#[test]
fn a_truncated_copy_is_an_error() {
    let bytes = encode_rows(&sample_rows());
    for end in 0..bytes.len() {
        assert!(matches!(decode_chunks([&bytes[..end]]), Err(CopyError::Truncated(_))), "ends at {end}");
    }
}

#[test]
fn a_wrong_signature_is_refused_at_its_first_wrong_byte() {
    assert_eq!(decode_chunks([&b"PGCOPX"[..]]), Err(CopyError::Signature));
    assert_eq!(decode_chunks([&b"1\tpublic\n"[..]]), Err(CopyError::Signature));
}

#[test]
fn flags_that_change_the_format_are_refused() {
    let bytes = [&SIGNATURE[..], &0x0001_0000_u32.to_be_bytes(), &[0; 4]].concat();
    assert_eq!(decode_chunks([bytes.as_slice()]), Err(CopyError::Flags(0x0001_0000)));
}

#[test]
fn invalid_column_counts_and_lengths_are_refused() {
    let row = |columns: i16, length: i32| {
        [encode_header(), columns.to_be_bytes().into(), length.to_be_bytes().into()].concat()
    };
    assert_eq!(decode_chunks([row(3, 0).as_slice()]), Err(CopyError::Columns { found: 3, expected: 2 }));
    assert_eq!(decode_chunks([row(-2, 0).as_slice()]), Err(CopyError::Columns { found: -2, expected: 2 }));
    assert_eq!(decode_chunks([row(2, -2).as_slice()]), Err(CopyError::Length(-2)));
    let extension = [&SIGNATURE[..], &[0; 4], &(-5_i32).to_be_bytes()].concat();
    assert_eq!(decode_chunks([extension.as_slice()]), Err(CopyError::Length(-5)));
}

#[test]
fn bytes_after_the_trailer_are_refused() {
    let mut bytes = encode_rows(&sample_rows());
    bytes.extend(b"xy");
    assert_eq!(decode_chunks([bytes.as_slice()]), Err(CopyError::Trailing(2)));
    assert_eq!(decode_chunks(bytes.chunks(1)), Err(CopyError::Trailing(1)));
}

proptest! {
    #[test]
    fn rows_are_decoded_alike_however_the_chunks_are_cut(
        rows in prop::collection::vec(prop::array::uniform2(prop::option::of(prop::collection::vec(any::<u8>(), 0..50))), 0..20),
        cuts in prop::collection::vec(1..40_usize, 1..20),
    ) {
        let bytes = encode_rows(&rows);
        let (mut chunks, mut rest) = (vec![], bytes.as_slice());
        for size in cuts.iter().cycle() {
            let (chunk, remainder) = rest.split_at((*size).min(rest.len()));
            chunks.push(chunk);
            rest = remainder;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(decode_chunks(chunks).unwrap(), rows);
    }

    #[test]
    fn random_bytes_are_an_error_or_a_valid_copy(
        random in prop::collection::vec(any::<u8>(), 0..200),
        after_header: bool,
    ) {
        let bytes = if after_header { [encode_header(), random].concat() } else { random };
        // Random bytes are a valid copy only if the trailer comes first.
        if let Ok(rows) = decode_chunks(bytes.chunks(7)) {
            prop_assert_eq!(encode_rows(&rows), bytes);
        }
    }
}
