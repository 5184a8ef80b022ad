//! Lines of the text format and pages of the API.

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
    assert_eq!(notice.details.link.as_deref(), Some("https://sam.gov/workspace/contract/opp/abc/view"));
    assert_eq!(notice.details.description, None);
    let award = notice.award.clone().unwrap();
    assert_eq!((award.amount, award.awardee), (Some(UsdCents(1_250)), None));
    assert!(!format!("{notice:?}").contains("Nobody"));
}

#[test]
fn a_broken_line_is_one_rejected_row() {
    let huge = LINE.replace("Patient lifts", &"x".repeat(MAX_ROW_BYTES * 2));
    let shape = LINE.replace("\"Patient lifts\"", "{\"a\": [1]}");
    let file = [LINE, "{\"title\": ", "", &huge, "[]", &shape, "\"x\"", LINE].join("\n");
    let rows = read(file).unwrap();
    let title = rejected_value("title", InvalidFieldReason::Malformed { expected: "a text" }).unwrap_err();
    assert_eq!(
        outcomes(&rows),
        [
            (1, None),
            (2, Some(NoticeRowError::NotJson { at: 9 })),
            (4, Some(NoticeRowError::RowTooLarge { limit: MAX_ROW_BYTES })),
            (5, Some(rejected_value("notice_id", InvalidFieldReason::Empty).unwrap_err())),
            (6, Some(title)),
            (7, Some(NoticeRowError::WrongShape)),
            (8, None),
        ]
    );
}

#[test]
fn a_line_that_is_valid_in_no_encoding_is_one_rejected_row() {
    let mut bytes = format!("{LINE}\n{LINE}").into_bytes();
    bytes[12] = 0x81;
    assert_eq!(outcomes(&read(bytes).unwrap()), [(1, Some(NoticeRowError::NotUtf8)), (2, None)]);
}

#[test]
fn the_elements_of_a_page_become_notices() {
    let rows = read(PAGE).unwrap();
    let lines: Vec<_> = rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [4, 9, 10, 11, 11]);
    let notice = rows[0].outcome.as_ref().unwrap();
    assert_eq!(notice.details.title, "CT \"scanner\" ]}");
    assert_eq!(notice.details.agency.code, "PEACE-CORPS");
    assert_eq!(notice.details.sub_tier.as_deref(), Some("FIELD"));
    assert_eq!(notice.details.office.as_deref(), Some("U.S. OFFICE"));
    assert_eq!(notice.details.naics.as_ref().unwrap().as_str(), "334517");
    assert_eq!((&notice.details.description, &notice.details.set_aside), (&None, &None));
    assert_eq!(notice.award.as_ref().unwrap().amount, Some(UsdCents(500_000_025)));
    let place = notice.details.place.as_ref().unwrap();
    assert_eq!((place.state.as_deref(), place.country.as_deref()), (Some("TX"), Some("UNITED STATES")));
    assert!(!format!("{notice:?}").contains("Nobody"));
}

