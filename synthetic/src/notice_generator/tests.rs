//! The generator: its bytes are pinned, and its rows are parsed and counted.

use std::{
    collections::{HashMap, HashSet},
    io::Cursor,
    time::Instant,
};

use domain::opportunity::Notice;
use flate2::Crc;
use sam_gov::{ParsedRow, SourceEncoding, SourceFormat, open_source, read_notices};

use super::*;

fn generate_csv(rows: u64, seed: u64) -> Vec<u8> {
    let mut bytes = vec![];
    write_csv(&mut bytes, rows, seed, |_| {}).unwrap();
    bytes
}

fn read(bytes: Vec<u8>) -> Vec<ParsedRow> {
    read_notices(open_source(Cursor::new(bytes)).unwrap(), SourceFormat::Csv, SourceEncoding::Auto)
        .unwrap()
        .map(|row| row.unwrap())
        .collect()
}

fn notices(bytes: Vec<u8>) -> Vec<Notice> {
    read(bytes)
        .into_iter()
        .map(|row| row.outcome.unwrap_or_else(|error| panic!("line {}: {}", row.line, error.message_with_cause())))
        .collect()
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Demonstrations, documents and measurements refer to these rows, so their bytes are pinned.
#[test]
fn the_same_seed_gives_the_pinned_bytes() {
    let bytes = generate_csv(1_000, 1);
    assert_eq!((bytes.len(), crc(&bytes)), (906_065, 2_756_829_196));
    assert_ne!(crc(&generate_csv(1_000, 2)), crc(&bytes));
}

#[test]
fn a_longer_run_starts_with_the_rows_of_a_shorter_one() {
    assert!(generate_csv(600, 3).starts_with(&generate_csv(300, 3)));
}

#[test]
fn the_csv_crate_reads_the_same_fields() {
    let bytes = generate_csv(2_000, 5);
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    assert_eq!(reader.headers().unwrap(), &StringRecord::from(CSV_HEADER.to_vec()));
    let read: Vec<StringRecord> = reader.records().map(Result::unwrap).collect();
    assert!(read == NoticeGenerator::new(2_000, 5).collect::<Vec<_>>());
}

#[test]
fn all_rows_are_notices_in_realistic_shares() {
    let started = Instant::now();
    let bytes = generate_csv(20_000, 1);
    let (written, size) = (started.elapsed(), bytes.len());
    let notices = notices(bytes);
    println!("20000 rows, {size} bytes: written in {written:?}, written and read in {:?}", started.elapsed());
    assert_eq!(notices.len(), 20_000);

    let share_of =
        |holds: &dyn Fn(&Notice) -> bool| notices.iter().filter(|notice| holds(notice)).count() * 1_000 / 20_000;
    let has_type = |kind: &'static str| move |notice: &Notice| notice.details.notice_type.as_str() == kind;
    let shares: [(&str, usize, std::ops::RangeInclusive<usize>); 12] = [
        ("combined", share_of(&has_type("Combined Synopsis/Solicitation")), 280..=400),
        ("solicitation", share_of(&has_type("Solicitation")), 170..=280),
        ("sources sought", share_of(&has_type("Sources Sought")), 50..=110),
        ("award notice", share_of(&has_type("Award Notice")), 220..=320),
        ("award", share_of(&|notice| notice.award.is_some()), 220..=320),
        ("no description", share_of(&|notice| notice.details.description.is_none()), 450..=550),
        ("no NAICS", share_of(&|notice| notice.details.naics.is_none()), 15..=45),
        (
            "short NAICS",
            share_of(&|notice| notice.details.naics.as_ref().is_some_and(|code| code.as_str().len() < 6)),
            2..=20,
        ),
        (
            "late deadline",
            share_of(&|notice| notice.details.response_deadline.is_some_and(|due| due < notice.posted_at)),
            5..=40,
        ),
        ("not ASCII", share_of(&|notice| !notice.details.title.is_ascii()), 30..=250),
        ("quote or comma", share_of(&|notice| notice.details.title.contains(['"', ','])), 100..=500),
        ("set aside", share_of(&|notice| notice.details.set_aside.is_some()), 350..=550),
    ];
    for (what, share, expected) in shares {
        println!("{what}: {share} per mille");
        assert!(expected.contains(&share), "{what}: {share} per mille");
    }
    assert_solicitations_have_histories(&notices);
}

fn assert_solicitations_have_histories(notices: &[Notice]) {
    let mut by_opportunity: HashMap<String, Vec<&Notice>> = HashMap::new();
    for notice in notices {
        by_opportunity.entry(notice.opportunity_id().to_string()).or_default().push(notice);
    }
    let ids: HashSet<_> = notices.iter().map(|notice| &notice.notice_id).collect();
    assert_eq!(ids.len(), notices.len());
    let with_several = by_opportunity.values().filter(|notices| notices.len() > 1).count();
    let longest = by_opportunity.values().map(Vec::len).max().unwrap();
    let retyped = by_opportunity.values().filter(|notices| {
        notices.iter().any(|notice| notice.details.solicitation_number != notices[0].details.solicitation_number)
    });
    let count_amendments = |notices: &Vec<&Notice>| {
        notices[1..].iter().filter(|notice| notice.details.notice_type.as_str() != "Award Notice").count()
    };
    let amendments = by_opportunity.values().map(count_amendments).sum::<usize>() * 1_000 / notices.len();
    println!("{amendments} per mille amendments");
    assert!((140..=230).contains(&amendments));
    println!("{} opportunities, {with_several} with several notices, {longest} at most", by_opportunity.len());
    assert!((11_000..14_500).contains(&by_opportunity.len()));
    assert!(with_several > 3_000 && longest > 100 && retyped.count() > 100);
}

#[test]
fn any_number_of_rows_is_published_within_one_year() {
    let mut generator = NoticeGenerator::new(10_000_000, 9);
    let start = generator.calendar.now();
    generator.by_ref().take(50_000).for_each(drop);
    let days = (generator.calendar.now() - start).num_days();
    assert!(generator.open.len() <= MAX_OPEN && days < 365 / 200 + 5, "{days} days");
}

#[test]
fn each_broken_row_is_one_rejected_row() {
    let mut bytes = vec![];
    let mut progress = vec![];
    let generator = NoticeGenerator::new(5_000, 4);
    let written =
        write_csv_with_quality(&mut bytes, generator, RowQuality::Broken, |rows| progress.push(rows)).unwrap();
    let read = read(bytes);
    let rejected = read.iter().filter(|row| row.outcome.is_err()).count() as u64;
    assert_eq!(progress, [1_000, 2_000, 3_000, 4_000, 5_000, 5_000]);
    assert!(written.broken > 50, "{written:?}");
    assert_eq!((read.len() as u64, rejected), (written.rows, written.broken));
}

#[test]
fn every_email_address_is_at_example_com() {
    let text = String::from_utf8(generate_csv(2_000, 6)).unwrap();
    assert!(text.split_whitespace().filter(|word| word.contains('@')).all(|word| word.contains("@example.com")));
}
