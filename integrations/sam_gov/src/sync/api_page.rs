//! One answer of the API: a page of notices with the number of all.

use serde::Deserialize;
use serde_json::{Value, error::Category};
use sha2::{Digest, Sha256};

use super::ApiError;
use crate::{ParsedRow, api_v2};

/// More notices than SAM.gov has published in a year, several times over.
const MAX_TOTAL: u64 = 2_000_000;

/// A page of notices.
pub(super) struct ApiPage {
    /// Number of notices that match the request, on all pages.
    pub(super) total: u64,
    /// The notices of this page.
    pub(super) notices: Vec<ApiPageNotice>,
}

/// A notice of a page, or an element that is none.
pub(super) struct ApiPageNotice {
    /// The notice's id; a digest of the element if it has none.
    pub(super) key: String,
    /// The notice, or why it is rejected.
    pub(super) row: ParsedRow,
    /// The address of its text, if the API does not give the text itself.
    pub(super) description_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageBody {
    total_records: Option<u64>,
    opportunities_data: Option<Vec<Value>>,
}

impl ApiPage {
    /// Parses an answer. `first_row` is the number of its first notice among all of the request.
    ///
    /// # Errors
    /// [`ApiError`] when it is not a page.
    pub(super) fn parse(body: &[u8], first_row: u64) -> Result<Self, ApiError> {
        let start = body.trim_ascii_start();
        if start.starts_with(b"<") {
            return Err(ApiError::NotAPage { found: "a web page (HTML)" });
        }
        if start.is_empty() {
            return Err(ApiError::NotAPage { found: "nothing" });
        }
        let page: PageBody = serde_json::from_slice(body).map_err(|error| match error.classify() {
            Category::Data => ApiError::NotAPage { found: "JSON of another shape" },
            Category::Io | Category::Syntax | Category::Eof => ApiError::Damaged { at: error_offset(body, &error) },
        })?;
        let total = page.total_records.ok_or(ApiError::NotAPage { found: "JSON without totalRecords" })?;
        if total > MAX_TOTAL {
            return Err(ApiError::AbsurdTotal { total, limit: MAX_TOTAL });
        }
        let elements = match page.opportunities_data {
            Some(elements) => elements,
            // The API writes `null` for an empty list.
            None if total == 0 => Vec::new(),
            None => return Err(ApiError::NotAPage { found: "JSON without opportunitiesData" }),
        };
        Ok(Self { total, notices: elements.iter().zip(first_row..).map(ApiPageNotice::from_element).collect() })
    }
}

impl ApiPageNotice {
    fn from_element((element, row): (&Value, u64)) -> Self {
        let text = |key: &str| element.get(key).and_then(Value::as_str).map(str::trim);
        let key = text("noticeId")
            .filter(|id| !id.is_empty() && id.len() <= 200)
            .map_or_else(|| format!("{:x}", Sha256::digest(element.to_string().as_bytes())), str::to_owned);
        let is_address = |text: &&str| text.starts_with("https://") || text.starts_with("http://");
        let description_url = text("description").filter(is_address).map(str::to_owned);
        Self { key, row: api_v2::parse_element(element, row), description_url }
    }
}

/// The byte where parsing failed, counted from 1.
fn error_offset(body: &[u8], error: &serde_json::Error) -> usize {
    let lines_before = body.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    lines_before.map(<[u8]>::len).sum::<usize>() + error.column()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(body: &str) -> String {
        ApiPage::parse(body.as_bytes(), 1).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_page_has_its_notices_with_keys_and_addresses_of_texts() {
        let body = r#"{"totalRecords":2,"limit":1000,"offset":0,"opportunitiesData":[
            {"noticeId":"n1","title":"Beds","type":"Solicitation","postedDate":"2026-02-02",
             "fullParentPathName":"DEPT OF DEFENSE","description":"https://api.sam.gov/noticedesc?noticeid=n1"},
            {"title":"no id"}]}"#;
        let page = ApiPage::parse(body.as_bytes(), 1_001).unwrap();
        assert_eq!((page.total, page.notices.len()), (2, 2));
        let (notice, other) = (&page.notices[0], &page.notices[1]);
        assert_eq!((notice.key.as_str(), notice.row.line), ("n1", 1_001));
        assert_eq!(notice.row.outcome.as_ref().unwrap().details.description, None);
        assert_eq!(notice.description_url.as_deref(), Some("https://api.sam.gov/noticedesc?noticeid=n1"));
        assert_eq!((other.key.len(), other.row.line, other.row.outcome.is_err()), (64, 1_002, true));
    }

    #[test]
    fn an_empty_page_may_have_no_list() {
        let page = ApiPage::parse(br#"{"totalRecords":0,"opportunitiesData":null}"#, 1).unwrap();
        assert_eq!((page.total, page.notices.len()), (0, 0));
    }

    #[test]
    fn an_answer_that_is_no_page_is_named() {
        for (body, expected) in [
            ("<!DOCTYPE html><html>", "a web page (HTML)"),
            ("  ", "nothing"),
            ("[]", "JSON of another shape"),
            (r#"{"error":{"code":"API_KEY_INVALID"}}"#, "JSON without totalRecords"),
            (r#"{"totalRecords":3}"#, "JSON without opportunitiesData"),
            (r#"{"totalRecords":-3,"opportunitiesData":[]}"#, "JSON of another shape"),
            (r#"{"totalRecords":3,"opportunitiesData":{}}"#, "JSON of another shape"),
            ("{\"totalRecords\":3,\n\"opport", "at byte 26"),
            (r#"{"totalRecords":99999999999,"opportunitiesData":[]}"#, "announces 99999999999 notices"),
        ] {
            assert!(error_of(body).contains(expected), "{body}: {}", error_of(body));
        }
    }
}