#[test]
fn links_are_read_from_a_list_and_invalid_ones_are_omitted() {
    let page = |links: &str| PAGE.replace("\"naicsCodes\"", &format!("{links}, \"naicsCodes\""));
    let read_links = |links: &str| {
        let row = read(page(links)).unwrap().remove(0);
        let found = row.outcome.unwrap().details.resource_links;
        let found = found.map(|links| links.iter().map(|link| link.as_str().to_owned()).collect::<Vec<_>>());
        (found, row.omitted_values)
    };
    let expected = |urls: &[&str]| Some(urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>());
    let malformed =
        |expected| vec![rejected_value("resourceLinks", InvalidFieldReason::Malformed { expected }).unwrap_err()];
    assert_eq!(read_links(r#""resourceLinks": null, "additionalInfoLink": "see below""#), (None, vec![]));
    assert_eq!(read_links(r#""resourceLinks": null, "additionalInfoLink": "http://c""#), (None, vec![]));
    assert_eq!(read_links(r#""resourceLinks": []"#), (Some(vec![]), vec![]));
    assert_eq!(
        read_links(r#""resourceLinks": [], "additionalInfoLink": "http://c""#),
        (expected(&["http://c"]), vec![])
    );
    assert_eq!(
        read_links(r#""resourceLinks": ["https://b", "https://a", "https://b"], "additionalInfoLink": "http://c""#),
        (expected(&["https://b", "https://a", "http://c"]), vec![])
    );
    assert_eq!(
        read_links(r#""resourceLinks": ["https://a", "javascript:alert(1)", null, "https://b"]"#),
        (expected(&["https://a", "https://b"]), malformed("an http or https URL"))
    );
    assert_eq!(read_links(r#""resourceLinks": ["file:///etc"]"#), (None, malformed("an http or https URL")));
    assert_eq!(
        read_links(r#""resourceLinks": ["file:///etc"], "additionalInfoLink": "http://c""#),
        (None, malformed("an http or https URL"))
    );
    assert_eq!(read_links(r#""resourceLinks": {"a": 1}"#), (None, malformed("a list")));
    let many: Vec<_> = (0..300).map(|number| format!("https://a/{number}")).collect();
    let (found, omitted) = read_links(&format!("\"resourceLinks\": {}", serde_json::to_string(&many).unwrap()));
    assert_eq!((found.unwrap(), omitted), (many[..250].to_vec(), malformed("a list of at most 250 URLs")));
}

#[test]
fn an_element_that_is_not_a_notice_is_one_rejected_row() {
    let rows = read(PAGE).unwrap();
    let errors: Vec<_> = rows[1..].iter().map(|row| row.outcome.clone().unwrap_err()).collect();
    let posted = rejected_value("postedDate", InvalidFieldReason::Empty).unwrap_err();
    assert_eq!(errors[0], posted);
    assert!(matches!(errors[1], NoticeRowError::NotJson { .. }));
    assert_eq!(errors[3], NoticeRowError::WrongShape);
}

#[test]
fn pages_may_follow_each_other() {
    assert_eq!(read([PAGE, PAGE].join("\n")).unwrap().len(), 10);
    assert_eq!(read(r#"{"totalRecords": 0, "opportunitiesData": []}"#).unwrap().len(), 0);
}

#[test]
fn a_truncated_page_gives_its_valid_rows_and_then_an_error() {
    for end in [700, PAGE.len() - 20, PAGE.len() - 2] {
        let reader = open_source(Cursor::new(PAGE[..end].to_owned())).unwrap();
        let rows: Vec<_> = read_notices(reader, SourceFormat::Json, SourceEncoding::Auto).unwrap().collect();
        let (last, rows_before) = rows.split_last().unwrap();
        assert!(matches!(last, Err(SourceError::BreaksOff { .. })), "{end}: {last:?}");
        assert!(rows_before.iter().all(Result::is_ok));
    }
    let lost_bracket = r#"{"opportunitiesData": [{"noticeId": "abc"} } "#;
    assert!(matches!(read(lost_bracket), Err(SourceError::BreaksOff { line: 1 })));
}

#[test]
fn an_element_that_is_too_large_is_one_rejected_row() {
    let huge = PAGE.replace("\"no text\"", &format!("\"{}\"", "x".repeat(MAX_ROW_BYTES)));
    assert_eq!(read(huge).unwrap()[1].outcome, Err(NoticeRowError::RowTooLarge { limit: MAX_ROW_BYTES }));
}

/// A notice as the API writes it, on one line.
fn element(id: &str) -> String {
    format!(
        r#"{{"noticeId":"{id}","title":"Beds","solicitationNumber":"S{id}","fullParentPathName":"PEACE CORPS","postedDate":"2026-01-02","type":"Solicitation"}}"#
    )
}

/// A page that announces four notices and has two.
fn page(offset: u32, ids: [&str; 2]) -> String {
    let [one, two] = ids.map(element);
    format!(r#"{{"totalRecords":4,"limit":2,"offset":{offset},"opportunitiesData":[{one},{two}]}}"#)
}

/// The ids of the notices, and the lines of the rejected rows.
fn ids_and_rejected_lines(bytes: impl Into<Vec<u8>>) -> (Vec<String>, Vec<u64>) {
    let (mut ids, mut lines) = (vec![], vec![]);
    for row in read(bytes).unwrap() {
        match row.outcome {
            Ok(notice) => ids.push(notice.notice_id.to_string()),
            Err(_) => lines.push(row.line),
        }
    }
    (ids, lines)
}

#[test]
fn responses_are_read_in_every_shape_in_which_they_are_saved() {
    let (first, second) = (page(0, ["a", "b"]), page(2, ["c", "d"]));
    let all: Vec<_> = ["a", "b", "c", "d"].map(element).to_vec();
    let pretty = serde_json::to_string_pretty(
        &serde_json::from_str::<serde_json::Value>(&all.join("")[..element("a").len()]).unwrap(),
    );
    for (shape, text) in [
        ("pages one after another", format!("{first}{second}")),
        ("a page per line", format!("{first}\n{second}\n")),
        ("a list of pages", format!("[{first},\n{second}]")),
        ("a list of notices", format!("[{}]", all.join(",\n"))),
        ("a notice per line", all.join("\n")),
        (
            "notices one after another, the first over several lines",
            format!("{}{}", pretty.unwrap(), all[1..].join(" ")),
        ),
        ("lists of notices one after another", format!("[{}]\n[{},{},{}]", all[0], all[1], all[2], all[3])),
    ] {
        assert_eq!(ids_and_rejected_lines(text), (["a", "b", "c", "d"].map(str::to_owned).to_vec(), vec![]), "{shape}");
    }
    assert_eq!(ids_and_rejected_lines("{\"totalRecords\":0,\"opportunitiesData\":null}"), (vec![], vec![]));
    assert_eq!(ids_and_rejected_lines("[]\n".to_owned() + &first).0.len(), 2);
}

#[test]
fn text_that_is_not_a_page_is_rejected_with_its_line_and_the_pages_around_it_are_read() {
    let (first, second) = (page(0, ["a", "b"]), page(2, ["c", "d"]));
    for middle in [
        r#"{"code":"900804","message":"throttled","nextAccessTime":"2026-Nov-29 00:00:00+0000 UTC"}"#,
        "<html><body><h1>502 Bad Gateway</h1></body></html>",
        "upstream connect error",
        r#"{"totalRecords":4,"opportunitiesData":[{"noticeId":"x"}}"#,
    ] {
        let (ids, lines) = ids_and_rejected_lines(format!("{first}\n{middle}\n{second}\n"));
        assert_eq!(ids, ["a", "b", "c", "d"], "{middle}");
        assert!(!lines.is_empty() && lines.iter().all(|line| *line == 2), "{middle}: {lines:?}");
    }
    let with_error_first = format!("{{\"error\": {{}}}}\n{first}");
    assert_eq!(ids_and_rejected_lines(with_error_first), (vec!["a".to_owned(), "b".to_owned()], vec![1]));
}

#[test]
fn both_published_shapes_of_a_notice_are_read_and_null_texts_are_absent() {
    let old = r#"{"opportunitiesData":[{"noticeId":"a","title":"Renovation ","solicitationNumber":" 47PF ","department":"GENERAL SERVICES ADMINISTRATION",
        "subTier":"PUBLIC BUILDINGS SERVICE","office":"PBS R5","postedDate":"2018-05-04","type":"Award Notice","archiveDate":null,
        "award":{"date":"2018-05-04","amount":"800620","awardee":{"name":"D.G. Beyer, Inc."}},"placeOfPerformance":"null","description":"null","uiLink":"null"}]}"#;
    let notice = read_one(old).unwrap();
    assert_eq!(notice.opportunity_id().to_string(), "047:47PF");
    assert_eq!(notice.details.sub_tier.as_deref(), Some("PUBLIC BUILDINGS SERVICE"));
    assert_eq!(notice.details.office.as_deref(), Some("PBS R5"));
    assert_eq!((notice.details.description, notice.details.link, notice.details.place), (None, None, None));
    assert_eq!(notice.award.unwrap().amount, Some(UsdCents(80_062_000)));
}

#[test]
fn values_of_another_type_are_omitted_with_their_columns() {
    let element = element("a").replace(
        "\"title\"",
        r#""award":"none yet","placeOfPerformance":{"city":7,"state":{"code":"TX"}},"naicsCodes":"336","title""#,
    );
    let row = read(format!("[{element}]")).unwrap().remove(0);
    assert_eq!(row.outcome.unwrap().details.place.unwrap().state.as_deref(), Some("TX"));
    let columns: Vec<_> = row.omitted_values.iter().filter_map(|value| value.column()).collect();
    assert_eq!(columns, ["placeOfPerformance.city", "award"]);
}

#[test]
fn duplicate_and_missing_pages_give_warnings() {
    let first = page(0, ["a", "b"]);
    let mut rows = read_notices(
        open_source(Cursor::new(format!("{first}{first}{first}"))).unwrap(),
        SourceFormat::Json,
        SourceEncoding::Auto,
    )
    .unwrap();
    let warnings = rows.warnings();
    assert_eq!(rows.by_ref().count(), 6);
    let warnings = warnings.list();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[2].contains("announce 4 notices") && warnings[2].contains("have 2"), "{warnings:?}");
}
