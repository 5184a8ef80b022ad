//! Which opportunities are viewed, clicked and saved most, and what one user saved.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    OpportunityViews,
    figure_deltas::FigureKey,
    view_state::{StreamKind, ViewState},
};
use crate::QueryError;

/// What a reader did with an opportunity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EngagementKind {
    /// A page about it was viewed.
    Viewed,
    /// A link about it was clicked.
    Clicked,
    /// It was saved and still is.
    Saved,
}

impl EngagementKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Viewed, Self::Clicked, Self::Saved];

    /// Its name in keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewed => "viewed",
            Self::Clicked => "clicked",
            Self::Saved => "saved",
        }
    }
}

/// The time that a leaderboard is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaderboardPeriod {
    /// All that is on record.
    AllTime,
    /// One day in UTC; kept for a while only.
    Day(NaiveDate),
}

/// An opportunity's place in a leaderboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderboardEntry {
    /// The opportunity.
    pub id: String,
    /// How often.
    pub count: u64,
}

/// How often one opportunity was viewed, clicked and saved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngagementCounts {
    /// Pages about it that were viewed.
    pub views: u64,
    /// Links about it that were clicked.
    pub clicks: u64,
    /// Users who keep it saved.
    pub saves: u64,
}

/// An opportunity that a user keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchlistItem {
    /// The opportunity.
    pub id: String,
    /// Since when.
    pub saved_at: DateTime<Utc>,
}

impl OpportunityViews {
    /// The first opportunities of a leaderboard, the most often viewed, clicked or saved one first.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away.
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

    /// How often one opportunity was viewed, clicked and saved.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away.
    pub async fn load_engagement(&self, opportunity: &str) -> Result<EngagementCounts, QueryError> {
        let key = self.key(&FigureKey::Engagement(opportunity.to_owned()).redis_key());
        let (fields,): (HashMap<String, u64>,) = self.run_pipeline(redis::pipe().hgetall(key)).await?;
        let count = |kind: EngagementKind| fields.get(kind.name()).copied().unwrap_or_default();
        let [views, clicks, saves] = EngagementKind::ALL.map(count);
        Ok(EngagementCounts { views, clicks, saves })
    }

    /// What a user keeps, the last saved first.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away or holds something else under the user's key.
    pub async fn list_saved(&self, user: &str) -> Result<Vec<WatchlistItem>, QueryError> {
        let ViewState::Watchlist(saved) = self.load_stream(StreamKind::Watchlist, user).await?.state else {
            return Ok(vec![]);
        };
        let mut list: Vec<_> = saved.into_iter().map(|(id, saved_at)| WatchlistItem { id, saved_at }).collect();
        list.sort_by_key(|saved| std::cmp::Reverse(saved.saved_at));
        Ok(list)
    }
}
