//! Generates browsing over given opportunities, as much as wanted: what demonstrations, benchmarks and tests measure.
//!
//! The same seed gives the same visits on every machine. A few opportunities are seen by many and most by few, as the
//! number of visitors halves from the first rank to the second; visits have one to twelve pages; about half of the
//! visitors are signed in, and some of these save what they see. Persons and addresses are invented.

mod popularity;
mod simulation;
#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};
use commands::visit::VisitStep;
use domain::{
    opportunity::OpportunityId,
    value::{InvalidValue, UserId},
    visit::VisitId,
    watchlist::WatchlistCommand,
};

use self::{popularity::OpportunityPopularity, simulation::VisitSimulation};
use crate::generator_rng::GeneratorRng;

/// Most pages of one visit.
pub const MAX_PAGES: u32 = 12;
/// Visitors that are signed in, in a thousand.
const SIGNED_IN_PER_MILLE: u32 = 480;
/// Signed-in visits per user, on average: people come back.
const VISITS_PER_USER: u64 = 5;

/// Which browsing is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisitGeneratorConfig {
    /// How many visits.
    pub visits: u64,
    /// Another seed gives other visits.
    pub seed: u64,
    /// When the first visit may begin.
    pub from: DateTime<Utc>,
    /// No visit begins later; the last ones may go on for some minutes.
    pub until: DateTime<Utc>,
}

/// One visit and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedVisit {
    /// Its steps, in the order of time.
    pub steps: Vec<VisitStep>,
    /// What its visitor saved or let go of, in the order of time.
    pub watchlist_requests: Vec<WatchlistRequest>,
}

/// A wish about a user's watchlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchlistRequest {
    /// The user.
    pub user_id: UserId,
    /// What is wished.
    pub command: WatchlistCommand,
}

/// Visits one after the other, in the order in which they begin.
pub struct VisitGenerator {
    browsing: VisitGeneratorConfig,
    dice: GeneratorRng,
    popularity: OpportunityPopularity,
    users: u32,
    made: u64,
}

impl VisitGenerator {
    /// Visitors of these opportunities. Without any, they only see lists.
    pub fn new(browsing: VisitGeneratorConfig, opportunities: Vec<OpportunityId>) -> Self {
        let mut dice = GeneratorRng::new(browsing.seed);
        let popularity = OpportunityPopularity::new(opportunities, &mut dice);
        let signed_in = browsing.visits.saturating_mul(u64::from(SIGNED_IN_PER_MILLE)) / 1_000;
        let users = u32::try_from(signed_in / VISITS_PER_USER + 1).unwrap_or(u32::MAX);
        Self { browsing, dice, popularity, users, made: 0 }
    }

    /// When a visit begins: each has its own part of the time.
    fn start_time(&mut self, number: u64) -> DateTime<Utc> {
        let VisitGeneratorConfig { visits, from, until, .. } = self.browsing;
        let span = u64::try_from((until - from).num_milliseconds()).unwrap_or_default();
        let part = |number: u64| u128::from(span) * u128::from(number) / u128::from(visits.max(1));
        let (begin, end) = (part(number), part(number + 1));
        let within = self.dice.next_below(u32::try_from(end - begin).unwrap_or(u32::MAX));
        let millis = i64::try_from(begin).unwrap_or(i64::MAX).saturating_add(i64::from(within));
        from + TimeDelta::milliseconds(millis)
    }

    fn generate_visit(&mut self, number: u64) -> Result<GeneratedVisit, InvalidValue> {
        let at = self.start_time(number);
        // The time is part of the id, so that another run with the same seed but at another time is another one.
        let visit_id = VisitId::try_new(&format!("{:x}-{}", at.timestamp_millis(), self.dice.next_hex(12)))?;
        let user_id = if self.dice.chance_per_mille(SIGNED_IN_PER_MILLE) {
            Some(UserId::try_new(&format!("user-{}@medhub.example", self.dice.next_below(self.users)))?)
        } else {
            None
        };
        // Of two numbers the smaller: most visits are short.
        let pages = self.dice.next_between(1, MAX_PAGES).min(self.dice.next_between(1, MAX_PAGES));
        VisitSimulation::new(&mut self.dice, &self.popularity, visit_id, user_id, at).visit_pages(pages)
    }
}

impl Iterator for VisitGenerator {
    /// A visit; the error says which value of ours has become invalid, and never comes as long as none has.
    type Item = Result<GeneratedVisit, InvalidValue>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.made >= self.browsing.visits {
            return None;
        }
        self.made += 1;
        Some(self.generate_visit(self.made - 1))
    }
}
