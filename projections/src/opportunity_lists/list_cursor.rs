//! The cursor of a list of opportunities, an opaque token that clients send back.

use std::{fmt, str::FromStr};

use super::OpportunityOrder;

/// The position after one opportunity in a list of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpportunityListCursor {
    pub(super) order: OpportunityOrder,
    /// What the list is sorted by: microseconds of Unix time, cents, or the score; `None` for an opportunity without it.
    pub(super) key: Option<i64>,
    /// When the current notice was published, in microseconds of Unix time.
    pub(super) posted_micros: i64,
    pub(super) id: String,
}

/// A token that does not decode to a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a cursor that a list returned")]
pub struct InvalidOpportunityListCursor;

/// A cursor that continues a list in another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is from a list in the order {}, not {}; ask for its first page", order_name(*cursor), order_name(*list))]
pub struct CursorOfAnotherOrder {
    /// The order of the cursor.
    pub cursor: OpportunityOrder,
    /// The order of the list.
    pub list: OpportunityOrder,
}

/// The orders with their names in tokens, which are the API's names.
const ORDER_NAMES: [(OpportunityOrder, &str); 7] = [
    (OpportunityOrder::PostedNewest, "POSTED_NEWEST"),
    (OpportunityOrder::PostedOldest, "POSTED_OLDEST"),
    (OpportunityOrder::DeadlineSoonest, "DEADLINE_SOONEST"),
    (OpportunityOrder::DeadlineLatest, "DEADLINE_LATEST"),
    (OpportunityOrder::AmountHighest, "AMOUNT_HIGHEST"),
    (OpportunityOrder::AmountLowest, "AMOUNT_LOWEST"),
    (OpportunityOrder::Relevance, "RELEVANCE"),
];

fn order_name(order: OpportunityOrder) -> &'static str {
    ORDER_NAMES.iter().find(|(known, _)| *known == order).map_or("", |(_, name)| name)
}

impl OpportunityListCursor {
    /// The order of the list that returned it.
    pub fn order(&self) -> OpportunityOrder {
        self.order
    }
}

/// Hexadecimal digits: safe in a URL, and opaque to clients. A cursor of the default order has the form that it had
/// before there were others.
impl fmt::Display for OpportunityListCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { order, key, posted_micros, id } = self;
        let decoded = if *order == OpportunityOrder::PostedNewest {
            format!("{posted_micros}~{id}")
        } else {
            let key = key.map(|key| key.to_string()).unwrap_or_default();
            format!("{}~{key}~{posted_micros}~{id}", order_name(*order))
        };
        decoded.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for OpportunityListCursor {
    type Err = InvalidOpportunityListCursor;

    fn from_str(token: &str) -> Result<Self, InvalidOpportunityListCursor> {
        decode_token(token).ok_or(InvalidOpportunityListCursor)
    }
}

fn decode_token(token: &str) -> Option<OpportunityListCursor> {
    if !token.len().is_multiple_of(2) {
        return None;
    }
    let byte = |digits: &[u8]| {
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        u8::from_str_radix(digits, 16).ok()
    };
    let bytes = token.as_bytes().chunks(2).map(byte).collect::<Option<Vec<_>>>()?;
    // Postgres cannot compare with NUL, and no id contains it.
    let decoded = String::from_utf8(bytes).ok().filter(|decoded| !decoded.contains('\0'))?;
    let (first, rest) = decoded.split_once('~')?;
    if let Ok(posted_micros) = first.parse() {
        let order = OpportunityOrder::PostedNewest;
        return Some(OpportunityListCursor { order, key: Some(posted_micros), posted_micros, id: rest.to_owned() });
    }
    let (order, _) = ORDER_NAMES.iter().find(|(_, name)| *name == first)?;
    let (key, rest) = rest.split_once('~')?;
    let (posted, id) = rest.split_once('~')?;
    let key = if key.is_empty() { None } else { Some(key.parse().ok()?) };
    Some(OpportunityListCursor { order: *order, key, posted_micros: posted.parse().ok()?, id: id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_cursor_is_parsed_from_its_token() {
        for (order, _) in ORDER_NAMES {
            for key in [Some(-7), None] {
                let key = if order == OpportunityOrder::PostedNewest { Some(12) } else { key };
                let cursor = OpportunityListCursor { order, key, posted_micros: 12, id: "097:Ä~1".to_owned() };
                let token = cursor.to_string();
                assert!(token.bytes().all(|b| b.is_ascii_hexdigit()), "{token}");
                assert_eq!(token.parse(), Ok(cursor));
            }
        }
    }

    #[test]
    fn a_cursor_of_an_earlier_release_continues_the_newest_first() {
        let token = hex("1772540270808123~097:1");
        let cursor: OpportunityListCursor = token.parse().unwrap();
        assert_eq!((cursor.order(), cursor.posted_micros), (OpportunityOrder::PostedNewest, 1_772_540_270_808_123));
        assert_eq!(cursor.to_string(), token);
    }

    #[test]
    fn a_token_that_is_not_a_cursor_is_refused() {
        let unknown_order = hex("NO_ORDER~1~1~a");
        let no_number = hex("RELEVANCE~x~1~a");
        for token in ["", "a", "zz", "é1", "4142", "ff", "+1+1", "317e00", &unknown_order, &no_number] {
            assert_eq!(token.parse::<OpportunityListCursor>(), Err(InvalidOpportunityListCursor), "{token}");
        }
    }
}
