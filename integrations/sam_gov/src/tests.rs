//! Reading of small sources in each format.

mod damaged_sources;
mod json;
mod random_damage;
mod real_notices;

use std::io::{Cursor, Write};

use domain::opportunity::UsdCents;
use flate2::{Compression, write::GzEncoder};

use super::*;

/// A row of the extract, by column name.
fn csv_row(values: &[(&str, &str)]) -> String {
    let value = |name: &str| {
        let value = values.iter().find(|(column, _)| *column == name).map(|(_, value)| *value);
        value.unwrap_or(match name {
            "NoticeId" => "f7de794d27e242e89584e27bd9e2b7aa",
            "Title" => "Wheelchairs",
            "Department/Ind.Agency" => "\"VETERANS AFFAIRS, DEPARTMENT OF\"",
            "PostedDate" => "2026-03-03 07:17:50.808-05",
            "Type" => "Solicitation",
            _ => "",
        })
    };
    CSV_HEADER.map(value).join(",")
}

fn csv_file(rows: &[String]) -> String {
    format!("{}\r\n{}\r\n", CSV_HEADER.join(","), rows.join("\r\n"))
}

/// All rows of a source whose format is detected.
fn read(bytes: impl Into<Vec<u8>>) -> Result<Vec<ParsedRow>, SourceError> {
    let mut reader = open_source(Cursor::new(bytes.into()))?;
    let format = detect_format(&mut reader)?;
    read_notices(reader, format, SourceEncoding::Auto)?.collect()
}

fn read_one(bytes: impl Into<Vec<u8>>) -> Result<Notice, NoticeRowError> {
    let mut rows = read(bytes).unwrap();
    assert_eq!(rows.len(), 1);
    rows.remove(0).outcome
}

