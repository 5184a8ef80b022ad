//! Generates any number of visits over given opportunities, for demonstrations, benchmarks and tests.
//!
//! The same seed gives the same visits on every machine. A few opportunities are viewed often and most rarely, by
//! Zipf's law; visits have one to twelve pages; about half of the visitors are signed in, and some of these save
//! opportunities that they view. Persons and addresses are invented.

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

/// Maximum number of pages in one visit.
pub const MAX_PAGES: u32 = 12;
/// Share of visitors that are signed in, per mille.
const SIGNED_IN_PER_MILLE: u32 = 480;
/// Mean number of signed-in visits per user.
const VISITS_PER_USER: u64 = 5;

/// Which visits are generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisitGeneratorConfig {
    /// Number of visits.
    pub visits: u64,
    /// Another seed gives other visits.
    pub seed: u64,
    /// The earliest start of a visit.
    pub from: DateTime<Utc>,
    /// The latest start of a visit; the last visits may end some minutes later.
    pub until: DateTime<Utc>,
}

/// One visit and the watchlist commands of its visitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedVisit {
    /// Its steps, ordered by time.
    pub steps: Vec<VisitStep>,
    /// Commands that save or remove opportunities, ordered by time.
    pub watchlist_requests: Vec<WatchlistRequest>,
}

/// A command on a user's watchlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchlistRequest {
    /// The user.
    pub user_id: UserId,
    /// The command.
    pub command: WatchlistCommand,
}

/// Iterates over generated visits, ordered by their start.
pub struct VisitGenerator {
    config: VisitGeneratorConfig,
    rng: GeneratorRng,
    popularity: OpportunityPopularity,
    users: u32,
    generated: u64,
}

impl VisitGenerator {
    /// Generates visits to these opportunities. Without opportunities, visitors view only lists.
    pub fn new(config: VisitGeneratorConfig, opportunities: Vec<OpportunityId>) -> Self {
        let mut rng = GeneratorRng::new(config.seed);
        let popularity = OpportunityPopularity::new(opportunities, &mut rng);
        let signed_in = config.visits.saturating_mul(u64::from(SIGNED_IN_PER_MILLE)) / 1_000;
        let users = u32::try_from(signed_in / VISITS_PER_USER + 1).unwrap_or(u32::MAX);
        Self { config, rng, popularity, users, generated: 0 }
    }

    /// The start of a visit: a random time within its own part of the time range.
    fn start_time(&mut self, number: u64) -> DateTime<Utc> {
        let VisitGeneratorConfig { visits, from, until, .. } = self.config;
        let span_ms = u64::try_from((until - from).num_milliseconds()).unwrap_or_default();
        let part_start = |number: u64| u128::from(span_ms) * u128::from(number) / u128::from(visits.max(1));
        let (begin, end) = (part_start(number), part_start(number + 1));
        let offset = self.rng.next_below(u32::try_from(end - begin).unwrap_or(u32::MAX));
        let millis = i64::try_from(begin).unwrap_or(i64::MAX).saturating_add(i64::from(offset));
        from + TimeDelta::milliseconds(millis)
    }

    fn generate_visit(&mut self, number: u64) -> Result<GeneratedVisit, InvalidValue> {
        let at = self.start_time(number);
        // The time is part of the id, so that a run with the same seed for another time range gives other ids.
        let visit_id = VisitId::try_new(&format!("{:x}-{}", at.timestamp_millis(), self.rng.next_hex(12)))?;
        let user_id = if self.rng.chance_per_mille(SIGNED_IN_PER_MILLE) {
            Some(UserId::try_new(&format!("user-{}@medhub.example", self.rng.next_below(self.users)))?)
        } else {
            None
        };
        // The smaller of two random numbers, because most visits are short.
        let pages = self.rng.next_between(1, MAX_PAGES).min(self.rng.next_between(1, MAX_PAGES));
        VisitSimulation::new(&mut self.rng, &self.popularity, visit_id, user_id, at).visit_pages(pages)
    }
}

impl Iterator for VisitGenerator {
    /// A visit, or an error if a generated value is invalid, which is a defect of the generator.
    type Item = Result<GeneratedVisit, InvalidValue>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.generated >= self.config.visits {
            return None;
        }
        self.generated += 1;
        Some(self.generate_visit(self.generated - 1))
    }
}
