//! Simulates one visit page by page.

use chrono::{DateTime, TimeDelta, Utc};
use commands::visit::VisitStep;
use domain::{
    opportunity::OpportunityId,
    value::{InvalidValue, UserId},
    visit::{RecordClick, RecordView, VisitCommand, VisitId, VisitUrl},
    watchlist::WatchlistCommand,
};

use super::{GeneratedVisit, WatchlistRequest, popularity::OpportunityPopularity};
use crate::generator_rng::GeneratorRng;

const SITE: &str = "https://medhub.example";
/// Referrers of visits that come from other sites.
const REFERRERS: &[&str] = &[
    "https://search.example/",
    "https://search.example/",
    "https://news.example/va-contracts",
    "https://mail.example/",
];
/// Search terms.
const TERMS: &[&str] = &["wheelchair", "patient%20lift", "nitrile%20gloves", "oxygen", "hospital%20bed", "sutures"];

/// A page of the site.
#[derive(Clone)]
struct VisitedPage {
    url: VisitUrl,
    opportunity_id: Option<OpportunityId>,
}

/// A visit in progress.
pub(super) struct VisitSimulation<'a> {
    rng: &'a mut GeneratorRng,
    popularity: &'a OpportunityPopularity,
    visit_id: VisitId,
    user_id: Option<UserId>,
    at: DateTime<Utc>,
    visit: GeneratedVisit,
}

impl<'a> VisitSimulation<'a> {
    /// Starts a visit at `at`, before its first page.
    pub(super) fn new(
        rng: &'a mut GeneratorRng,
        popularity: &'a OpportunityPopularity,
        visit_id: VisitId,
        user_id: Option<UserId>,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            rng,
            popularity,
            visit_id,
            user_id,
            at,
            visit: GeneratedVisit { steps: vec![], watchlist_requests: vec![] },
        }
    }

    /// Visits `pages` pages, at least one, and returns the visit.
    pub(super) fn visit_pages(mut self, pages: u32) -> Result<GeneratedVisit, InvalidValue> {
        let mut page = self.pick_page(500)?;
        let from_other_site = self.rng.chance_per_mille(600);
        let referrer = if from_other_site { Some(VisitUrl::try_new(self.rng.pick_from(REFERRERS))?) } else { None };
        self.add_page_view(&page, referrer);
        self.stay_on_page(&page)?;
        for _ in 1..pages {
            let next = self.pick_page(if page.opportunity_id.is_some() { 400 } else { 800 })?;
            // Without a click, the visitor uses the back button or the address bar.
            if self.rng.chance_per_mille(700) {
                self.advance_time(1, 40);
                let opportunity_id = next.opportunity_id.clone().or_else(|| page.opportunity_id.clone());
                self.add_click(&page, Some(next.url.clone()), opportunity_id);
            }
            self.add_page_view(&next, Some(page.url));
            self.stay_on_page(&next)?;
            page = next;
        }
        Ok(self.visit)
    }

    /// Picks a page: an opportunity with the given probability per mille, otherwise a list.
    fn pick_page(&mut self, opportunity_per_mille: u32) -> Result<VisitedPage, InvalidValue> {
        if self.rng.chance_per_mille(opportunity_per_mille)
            && let Some(id) = self.popularity.pick(self.rng)
        {
            let url = VisitUrl::try_new(&format!("{SITE}/opportunities/{id}"))?;
            return Ok(VisitedPage { url, opportunity_id: Some(id.clone()) });
        }
        let path = match self.rng.next_below(10) {
            0..2 => "/".to_owned(),
            2..5 => "/opportunities".to_owned(),
            _ => format!("/search?q={}", self.rng.pick_from(TERMS)),
        };
        Ok(VisitedPage { url: VisitUrl::try_new(&format!("{SITE}{path}"))?, opportunity_id: None })
    }

    fn add_page_view(&mut self, page: &VisitedPage, referrer: Option<VisitUrl>) {
        self.advance_time(1, 3);
        let command = VisitCommand::View(RecordView {
            page_url: page.url.clone(),
            referrer,
            user_id: self.user_id.clone(),
            opportunity_id: page.opportunity_id.clone(),
            at: self.at,
        });
        self.visit.steps.push(VisitStep { visit_id: self.visit_id.clone(), client_event_id: None, command });
    }

    fn add_click(&mut self, page: &VisitedPage, target_url: Option<VisitUrl>, opportunity_id: Option<OpportunityId>) {
        let command = VisitCommand::Click(RecordClick {
            page_url: page.url.clone(),
            target_url,
            user_id: self.user_id.clone(),
            opportunity_id,
            at: self.at,
        });
        self.visit.steps.push(VisitStep { visit_id: self.visit_id.clone(), client_event_id: None, command });
    }

    /// Simulates what the visitor does on a page before leaving it: a click, a save, or nothing.
    fn stay_on_page(&mut self, page: &VisitedPage) -> Result<(), InvalidValue> {
        self.advance_time(2, 60);
        let Some(id) = &page.opportunity_id else { return Ok(()) };
        if self.rng.chance_per_mille(250) {
            // A link to a document leads to another site; the button that expands the description has no target.
            let target =
                self.rng.chance_per_mille(700).then(|| VisitUrl::try_new(&format!("https://sam.gov/search?q={id}")));
            self.add_click(page, target.transpose()?, Some(id.clone()));
            self.advance_time(2, 60);
        }
        if let Some(user_id) = self.user_id.clone()
            && self.rng.chance_per_mille(120)
        {
            self.add_watchlist_save(user_id, id);
        }
        Ok(())
    }

    /// Saves an opportunity; one in ten saves is undone.
    fn add_watchlist_save(&mut self, user_id: UserId, id: &OpportunityId) {
        let command = WatchlistCommand::Save { opportunity_id: id.clone(), at: self.at };
        self.visit.watchlist_requests.push(WatchlistRequest { user_id: user_id.clone(), command });
        if self.rng.chance_per_mille(100) {
            self.advance_time(2, 20);
            let command = WatchlistCommand::Unsave { opportunity_id: id.clone(), at: self.at };
            self.visit.watchlist_requests.push(WatchlistRequest { user_id, command });
        }
    }

    /// Advances the time by a random number of milliseconds between two numbers of seconds.
    fn advance_time(&mut self, min_seconds: u32, max_seconds: u32) {
        self.at += TimeDelta::milliseconds(i64::from(self.rng.next_between(min_seconds * 1_000, max_seconds * 1_000)));
    }
}
