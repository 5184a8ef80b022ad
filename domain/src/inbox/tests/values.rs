//! Tests of the values of a notification.

use super::*;
use crate::value::InvalidValue;

#[test]
fn a_link_stays_within_the_application() {
    for good in ["/", " /opportunities/036:36C10G26R0005?tab=awards#top "] {
        assert_eq!(NotificationLink::try_new(good).unwrap().as_str(), good.trim());
    }
    for bad in ["opportunities", "https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "/a\nb"]
    {
        let refused = InvalidValue::malformed("link", bad, "a path beginning with one slash");
        assert_eq!(NotificationLink::try_new(bad), Err(refused));
    }
    assert_eq!(NotificationLink::try_new(" "), Err(InvalidValue::Empty { what: "link" }));
    assert!(NotificationLink::try_new(&format!("/{}", "é".repeat(499))).is_ok());
    assert_eq!(
        NotificationLink::try_new(&format!("/{}", "é".repeat(500))),
        Err(InvalidValue::TooLong { what: "link", max: 500 })
    );
}

#[test]
fn texts_have_a_maximum_length_and_only_the_body_may_have_several_lines() {
    assert!(NotificationTitle::try_new(&"é".repeat(200)).is_ok());
    assert_eq!(NotificationTitle::try_new(&"é".repeat(201)), Err(InvalidValue::TooLong { what: "title", max: 200 }));
    assert!(NotificationTitle::try_new("two\nlines").is_err() && NotificationTopic::try_new("two\nlines").is_err());
    assert!(NotificationBody::try_new("two\nlines").is_ok() && NotificationBody::try_new("a\u{0}b").is_err());
    assert!(NotificationBody::try_new(&"é".repeat(2_000)).is_ok());
    assert_eq!(NotificationBody::try_new(&"é".repeat(2_001)), Err(InvalidValue::TooLong { what: "body", max: 2_000 }));
    assert_eq!(NotificationBody::try_new(" "), Err(InvalidValue::Empty { what: "body" }));
}

#[test]
fn kinds_are_parsed_from_their_names() {
    for kind in NotificationKind::ALL {
        assert_eq!(NotificationKind::parse(kind.name()), Ok(*kind));
    }
    assert!(NotificationKind::parse("gossip").unwrap_err().to_string().contains("task_finished"));
}

#[test]
fn the_number_of_ids_in_one_command_is_limited() {
    let numbers = |count: usize| (0..count).map(|number| id(number as u128));
    assert!(NotificationIds::try_new(numbers(MAX_MARKED_READ)).unwrap().contains(id(99)));
    let refused = InvalidValue::TooMany { what: "notifications", max: MAX_MARKED_READ };
    assert_eq!(NotificationIds::try_new(numbers(MAX_MARKED_READ + 1)), Err(refused));
    assert!(NotificationIds::try_new(std::iter::repeat_n(id(1), 200)).is_ok(), "repeated ids count once");
}
