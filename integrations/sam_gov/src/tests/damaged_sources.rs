//! Sources that are damaged or have no notices: valid rows in them are read.

use std::{fs::File, io::Read};

use super::*;

fn source_error(bytes: impl Into<Vec<u8>>) -> SourceError {
    read(bytes).unwrap_err()
}

#[test]
fn an_empty_source_is_refused() {
    assert!(matches!(source_error(""), SourceError::Empty));
    assert!(matches!(source_error(gzip(b"")), SourceError::Empty));
    assert!(matches!(source_error("\u{feff}"), SourceError::Empty));
}

#[test]
fn a_directory_is_refused() {
    let folder = File::open(env!("CARGO_MANIFEST_DIR")).unwrap();
    assert!(matches!(open_source(folder).err(), Some(SourceError::Directory)));
}

#[test]
fn sources_that_are_evidently_not_text_are_refused_with_their_format() {
    for (bytes, name) in [
        (&b"PK\x03\x04rest"[..], "a zip archive (unpack it first)"),
        (b"%PDF-1.7", "a PDF"),
        (b"\xff\xfeN\0o\0t\0", "UTF-16 text (convert it to UTF-8 first)"),
        (b"\x7fELF\0\0\0\0\0\0", "binary data"),
    ] {
        let SourceError::NotThisFormat { found, .. } = source_error(bytes) else { panic!("{name}") };
        assert_eq!(found, name);
    }
}

#[test]
fn a_header_without_required_columns_is_refused_with_their_names() {
    let header = CSV_HEADER.map(|name| if name == "Title" { "Titel" } else { name }).join(",");
    let SourceError::Columns { missing, unexpected, twice } = source_error(format!("{header},NoticeId\n")) else {
        panic!("the header was accepted");
    };
    assert_eq!((missing, unexpected, twice), (vec!["Title".into()], vec!["Titel".into()], vec!["NoticeId".into()]));
}

#[test]
fn a_source_of_another_format_than_the_requested_one_is_refused() {
    let read_as = |text: &str, format| {
        read_notices(open_source(Cursor::new(text.to_owned())).unwrap(), format, SourceEncoding::Auto)
            .and_then(Iterator::collect)
    };
    let csv = csv_file(&[csv_row(&[])]);
    let is_other_format =
        |outcome: Result<Vec<ParsedRow>, _>| matches!(outcome, Err(SourceError::NotThisFormat { .. }));
    assert!(is_other_format(read_as(&csv, SourceFormat::Json)));
    assert!(is_other_format(read_as(&csv, SourceFormat::Ndjson)));
    assert!(is_other_format(read_as("{\"error\": {\"code\": \"API_KEY_INVALID\"}}", SourceFormat::Json)));
    assert!(matches!(read_as(json::LINE, SourceFormat::Csv), Err(SourceError::Columns { .. })));
}

#[test]
fn damaged_gzip_gives_its_valid_rows_and_then_an_error() {
    let rows: Vec<_> = (0..2_000).map(|n| csv_row(&[("NoticeId", &format!("{n:032x}"))])).collect();
    let mut compressed = gzip(csv_file(&rows).as_bytes());
    compressed.truncate(compressed.len() - 100);
    let outcome: Vec<_> =
        read_notices(open_source(Cursor::new(compressed)).unwrap(), SourceFormat::Csv, SourceEncoding::Auto)
            .unwrap()
            .collect();
    let (last, valid) = outcome.split_last().unwrap();
    assert!(valid.len() > 100 && valid.iter().all(|row| row.as_ref().is_ok_and(|row| row.outcome.is_ok())));
    assert!(matches!(last, Err(SourceError::BrokenGzip(_))), "{last:?}");
}

#[test]
fn a_disk_error_is_not_reported_as_damaged_gzip() {
    struct FailingReader;
    impl Read for FailingReader {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk failed"))
        }
    }
    let compressed = Cursor::new(gzip(b"NoticeId")[..12].to_vec()).chain(FailingReader);
    assert!(matches!(open_source(compressed).err(), Some(SourceError::Read(_))));
}

#[test]
fn a_row_with_too_few_or_too_many_fields_is_one_rejected_row() {
    let good = csv_row(&[]);
    let rows = read(csv_file(&[format!("{good},"), good.clone(), "a,b".to_owned(), good])).unwrap();
    let count = |found| Some(NoticeRowError::FieldCount { expected: 47, found });
    assert_eq!(outcomes(&rows), [(2, count(48)), (3, None), (4, count(2)), (5, None)]);
}

#[test]
fn an_unclosed_quote_makes_one_rejected_row() {
    let good = csv_row(&[]);
    let plain = good.replace("\"VETERANS AFFAIRS, DEPARTMENT OF\"", "PEACE CORPS");
    let unclosed = format!("{}\"never closed", good.strip_suffix(',').unwrap().to_owned() + ",");
    // The rows after it have no quote, or one that would be read as the closing quote.
    for later in [&plain, &good] {
        let rows = read(csv_file(&[good.clone(), unclosed.clone(), later.clone(), later.clone()])).unwrap();
        assert_eq!(outcomes(&rows), [(2, None), (3, Some(NoticeRowError::Quoting)), (4, None), (5, None)]);
    }
}

