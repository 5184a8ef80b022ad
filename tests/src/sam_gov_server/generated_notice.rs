//! Generated notices in the two forms of SAM.gov. Notice `n` is about an opportunity of its own.

use sam_gov::CSV_HEADER;
use serde_json::{Value, json};

/// Notice `n` in the form of the API.
pub fn generated_notice(n: usize) -> Value {
    json!({
        "noticeId": format!("notice{n:05}"),
        "title": format!("Infusion pumps, lot {n}"),
        "solicitationNumber": format!("36C24526Q{n:04}"),
        "fullParentPathName": "VETERANS AFFAIRS, DEPARTMENT OF.VETERANS AFFAIRS, DEPARTMENT OF.NETWORK CONTRACT OFFICE 5",
        "postedDate": "2026-02-02",
        "type": "Solicitation",
        "baseType": "Solicitation",
        "archiveDate": "2026-03-17",
        "typeOfSetAside": null,
        "responseDeadLine": "2026-03-02T16:00:00-05:00",
        "naicsCode": "339112",
        "naicsCodes": ["339112"],
        "classificationCode": "6515",
        "active": "Yes",
        "award": null,
        "pointOfContact": null,
        "description": null,
        "placeOfPerformance": null,
        "uiLink": format!("https://sam.gov/workspace/contract/opp/notice{n:05}/view"),
        "resourceLinks": null,
    })
}

/// An extract of these rows.
pub fn csv_extract(rows: &[String]) -> Vec<u8> {
    [&[CSV_HEADER.join(",")], rows].concat().join("\n").into_bytes()
}

/// Notice `n` as a row of the extract, with a title without commas.
pub fn csv_row(n: usize, title: &str) -> String {
    let value = |column: &&str| match *column {
        "NoticeId" => format!("notice{n:05}"),
        "Title" => title.to_owned(),
        "Sol#" => format!("36C24526Q{n:04}"),
        "Department/Ind.Agency" => "ENERGY DEPARTMENT".to_owned(),
        "PostedDate" => "2026-02-02 10:00:00.5-05".to_owned(),
        "Type" => "Solicitation".to_owned(),
        "Active" => "Yes".to_owned(),
        _ => String::new(),
    };
    CSV_HEADER.iter().map(value).collect::<Vec<_>>().join(",")
}
