//! Lists of a tenant's aggregates, newest first.

use std::{fmt, str::FromStr};

use domain::value::TenantId;

use super::{ListGroup, READ_MODEL, StoredAggregate, TenantAggregate, TenantViews};
use crate::{QueryError, storage::count_query};

/// The position in a list after one aggregate. It stays valid when aggregates are added or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListCursor(String);

/// A text that is not a list cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a cursor that a list returned")]
pub struct InvalidListCursor;

/// Digits of a Unix time in milliseconds; sufficient until the year 2286.
const DIGITS: usize = 13;

/// Longest accepted cursor, in bytes.
const MAX_CURSOR: usize = 300;

impl ListCursor {
    /// The cursor of the aggregate with this id, created at `since`, in milliseconds of Unix time.
    pub(super) fn new(since: i64, id: &str) -> Self {
        Self(format!("{:0DIGITS$}:{id}", since.clamp(0, 9_999_999_999_999)))
    }

    /// The aggregate's id.
    fn id(&self) -> &str {
        self.0.get(DIGITS + 1..).unwrap_or_default()
    }
}

impl fmt::Display for ListCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ListCursor {
    type Err = InvalidListCursor;

    fn from_str(text: &str) -> Result<Self, InvalidListCursor> {
        let (digits, id) = text.split_once(':').ok_or(InvalidListCursor)?;
        let is_time = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
        let is_id = !id.is_empty() && text.len() <= MAX_CURSOR && !id.chars().any(char::is_control);
        if is_time && is_id { Ok(Self(text.to_owned())) } else { Err(InvalidListCursor) }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregatePage<A> {
    /// Id, cursor and state of each aggregate, newest first.
    pub items: Vec<(String, ListCursor, StoredAggregate<A>)>,
    /// Whether another page follows.
    pub has_more: bool,
    /// Number of aggregates in the whole list.
    pub total: u64,
}

impl TenantViews {
    /// Returns at most `first` aggregates of a tenant's group, newest first, after the cursor `after` if given.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or a stored state is unreadable.
    pub async fn list_aggregates<A: TenantAggregate>(
        &self,
        tenant: &TenantId,
        group: &ListGroup,
        first: u32,
        after: Option<&ListCursor>,
    ) -> Result<AggregatePage<A>, QueryError> {
        count_query(READ_MODEL);
        let key = self.list_key(A::TYPE, tenant.as_str(), group);
        let max_member = after.map_or_else(|| "+".to_owned(), |cursor| format!("({cursor}"));
        let mut range = redis::cmd("ZREVRANGEBYLEX");
        range.arg(&key).arg(max_member).arg("-").arg("LIMIT").arg(0).arg(u64::from(first) + 1);
        let mut pipeline = redis::pipe();
        pipeline.add_command(range).zcard(&key);
        let (members, total): (Vec<String>, u64) = self.store.run_pipeline(&pipeline).await?;
        let limit = usize::try_from(first).unwrap_or(usize::MAX);
        let has_more = members.len() > limit;
        let cursors: Vec<_> = members.into_iter().take(limit).map(ListCursor).collect();
        let ids: Vec<_> = cursors.iter().map(|cursor| cursor.id().to_owned()).collect();
        let aggregates = self.get_many::<A>(tenant, &ids).await?;
        // An aggregate may have been removed between the two round trips; it is left out.
        let items = ids.into_iter().zip(cursors).zip(aggregates);
        let items =
            items.filter_map(|((id, cursor), aggregate)| aggregate.map(|aggregate| (id, cursor, aggregate))).collect();
        Ok(AggregatePage { items, has_more, total })
    }

    /// Returns the number of aggregates in a tenant's group.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn count_aggregates<A: TenantAggregate>(
        &self,
        tenant: &TenantId,
        group: &ListGroup,
    ) -> Result<u64, QueryError> {
        let (count,) =
            self.store.run_pipeline(redis::pipe().zcard(self.list_key(A::TYPE, tenant.as_str(), group))).await?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_parsed_and_any_other_text_is_refused() {
        let cursor = ListCursor::new(1_772_000_000_000, "01890a5d");
        assert_eq!(cursor.to_string().parse(), Ok(cursor.clone()));
        assert_eq!(cursor.id(), "01890a5d");
        for bad in ["", "1", "177200000000:x", "1772000000000:", "177200000000x:a", "1772000000000:a\n", "é"] {
            assert_eq!(bad.parse::<ListCursor>(), Err(InvalidListCursor), "{bad:?}");
        }
    }

    #[test]
    fn cursors_are_ordered_by_time() {
        assert!(ListCursor::new(9, "b").to_string() < ListCursor::new(10, "a").to_string());
    }
}
