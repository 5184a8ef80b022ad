//! One visitor's way from page to page.

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
/// Where strangers come from.
const REFERRERS: &[&str] = &[
    "https://search.example/",
    "https://search.example/",
    "https://news.example/va-contracts",
    "https://mail.example/",
];
/// What people look for.
const TERMS: &[&str] = &["wheelchair", "patient%20lift", "nitrile%20gloves", "oxygen", "hospital%20bed", "sutures"];

/// A page as a visitor sees it.
#[derive(Clone)]
struct VisitedPage {
    url: VisitUrl,
    opportunity_id: Option<OpportunityId>,
}

/// A walk under way.
pub(super) struct VisitSimulation<'a> {
    dice: &'a mut GeneratorRng,
    popularity: &'a OpportunityPopularity,
    visit_id: VisitId,
    user_id: Option<UserId>,
    at: DateTime<Utc>,
    made: GeneratedVisit,
}

impl<'a> VisitSimulation<'a> {
    /// Begins at `at`, somewhere outside.
    pub(super) fn new(
        dice: &'a mut GeneratorRng,
        popularity: &'a OpportunityPopularity,
        visit_id: VisitId,
        user_id: Option<UserId>,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            dice,
            popularity,
            visit_id,
            user_id,
            at,
            made: GeneratedVisit { steps: vec![], watchlist_requests: vec![] },
        }
    }

    /// Walks over so many pages, at least one.
    pub(super) fn visit_pages(mut self, pages: u32) -> Result<GeneratedVisit, InvalidValue> {
        let mut page = self.pick_page(500)?;
        let stranger = self.dice.chance_per_mille(600);
        let referrer = if stranger { Some(VisitUrl::try_new(self.dice.pick_from(REFERRERS))?) } else { None };
        self.add_page_view(&page, referrer);
        self.stay_on_page(&page)?;
        for _ in 1..pages {
            let next = self.pick_page(if page.opportunity_id.is_some() { 400 } else { 800 })?;
            // The others use the back button or the address line.
            if self.dice.chance_per_mille(700) {
                self.advance_time(1, 40);
                let opportunity_id = next.opportunity_id.clone().or_else(|| page.opportunity_id.clone());
                self.add_click(&page, Some(next.url.clone()), opportunity_id);
            }
            self.add_page_view(&next, Some(page.url));
            self.stay_on_page(&next)?;
            page = next;
        }
        Ok(self.made)
    }

    /// A page: so many times in a thousand that of an opportunity, else a list.
    fn pick_page(&mut self, opportunity_per_mille: u32) -> Result<VisitedPage, InvalidValue> {
        if self.dice.chance_per_mille(opportunity_per_mille)
            && let Some(id) = self.popularity.pick(self.dice)
        {
            let url = VisitUrl::try_new(&format!("{SITE}/opportunities/{id}"))?;
            return Ok(VisitedPage { url, opportunity_id: Some(id.clone()) });
        }
        let path = match self.dice.next_below(10) {
            0..2 => "/".to_owned(),
            2..5 => "/opportunities".to_owned(),
            _ => format!("/search?q={}", self.dice.pick_from(TERMS)),
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
        self.made.steps.push(VisitStep { visit_id: self.visit_id.clone(), client_event_id: None, command });
    }

    fn add_click(&mut self, page: &VisitedPage, target_url: Option<VisitUrl>, opportunity_id: Option<OpportunityId>) {
        let command = VisitCommand::Click(RecordClick {
            page_url: page.url.clone(),
            target_url,
            user_id: self.user_id.clone(),
            opportunity_id,
            at: self.at,
        });
        self.made.steps.push(VisitStep { visit_id: self.visit_id.clone(), client_event_id: None, command });
    }

    /// What is done on a page besides leaving it.
    fn stay_on_page(&mut self, page: &VisitedPage) -> Result<(), InvalidValue> {
        self.advance_time(2, 60);
        let Some(id) = &page.opportunity_id else { return Ok(()) };
        if self.dice.chance_per_mille(250) {
            // A document's link leads out, the button that unfolds the description leads nowhere.
            let out =
                self.dice.chance_per_mille(700).then(|| VisitUrl::try_new(&format!("https://sam.gov/search?q={id}")));
            self.add_click(page, out.transpose()?, Some(id.clone()));
            self.advance_time(2, 60);
        }
        if let Some(user_id) = self.user_id.clone()
            && self.dice.chance_per_mille(120)
        {
            self.add_watchlist_save(user_id, id);
        }
        Ok(())
    }

    /// Saves an opportunity; one in ten thinks better of it.
    fn add_watchlist_save(&mut self, user_id: UserId, id: &OpportunityId) {
        let command = WatchlistCommand::Save { opportunity_id: id.clone(), at: self.at };
        self.made.watchlist_requests.push(WatchlistRequest { user_id: user_id.clone(), command });
        if self.dice.chance_per_mille(100) {
            self.advance_time(2, 20);
            let command = WatchlistCommand::Unsave { opportunity_id: id.clone(), at: self.at };
            self.made.watchlist_requests.push(WatchlistRequest { user_id, command });
        }
    }

    /// Lets seconds pass, to the millisecond.
    fn advance_time(&mut self, least: u32, most: u32) {
        self.at += TimeDelta::milliseconds(i64::from(self.dice.next_between(least * 1_000, most * 1_000)));
    }
}
