//! The values of visits.

use crate::value::text_value;

text_value!(
    /// The id of a visit: a session id that the client generates.
    VisitId, "visit id", max 100, |c| !c.is_whitespace() && !c.is_control(), "text without spaces"
);

text_value!(
    /// The URL of a page, absolute or relative to the root, as the browser sends it.
    VisitUrl, "URL", max 2048, |c| !c.is_control(), "text without control characters"
);

text_value!(
    /// The client's own id of an event, unique within its visit.
    ClientEventId, "event id", max 100, |c| !c.is_control(), "printable text"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::InvalidValue;

    #[test]
    fn a_visit_id_is_short_and_has_no_spaces() {
        assert_eq!(VisitId::try_new("0198f0c2-7a").unwrap().to_string(), "0198f0c2-7a");
        assert!(VisitId::try_new(&"s".repeat(100)).is_ok());
        assert_eq!(VisitId::try_new(&"s".repeat(101)), Err(InvalidValue::TooLong { what: "visit id", max: 100 }));
        for bad in ["a b", "a\u{a0}b", "a\0b"] {
            let refused = InvalidValue::malformed("visit id", bad, "text without spaces");
            assert_eq!(VisitId::try_new(bad), Err(refused));
        }
    }

    #[test]
    fn an_url_is_not_empty_bounded_in_length_and_on_one_line() {
        assert!(VisitUrl::try_new("/opportunities/036:36C10G26R0005?from=search#awards").is_ok());
        assert!(VisitUrl::try_new(&"u".repeat(2_048)).is_ok());
        assert_eq!(VisitUrl::try_new(&"u".repeat(2_049)), Err(InvalidValue::TooLong { what: "URL", max: 2_048 }));
        assert_eq!(VisitUrl::try_new("  "), Err(InvalidValue::Empty { what: "URL" }));
        let refused = InvalidValue::malformed("URL", "/a\r\nb", "text without control characters");
        assert_eq!(VisitUrl::try_new("/a\r\nb"), Err(refused));
    }
}
