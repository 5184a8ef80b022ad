//! The real records of March 2026. They are not part of the repository: without their folder these tests say so and
//! check nothing.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::Write as _,
    path::Path,
    time::Instant,
};

use domain::opportunity::OpportunityId;

use super::*;

/// Reads a record file, unless it is not there.
fn notices(file: &str, format: SourceFormat) -> Option<Vec<Notice>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/sam").join(file);
    let Ok(file) = File::open(&path) else {
        // Written past the harness, which would keep it from the reader.
        writeln!(std::io::stderr(), "skipped: the real records are not at {}", path.display()).unwrap();
        return None;
    };
    let started = Instant::now();
    let mut reader = open_source(file).unwrap();
    assert_eq!(detect_format(&mut reader).unwrap(), format);
    let notices: Vec<_> = read_notices(reader, format, SourceEncoding::Auto)
        .unwrap()
        .map(|row| row.unwrap())
        .map(|row| row.outcome.unwrap_or_else(|why| panic!("line {}: {}", row.line, why.message_with_cause())))
        .collect();
    println!("{} rows in {:?}", notices.len(), started.elapsed());
    Some(notices)
}

fn csv() -> Option<Vec<Notice>> {
    notices("notices_full47_2026-03.csv", SourceFormat::Csv)
}

fn text() -> Option<Vec<Notice>> {
    notices("notices_text_2026-03.ndjson.gz", SourceFormat::Ndjson)
}

fn ids(notices: &[Notice]) -> HashMap<&str, OpportunityId> {
    notices.iter().map(|notice| (notice.notice_id.as_str(), notice.opportunity_id())).collect()
}

#[test]
fn every_row_of_the_real_csv_is_understood() {
    let Some(notices) = csv() else { return };
    assert_eq!(notices.len(), 6_185);
    let opportunities: HashSet<_> = notices.iter().map(Notice::opportunity_id).collect();
    assert_eq!(opportunities.len(), 5_945);
    let awards = notices.iter().filter(|notice| notice.award.is_some()).count();
    let with_text = notices.iter().filter(|notice| notice.facts.description.is_some()).count();
    println!("{awards} awards, {with_text} texts");
    assert_eq!(with_text, 6_185 - 3_246);
}

#[test]
fn every_line_of_the_real_text_is_understood() {
    let Some(notices) = text() else { return };
    assert_eq!(notices.len(), 30_478);
    assert!(notices.iter().all(|notice| notice.facts.link.is_some()));
    let opportunities: HashSet<_> = notices.iter().map(Notice::opportunity_id).collect();
    println!("{} opportunities", opportunities.len());
}

#[test]
fn every_element_of_the_real_page_is_understood() {
    let Some(notices) = notices("api-v2-example/opportunities_v2_page.json", SourceFormat::Json) else { return };
    assert_eq!(notices.len(), 10);
    assert!(notices.iter().all(|notice| notice.facts.description.is_none()));
    assert_eq!(notices[0].opportunity_id().to_string(), "097:N0002426SN20");
    assert_eq!(notices.iter().filter(|notice| notice.award.is_some()).count(), 1);
}

#[test]
fn both_formats_name_the_same_opportunity_for_a_notice() {
    let (Some(csv), Some(text)) = (csv(), text()) else { return };
    let (csv, text) = (ids(&csv), ids(&text));
    let both: Vec<_> = csv.keys().filter(|id| text.contains_key(*id)).collect();
    assert_eq!(both.len(), 5_631);
    assert!(both.iter().all(|id| csv[**id] == text[**id]));
}
