//! The text lines and the API pages.

use domain::opportunity::NoticeSource;

use super::*;

/// A line of the text format.
pub(super) const LINE: &str = r#"{"title": "Patient lifts", "agency": "PEACE CORPS", "notice_type": "Solicitation", "notice_id": "abc", "h_agency": "PEACE CORPS", "h_type": "Solicitation", "h_posted": "2026-03-25 10:21:55.978-04", "h_solicitation_number": "PC-26-Q-1", "summary": "No summary provided.", "contacts_md": "- Name: Nobody", "h_awardee": "null", "h_award_amount": "12.5", "links_md": "- [page](https://sam.gov/workspace/contract/opp/abc/view)"}"#;

/// A page with broken elements.
pub(super) const PAGE: &str = r#"{
 "totalRecords": 3, "limit": 10, "offset": 0, "nested": {"opportunitiesData": [1, {"a": "]}"}]},
 "opportunitiesData": [
  {"noticeId": "abc", "title": "CT \"scanner\" ]}", "solicitationNumber": "PC-26-Q-2", "postedDate": "2026-02-02",
   "fullParentPathName": "PEACE CORPS.FIELD.U.S. OFFICE", "type": "Award Notice", "typeOfSetAside": "", "naicsCode": null,
   "naicsCodes": ["334517"], "active": "Yes", "award": {"amount": 5000000.25, "awardee": {"name": "Juniper Imaging"}},
   "pointOfContact": [{"fullName": "Nobody"}], "description": "https://api.sam.gov/noticedesc?noticeid=abc",
   "placeOfPerformance": {"state": {"code": "TX", "name": "Texas"}, "country": {"name": "UNITED STATES"}}},
  {"noticeId": "def", "title": ["no text"]},
  {"noticeId": oops},
  [1, 2], "text"
 ], "links": []
}"#;

#[test]
fn a_text_line_becomes_a_notice() {
    let notice = read_one(LINE).unwrap();
    assert_eq!(notice.source, NoticeSource::SamText);
    assert_eq!(notice.opportunity_id().to_string(), "PEACE-CORPS:PC26Q1");
    assert_eq!(notice.facts.link.as_deref(), Some("https://sam.gov/workspace/contract/opp/abc/view"));
    assert_eq!(notice.facts.description, None);
    let award = notice.award.clone().unwrap();
    assert_eq!((award.amount, award.awardee), (Some(Cents(1_250)), None));
    assert!(!format!("{notice:?}").contains("Nobody"));
}

#[test]
fn a_broken_line_is_one_rejected_row() {
    let huge = LINE.replace("Patient lifts", &"x".repeat(MAX_ROW * 2));
    let shape = LINE.replace("\"Patient lifts\"", "{\"a\": [1]}");
    let file = [LINE, "{\"title\": ", "", &huge, "[]", &shape, "\"x\"", LINE].join("\n");
    let rows = read(file).unwrap();
    let title = refused("title", Reason::Malformed { expected: "a text" }).unwrap_err();
    assert_eq!(
        outcomes(&rows),
        [
            (1, None),
            (2, Some(RowError::NotJson { at: 9 })),
            (4, Some(RowError::RowTooLarge { limit: MAX_ROW })),
            (5, Some(refused("notice_id", Reason::Empty).unwrap_err())),
            (6, Some(title)),
            (7, Some(RowError::WrongShape)),
            (8, None),
        ]
    );
}

#[test]
fn a_line_that_is_not_utf_8_is_one_rejected_row() {
    let mut bytes = format!("{LINE}\n{LINE}").into_bytes();
    bytes[12] = 0xff;
    assert_eq!(outcomes(&read(bytes).unwrap()), [(1, Some(RowError::NotUtf8)), (2, None)]);
}

#[test]
fn the_elements_of_a_page_become_notices() {
    let rows = read(PAGE).unwrap();
    let lines: Vec<_> = rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [4, 9, 10, 11, 11]);
    let notice = rows[0].outcome.as_ref().unwrap();
    assert_eq!(notice.facts.title, "CT \"scanner\" ]}");
    assert_eq!(notice.facts.agency.code, "PEACE-CORPS");
    assert_eq!(notice.facts.sub_tier.as_deref(), Some("FIELD"));
    assert_eq!(notice.facts.office.as_deref(), Some("U.S. OFFICE"));
    assert_eq!(notice.facts.naics.as_ref().unwrap().as_str(), "334517");
    assert_eq!((&notice.facts.description, &notice.facts.set_aside), (&None, &None));
    assert_eq!(notice.award.as_ref().unwrap().amount, Some(Cents(500_000_025)));
    let place = notice.facts.place.as_ref().unwrap();
    assert_eq!((place.state.as_deref(), place.country.as_deref()), (Some("TX"), Some("UNITED STATES")));
    assert!(!format!("{notice:?}").contains("Nobody"));
}

#[test]
fn an_element_that_is_no_notice_is_one_rejected_row() {
    let rows = read(PAGE).unwrap();
    let why: Vec<_> = rows[1..].iter().map(|row| row.outcome.clone().unwrap_err()).collect();
    let posted = refused("postedDate", Reason::Empty).unwrap_err();
    assert_eq!(why[0], posted);
    assert!(matches!(why[1], RowError::NotJson { .. }));
    assert_eq!(why[3], RowError::WrongShape);
}

#[test]
fn pages_may_follow_each_other() {
    assert_eq!(read([PAGE, PAGE].join("\n")).unwrap().len(), 10);
    assert_eq!(read(r#"{"totalRecords": 0, "opportunitiesData": []}"#).unwrap().len(), 0);
}

#[test]
fn a_page_that_breaks_off_gives_its_good_rows_and_then_says_so() {
    for end in [700, PAGE.len() - 20, PAGE.len() - 2] {
        let reader = open(Cursor::new(PAGE[..end].to_owned())).unwrap();
        let rows: Vec<_> = rows(reader, Format::Json).unwrap().collect();
        let (last, good) = rows.split_last().unwrap();
        assert!(matches!(last, Err(SourceError::BreaksOff { .. })), "{end}: {last:?}");
        assert!(good.iter().all(Result::is_ok));
    }
    let lost_bracket = r#"{"opportunitiesData": [{"noticeId": "abc"} } "#;
    assert!(matches!(read(lost_bracket), Err(SourceError::BreaksOff { line: 1 })));
}

#[test]
fn an_element_that_is_too_large_is_one_rejected_row() {
    let huge = PAGE.replace("\"no text\"", &format!("\"{}\"", "x".repeat(MAX_ROW)));
    assert_eq!(read(huge).unwrap()[1].outcome, Err(RowError::RowTooLarge { limit: MAX_ROW }));
}