fn outcomes(rows: &[ParsedRow]) -> Vec<(u64, Option<NoticeRowError>)> {
    rows.iter().map(|row| (row.line, row.outcome.as_ref().err().cloned())).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn rejected_value(column: &'static str, reason: InvalidFieldReason) -> Result<Notice, NoticeRowError> {
    Err(NoticeRowError::Value { column, reason })
}

#[test]
fn a_csv_row_becomes_a_notice() {
    let row = csv_row(&[
        ("Sol#", " 36C24526Q0001 "),
        ("Title", "\"Wheelchairs, \"\"manual\"\"\""),
        ("SetASideCode", "SDVOSBC"),
        ("NaicsCode", "339113"),
        ("ResponseDeadLine", "2026-04-09"),
        ("ArchiveDate", "2026-04-24"),
        ("Active", "Yes"),
        ("PopState", "FL"),
        ("AwardNumber", "36C24526P0001"),
        ("Award$", "819300.5"),
        ("Awardee", "null 96349-1500"),
        ("Description", "<p>Folding &#8226; chairs</p>"),
        ("PrimaryContactEmail", "nobody@example.com"),
    ]);
    let notice = read_one(csv_file(&[row])).unwrap();
    assert_eq!(notice.opportunity_id().to_string(), "036:36C24526Q0001");
    assert_eq!(notice.posted_at.to_rfc3339(), "2026-03-03T12:17:50.808+00:00");
    let (details, award) = (&notice.details, notice.award.clone().unwrap());
    assert_eq!(details.title, "Wheelchairs, \"manual\"");
    assert_eq!(details.set_aside.as_ref().unwrap().as_str(), "SDVOSBC");
    assert_eq!(details.naics.as_ref().unwrap().as_str(), "339113");
    assert_eq!(details.response_deadline.unwrap().to_rfc3339(), "2026-04-09T00:00:00+00:00");
    assert_eq!(details.archive_on.unwrap().to_string(), "2026-04-24");
    assert_eq!(details.active, Some(true));
    assert_eq!(details.place.as_ref().unwrap().state.as_deref(), Some("FL"));
    assert_eq!(details.description.as_deref(), Some("<p>Folding &#8226; chairs</p>"));
    assert_eq!(details.base_type, None);
    assert_eq!((award.amount, award.awardee), (Some(UsdCents(81_930_050)), None));
    assert!(!format!("{notice:?}").contains("nobody"));
}

#[test]
fn no_set_aside_and_no_awardee_are_absent() {
    let row = csv_row(&[("SetASideCode", "NONE"), ("Awardee", "null ")]);
    let notice = read_one(csv_file(&[row])).unwrap();
    assert_eq!((notice.details.set_aside, notice.award), (None, None));
}

#[test]
fn an_invalid_required_value_is_reported_with_its_column_and_without_its_text() {
    for (column, text, reason) in [
        ("NoticeId", " ", InvalidFieldReason::Empty),
        (
            "NoticeId",
            "a b@example.com",
            InvalidFieldReason::Malformed { expected: "letters, digits, hyphens and underscores" },
        ),
        ("PostedDate", "", InvalidFieldReason::Empty),
        ("PostedDate", "16/03/2026", InvalidFieldReason::Malformed { expected: "a date between 1900 and 2299" }),
        ("Title", "a\0b", InvalidFieldReason::Malformed { expected: "text without NUL characters" }),
        ("Title", "null", InvalidFieldReason::Empty),
        ("Title", &"x".repeat(1_001), InvalidFieldReason::TooLong { max: 1_000 }),
    ] {
        let outcome = read_one(csv_file(&[csv_row(&[(column, text)])]));
        assert_eq!(outcome, rejected_value(column, reason));
        assert!(!outcome.unwrap_err().message_with_cause().contains("example.com"));
    }
}

#[test]
fn an_invalid_optional_value_is_omitted_and_reported_with_its_column() {
    for (column, text, reason) in [
        ("NaicsCode", "3", InvalidFieldReason::Malformed { expected: "two to six digits" }),
        ("NaicsCode", "3391130", InvalidFieldReason::TooLong { max: 6 }),
        ("NaicsCode", "33911X", InvalidFieldReason::Malformed { expected: "two to six digits" }),
        (
            "Award$",
            "Multiple  Award",
            InvalidFieldReason::Malformed { expected: "a number of dollars with two decimals" },
        ),
        ("Active", "maybe", InvalidFieldReason::Malformed { expected: "Yes or No" }),
        ("SetASideCode", "Total Small Business!", InvalidFieldReason::Malformed { expected: "letters and digits" }),
        ("ResponseDeadLine", "soon", InvalidFieldReason::Malformed { expected: "a date between 1900 and 2299" }),
        ("ArchiveDate", "0001-01-01", InvalidFieldReason::Malformed { expected: "a date between 1900 and 2299" }),
        ("PopCity", &"x".repeat(1_001), InvalidFieldReason::TooLong { max: 1_000 }),
        ("Description", &"x".repeat((256 << 10) + 1), InvalidFieldReason::TooLong { max: 256 << 10 }),
    ] {
        let mut rows = read(csv_file(&[csv_row(&[("Sol#", "S1"), ("Awardee", "Acme"), (column, text)])])).unwrap();
        let row = rows.remove(0);
        let notice = row.outcome.unwrap_or_else(|error| panic!("{column}: {}", error.message_with_cause()));
        assert_eq!((notice.details.naics, notice.award.unwrap().amount), (None, None), "{column}");
        assert_eq!(row.omitted_values, [rejected_value(column, reason).unwrap_err()]);
        assert_eq!(row.omitted_values[0].column(), Some(column));
    }
}

#[test]
fn changes_of_spreadsheets_to_values_are_reverted() {
    let plain = csv_row(&[("PopCity", "null"), ("Description", "NULL")]);
    assert_eq!(read_one(csv_file(&[plain])).unwrap().details.place, None);
    let values = [
        ("Sol#", "36001.0"),
        ("PostedDate", "3/3/2026 7:17"),
        ("NaicsCode", "339113.0"),
        ("ClassificationCode", "6515.0"),
        ("PopZip", "33612.0"),
        ("Award$", "36000.00000000004"),
        ("AwardDate", "3/16/2026"),
    ];
    let row = csv_row(&values);
    let semicolons = |line: &str| line.replace("\"VETERANS AFFAIRS, DEPARTMENT OF\"", "PEACE CORPS").replace(',', ";");
    let with_semicolons = format!("{}\r\n{}\r\n", CSV_HEADER.join(";"), semicolons(&row));
    let with_separator_line = format!("\u{feff}sep=;\r\n{with_semicolons}");
    let with_tabs = with_semicolons.replace(';', "\t");
    for file in [csv_file(&[row]), with_semicolons, with_separator_line, with_tabs] {
        let rows = read(file.clone()).unwrap();
        assert_eq!((rows.len(), rows[0].omitted_values.len()), (1, 0), "{file}");
        let notice = rows[0].outcome.as_ref().unwrap();
        let (details, award) = (&notice.details, notice.award.as_ref().unwrap());
        assert_eq!(notice.posted_at.to_rfc3339(), "2026-03-03T07:17:00+00:00");
        assert_eq!(details.solicitation_number.as_deref(), Some("36001"));
        assert_eq!(details.naics.as_ref().unwrap().as_str(), "339113");
        assert_eq!((details.psc.as_deref(), award.amount), (Some("6515"), Some(UsdCents(3_600_000))));
        assert_eq!(details.place.as_ref().unwrap().zip.as_deref(), Some("33612"));
        assert_eq!(award.date.unwrap().to_string(), "2026-03-16");
    }
}

#[test]
fn rows_in_windows_1252_are_read_and_counted() {
    let quoted = csv_row(&[("NoticeId", "a1"), ("Description", "~Beds~")]).into_bytes();
    let quoted: Vec<u8> = quoted.into_iter().map(|byte| if byte == b'~' { 0x93 } else { byte }).collect();
    let file = [csv_file(&[csv_row(&[])]).into_bytes(), quoted, b"\r\n".to_vec()].concat();
    let mut rows =
        read_notices(open_source(Cursor::new(file)).unwrap(), SourceFormat::Csv, SourceEncoding::Auto).unwrap();
    let warnings = rows.warnings();
    let notices: Vec<_> = rows.by_ref().map(|row| row.unwrap().outcome.unwrap()).collect();
    assert_eq!(notices[1].details.description.as_deref(), Some("“Beds“"));
    assert!(warnings.list()[0].starts_with("1 rows are not UTF-8"), "{:?}", warnings.list());
}

#[test]
fn a_title_may_have_a_thousand_characters_of_any_script() {
    let title = "ü".repeat(1_000);
    assert_eq!(read_one(csv_file(&[csv_row(&[("Title", &title)])])).unwrap().details.title, title);
}

#[test]
fn rows_are_numbered_by_their_physical_line() {
    let rows = [
        csv_row(&[("Description", "\"one\r\ntwo\n\nthree\"")]),
        String::new(),
        csv_row(&[]),
        csv_row(&[("NoticeId", "")]),
    ];
    let rows = read(csv_file(&rows)).unwrap();
    let lines: Vec<_> = rows.iter().map(|row| (row.line, row.outcome.is_ok())).collect();
    assert_eq!(lines, [(2, true), (7, true), (8, false)]);
}

#[test]
fn columns_may_be_in_another_order_with_others_between_them() {
    let row = csv_row(&[("Title", "Beds")]);
    let reversed = |line: &str| line.split(',').rev().collect::<Vec<_>>().join(",");
    let row = row.replace("\"VETERANS AFFAIRS, DEPARTMENT OF\"", "PEACE CORPS");
    let file = format!("{},Extra\n{},more\n", reversed(&CSV_HEADER.join(",")), reversed(&row));
    assert_eq!(read_one(file).unwrap().details.title, "Beds");
}

#[test]
fn contact_columns_may_be_absent() {
    let header: Vec<_> = CSV_HEADER.iter().filter(|name| !name.contains("Contact")).copied().collect();
    let row = header.iter().map(|name| match *name {
        "NoticeId" => "abc",
        "Title" | "Type" | "Department/Ind.Agency" => "Beds",
        "PostedDate" => "2026-03-16",
        _ => "",
    });
    let file = format!("{}\n{}", header.join(","), row.collect::<Vec<_>>().join(","));
    assert_eq!(read_one(file).unwrap().details.title, "Beds");
}

#[test]
fn gzip_with_several_members_is_one_source() {
    let file = csv_file(&[csv_row(&[]), csv_row(&[])]);
    let (first, second) = file.as_bytes().split_at(file.len() / 2);
    let compressed = [gzip(first), gzip(second)].concat();
    assert_eq!(read(compressed).unwrap().len(), 2);
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let file = format!("\u{feff}{}", csv_file(&[csv_row(&[])]));
    assert!(read_one(file).is_ok());
    assert!(read_one(format!("\u{feff}{}", json::LINE)).is_ok());
}
