//! Real notices of March 2026. They are not part of the repository: without their folder these tests report that they
//! are skipped, and check nothing.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::Write as _,
    path::Path,
    time::Instant,
};

use domain::opportunity::OpportunityId;

use super::*;

/// Reads a file of notices; `None` if it does not exist.
fn read_file(file: &str, format: SourceFormat) -> Option<Vec<Notice>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/sam").join(file);
    let Ok(file) = File::open(&path) else {
        // Written past the test harness, which would capture it.
        writeln!(std::io::stderr(), "skipped: the real notices are not at {}", path.display()).unwrap();
        return None;
    };
    let started = Instant::now();
    let mut reader = open_source(file).unwrap();
    assert_eq!(detect_format(&mut reader).unwrap(), format);
    let notices: Vec<_> = read_notices(reader, format, SourceEncoding::Auto)
        .unwrap()
        .map(|row| row.unwrap())
        .map(|row| row.outcome.unwrap_or_else(|error| panic!("line {}: {}", row.line, error.message_with_cause())))
        .collect();
    println!("{} rows in {:?}", notices.len(), started.elapsed());
    Some(notices)
}

fn read_csv() -> Option<Vec<Notice>> {
    read_file("notices_full47_2026-03.csv", SourceFormat::Csv)
}

fn read_text() -> Option<Vec<Notice>> {
    read_file("notices_text_2026-03.ndjson.gz", SourceFormat::Ndjson)
}

fn ids(notices: &[Notice]) -> HashMap<&str, OpportunityId> {
    notices.iter().map(|notice| (notice.notice_id.as_str(), notice.opportunity_id())).collect()
}

#[test]
fn every_row_of_the_real_csv_is_a_notice() {
    let Some(notices) = read_csv() else { return };
    assert_eq!(notices.len(), 6_185);
    let opportunities: HashSet<_> = notices.iter().map(Notice::opportunity_id).collect();
    assert_eq!(opportunities.len(), 5_945);
    let awards = notices.iter().filter(|notice| notice.award.is_some()).count();
    let with_text = notices.iter().filter(|notice| notice.details.description.is_some()).count();
    println!("{awards} awards, {with_text} texts");
    assert_eq!(with_text, 6_185 - 3_246);
}

#[test]
fn every_line_of_the_real_text_is_a_notice() {
    let Some(notices) = read_text() else { return };
    assert_eq!(notices.len(), 30_478);
    assert!(notices.iter().all(|notice| notice.details.link.is_some()));
    let opportunities: HashSet<_> = notices.iter().map(Notice::opportunity_id).collect();
    println!("{} opportunities", opportunities.len());
}

#[test]
fn every_element_of_the_real_page_is_a_notice() {
    let Some(notices) = read_file("api-v2-example/opportunities_v2_page.json", SourceFormat::Json) else { return };
    assert_eq!(notices.len(), 10);
    assert!(notices.iter().all(|notice| notice.details.description.is_none()));
    assert_eq!(notices[0].opportunity_id().to_string(), "097:N0002426SN20");
    assert_eq!(notices.iter().filter(|notice| notice.award.is_some()).count(), 1);
    let links: Vec<_> = notices.iter().map(|notice| notice.details.resource_links.as_ref()).collect();
    let counts: Vec<_> = links.iter().map(|links| links.map(|links| links.iter().count())).collect();
    assert_eq!(counts, [None, None, Some(5), Some(1), Some(7), None, None, Some(1), Some(7), None]);
    assert_eq!(
        links[3].unwrap().iter().next().unwrap().as_str(),
        "https://sam.gov/api/prod/opps/v3/opportunities/resources/files/7b17df63f70f443ca7f469c503e25619/download"
    );
}

#[test]
fn both_formats_give_a_notice_the_same_opportunity_id() {
    let (Some(csv), Some(text)) = (read_csv(), read_text()) else { return };
    let (csv, text) = (ids(&csv), ids(&text));
    let common_ids: Vec<_> = csv.keys().filter(|id| text.contains_key(*id)).collect();
    assert_eq!(common_ids.len(), 5_631);
    assert!(common_ids.iter().all(|id| csv[**id] == text[**id]));
}
