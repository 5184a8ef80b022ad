//! Leaderboards of the opportunities viewed, clicked and saved most, and the watchlist of a user.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    OpportunityViews,
    figure_deltas::FigureKey,
    view_state::{StreamKind, ViewState},
};
use crate::QueryError;

/// A kind of engagement with an opportunity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EngagementKind {
    /// Views of pages about the opportunity.
    Viewed,
    /// Clicks on links about the opportunity.
    Clicked,
    /// Saves that have not been undone.
    Saved,
}

impl EngagementKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Viewed, Self::Clicked, Self::Saved];

    /// The name of the kind in keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewed => "viewed",
            Self::Clicked => "clicked",
            Self::Saved => "saved",
        }
    }
}

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
    /// Number of users who have it saved now.
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
        let key = self.key(&FigureKey::Leaderboard(kind, day).redis_key());
        let last = isize::try_from(last).unwrap_or(isize::MAX);
        let (ranked,): (Vec<(String, u64)>,) =
            self.run_pipeline(redis::pipe().zrevrange_withscores(key, 0, last)).await?;
        Ok(ranked.into_iter().map(|(id, count)| LeaderboardEntry { id, count }).collect())
    }

    /// Returns the engagement with one opportunity; zeros when there is none.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn load_engagement(&self, opportunity: &str) -> Result<EngagementCounts, QueryError> {
        let key = self.key(&FigureKey::Engagement(opportunity.to_owned()).redis_key());
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
        let ViewState::Watchlist(saved) = self.load_stream(StreamKind::Watchlist, user).await?.state else {
            return Ok(vec![]);
        };
        let mut list: Vec<_> = saved.into_iter().map(|(id, saved_at)| WatchlistItem { id, saved_at }).collect();
        list.sort_by_key(|saved| std::cmp::Reverse(saved.saved_at));
        Ok(list)
    }
}
