//! Leaderboards of the opportunities viewed, clicked and saved most, and the watchlist of a user.

use std::{cmp::Reverse, collections::HashMap};

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    OpportunityViews,
    engagement_kind::EngagementKind,
    figure_deltas::FigureKey,
    key_shard::KeyShard,
    view_state::{StateKind, ViewState},
};
use crate::QueryError;

/// The period that a leaderboard covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaderboardPeriod {
    /// The whole log.
    AllTime,
    /// One UTC day; expires after `leaderboard_days`.
    Day(NaiveDate),
}

/// An entry of a leaderboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderboardEntry {
    /// Id of the opportunity.
    pub id: String,
    /// Number of views, clicks or saves.
    pub count: u64,
}

/// Engagement with one opportunity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngagementCounts {
    /// Number of views of pages about the opportunity.
    pub views: u64,
    /// Number of clicks on links about the opportunity.
    pub clicks: u64,
    /// Number of users who currently have it saved.
    pub saves: u64,
}

/// An opportunity in a user's watchlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchlistItem {
    /// Id of the opportunity.
    pub id: String,
    /// When the user saved it.
    pub saved_at: DateTime<Utc>,
}

impl OpportunityViews {
    /// Returns at most `first` entries of a leaderboard, highest count first.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn load_leaderboard(
        &self,
        kind: EngagementKind,
        period: LeaderboardPeriod,
        first: u32,
    ) -> Result<Vec<LeaderboardEntry>, QueryError> {
        let Some(last) = first.checked_sub(1) else {
            return Ok(vec![]);
        };
        let day = match period {
            LeaderboardPeriod::AllTime => None,
            LeaderboardPeriod::Day(day) => Some(day),
        };
        let last = isize::try_from(last).unwrap_or(isize::MAX);
        let mut pipeline = redis::pipe();
        for shard in KeyShard::all() {
            pipeline.zrevrange_withscores(self.figure_key(&FigureKey::Leaderboard(shard, kind, day)), 0, last);
        }
        let rankings: Vec<Vec<(String, u64)>> = self.run_pipeline(&pipeline).await?;
        Ok(merge_rankings(rankings, first))
    }

    /// Returns the engagement with one opportunity; zeros when there is none.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn load_engagement(&self, opportunity: &str) -> Result<EngagementCounts, QueryError> {
        let key = self.figure_key(&FigureKey::Engagement(opportunity.to_owned()));
        let (fields,): (HashMap<String, u64>,) = self.run_pipeline(redis::pipe().hgetall(key)).await?;
        let count = |kind: EngagementKind| fields.get(kind.name()).copied().unwrap_or_default();
        let [views, clicks, saves] = EngagementKind::ALL.map(count);
        Ok(EngagementCounts { views, clicks, saves })
    }

    /// Returns the opportunities that a user has saved, latest first.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or the stored state is unreadable.
    pub async fn list_saved(&self, user: &str) -> Result<Vec<WatchlistItem>, QueryError> {
        let ViewState::Watchlist(saved) = self.load_stream(StateKind::Watchlist, user).await?.state else {
            return Ok(vec![]);
        };
        let mut items: Vec<_> = saved.into_iter().map(|(id, saved_at)| WatchlistItem { id, saved_at }).collect();
        items.sort_by_key(|item| Reverse(item.saved_at));
        Ok(items)
    }
}

/// Merges the first entries of the shards' leaderboards, in the order of a sorted set read from its end: by count, then
/// by id, both descending. This is correct because each opportunity is in one shard only: its count is complete, and no
/// entry that a shard left out comes before those that it returned.
fn merge_rankings(shards: Vec<Vec<(String, u64)>>, first: u32) -> Vec<LeaderboardEntry> {
    let mut entries: Vec<_> = shards.into_iter().flatten().collect();
    entries.sort_unstable_by(|(id, count), (other_id, other)| {
        (Reverse(count), Reverse(id)).cmp(&(Reverse(other), Reverse(other_id)))
    });
    entries.truncate(usize::try_from(first).unwrap_or(usize::MAX));
    entries.into_iter().map(|(id, count)| LeaderboardEntry { id, count }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn merged_shards_are_ranked_as_one_sorted_set_would_be(
            counts in prop::collection::btree_map("[a-c]{1,3}", 1_u64..5, 0..40),
            first in 1_u32..12,
        ) {
            let rank = |mut set: Vec<(String, u64)>| {
                set.sort_by(|(id, count), (other_id, other)| count.cmp(other).then(id.cmp(other_id)));
                set.reverse();
                set.truncate(first as usize);
                set
            };
            let counts_in = |shard| counts.clone().into_iter().filter(|(id, _)| KeyShard::for_id(id) == shard).collect();
            let shards = KeyShard::all().map(|shard| rank(counts_in(shard))).collect();
            let merged: Vec<_> = merge_rankings(shards, first).into_iter().map(|entry| (entry.id, entry.count)).collect();
            prop_assert_eq!(merged, rank(counts.into_iter().collect()));
        }
    }
}