#[test]
fn rows_before_the_closing_quote_of_a_later_row_are_read() {
    let plain = csv_row(&[]).replace("\"VETERANS AFFAIRS, DEPARTMENT OF\"", "PEACE CORPS");
    let opened = format!("x,\"{plain}");
    let closed = format!("y,z\",{plain}");
    let rows = read(csv_file(&[opened, plain.clone(), closed, plain])).unwrap();
    let lines: Vec<_> = rows.iter().map(|row| (row.line, row.outcome.is_ok())).collect();
    assert_eq!(lines, [(2, false), (3, true), (4, false), (5, true)]);
}

#[test]
fn a_row_of_several_lines_with_too_many_fields_is_one_rejected_row() {
    let long = csv_row(&[("Description", "\"one\r\ntwo, with a comma\n\nthree\"")]);
    let rows = read(csv_file(&[format!("{long},more"), csv_row(&[])])).unwrap();
    let count = Some(NoticeRowError::FieldCount { expected: 47, found: 48 });
    assert_eq!(outcomes(&rows), [(2, count), (6, None)]);
}

#[test]
fn a_damaged_row_of_a_utf_8_file_is_one_rejected_row() {
    let good = csv_row(&[("PopCity", "Mayagüez")]);
    let mut bytes = csv_file(&[csv_row(&[("PopCity", "Mayag?ez"), ("PopState", "é")]), good]).into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'?').unwrap();
    bytes[at] = 0xfc;
    assert_eq!(outcomes(&read(bytes).unwrap()), [(2, Some(NoticeRowError::NotUtf8)), (3, None)]);
}

#[test]
fn a_field_or_row_that_is_too_large_is_one_rejected_row() {
    let good = csv_row(&[]);
    let large = csv_row(&[("Title", &"x".repeat(MAX_FIELD_BYTES + 1))]);
    let huge = csv_row(&[("Title", &"x".repeat(MAX_ROW_BYTES * 2))]);
    let quoted = csv_row(&[("Title", &format!("\"{}\"", "x".repeat(MAX_ROW_BYTES * 2)))]);
    let rows = read(csv_file(&[large, good.clone(), huge, good.clone(), quoted, good])).unwrap();
    let too_large = NoticeRowError::FieldTooLarge { column: "Title".to_owned(), limit: MAX_FIELD_BYTES };
    let row_too_large = || Some(NoticeRowError::RowTooLarge { limit: MAX_ROW_BYTES });
    assert_eq!(
        outcomes(&rows),
        [(2, Some(too_large)), (3, None), (4, row_too_large()), (5, None), (6, row_too_large()), (7, None)]
    );
}

#[test]
fn a_damaged_row_says_which_notice_it_is_where_its_id_is_well_formed() {
    let id = |n: u32| format!("{n:032x}");
    let row = |n: u32, values: &[(&str, &str)]| csv_row(&[&[("NoticeId", id(n).as_str())], values].concat());
    let unclosed = format!("{}\"never closed", row(3, &[]).strip_suffix(',').unwrap().to_owned() + ",");
    let rows = read(csv_file(&[
        row(0, &[("PopState", "é")]),
        format!("{},cut off", id(1)),
        row(2, &[("Description", "\"one\ntwo\"")]) + ",more",
        unclosed,
        row(4, &[("Title", &"x".repeat(MAX_FIELD_BYTES + 1))]),
        row(5, &[("Title", &"x".repeat(MAX_ROW_BYTES * 2))]),
        // Text of another column.
        "Wheelchairs,manual".to_owned(),
        row(7, &[]),
    ]));
    let rows = rows.unwrap();
    let found: Vec<_> = rows.iter().map(|row| row.notice_id.as_ref().map(ToString::to_string)).collect();
    assert_eq!(found.len(), 8);
    assert_eq!(found[..6], [0, 1, 2, 3, 4, 5].map(|n| Some(id(n))));
    assert_eq!((&found[6], &found[7]), (&None, &Some(id(7))));
    assert!(rows[1..7].iter().all(|row| row.outcome.is_err()));

    let mut bytes = csv_file(&[row(0, &[("PopState", "é")]), row(1, &[("PopCity", "Mayag?ez")])]).into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'?').unwrap();
    bytes[at] = 0xfc;
    let damaged = read(bytes).unwrap().remove(1);
    assert_eq!(
        (damaged.outcome.unwrap_err(), damaged.notice_id.unwrap().to_string()),
        (NoticeRowError::NotUtf8, id(1))
    );
}

#[test]
fn a_file_of_unmatched_quotes_is_read_in_bounded_time_and_every_line_is_reported() {
    let lines = 2_000_000_u64;
    let file = format!("{}\n{}", CSV_HEADER.join(","), "x\",\"\n".repeat(usize::try_from(lines).unwrap()));
    let mut next_line = 2;
    for row in read(file).unwrap() {
        assert_eq!(row.line, next_line);
        next_line = match row.outcome {
            Err(NoticeRowError::Unreadable { through }) => through + 1,
            Err(_) => next_line + 1,
            Ok(_) => panic!("a row of quotes became a notice"),
        };
    }
    assert_eq!(next_line, lines + 2);
}
