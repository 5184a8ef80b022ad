//! Random reads and random damage: the size of reads does not matter, and damage never makes reading panic or hang.

use std::io::BufReader;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use synthetic::notice_generator::{NoticeGenerator, RowQuality, write_csv_with_quality};

use super::*;

fn generate_csv() -> Vec<u8> {
    let mut bytes = vec![];
    write_csv_with_quality(&mut bytes, NoticeGenerator::new(60, 11), RowQuality::Broken, |_| {}).unwrap();
    bytes
}

fn sources() -> [(Vec<u8>, SourceFormat); 3] {
    let lines = [json::LINE, "{broken", "", json::LINE].join("\r\n");
    let pages = [json::PAGE, json::PAGE].join("\n");
    [
        (generate_csv(), SourceFormat::Csv),
        (pages.into_bytes(), SourceFormat::Json),
        (lines.into_bytes(), SourceFormat::Ndjson),
    ]
}

fn read_in_chunks(bytes: &[u8], format: SourceFormat, size: usize) -> Vec<(u64, Option<NoticeRowError>)> {
    let reader = BufReader::with_capacity(size, Cursor::new(bytes.to_vec()));
    let rows: Vec<_> =
        read_notices(Box::new(reader), format, SourceEncoding::Auto).unwrap().map(|row| row.unwrap()).collect();
    outcomes(&rows)
}

#[test]
fn the_size_of_reads_does_not_change_the_rows() {
    for (bytes, format) in sources() {
        let whole = read_in_chunks(&bytes, format, bytes.len());
        for size in [1, 2, 3, 7, 64] {
            assert!(read_in_chunks(&bytes, format, size) == whole, "{format:?} in reads of {size} bytes");
        }
    }
}

#[test]
fn damaged_sources_neither_panic_nor_give_rows_out_of_order() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for (bytes, format) in sources() {
        for _ in 0..400 {
            let mut bytes = bytes.clone();
            for _ in 0..=rng.next_u32() % 4 {
                let at = rng.next_u32() as usize % bytes.len();
                bytes[at] = b"\"\",\n\r{}[]\\\0\xff"[rng.next_u32() as usize % 12];
            }
            let Ok(rows) = read_notices(Box::new(Cursor::new(bytes)), format, SourceEncoding::Auto) else { continue };
            let mut last = 0;
            for row in rows.map_while(Result::ok) {
                assert!(row.line >= last, "{format:?} goes back from line {last} to {}", row.line);
                last = row.line;
            }
        }
    }
}
