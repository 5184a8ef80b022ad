//! One visitor's way from page to page.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    opportunity::OpportunityId,
    value::{InvalidValue, UserId},
    visit::{RecordClick, RecordView, Url, VisitCommand, VisitId},
    watchlist::WatchlistCommand,
};

use super::{GeneratedVisit, Wish, popularity::Popularity};
use crate::{dice::Dice, visit::Step};

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
struct Page {
    url: Url,
    opportunity_id: Option<OpportunityId>,
}

/// A walk under way.
pub(super) struct Walk<'a> {
    dice: &'a mut Dice,
    popularity: &'a Popularity,
    visit_id: VisitId,
    user_id: Option<UserId>,
    at: DateTime<Utc>,
    made: GeneratedVisit,
}

impl<'a> Walk<'a> {
    /// Begins at `at`, somewhere outside.
    pub(super) fn new(
        dice: &'a mut Dice,
        popularity: &'a Popularity,
        visit_id: VisitId,
        user_id: Option<UserId>,
        at: DateTime<Utc>,
    ) -> Self {
        Self { dice, popularity, visit_id, user_id, at, made: GeneratedVisit { steps: vec![], wishes: vec![] } }
    }

    /// Walks over so many pages, at least one.
    pub(super) fn over(mut self, pages: u32) -> Result<GeneratedVisit, InvalidValue> {
        let mut page = self.page(500)?;
        let stranger = self.dice.per_mille(600);
        let referrer = if stranger { Some(Url::try_new(self.dice.pick(REFERRERS))?) } else { None };
        self.view(&page, referrer);
        self.linger(&page)?;
        for _ in 1..pages {
            let next = self.page(if page.opportunity_id.is_some() { 400 } else { 800 })?;
            // The others use the back button or the address line.
            if self.dice.per_mille(700) {
                self.pass(1, 40);
                let opportunity_id = next.opportunity_id.clone().or_else(|| page.opportunity_id.clone());
                self.click(&page, Some(next.url.clone()), opportunity_id);
            }
            self.view(&next, Some(page.url));
            self.linger(&next)?;
            page = next;
        }
        Ok(self.made)
    }

    /// A page: so many times in a thousand that of an opportunity, else a list.
    fn page(&mut self, opportunity_per_mille: u32) -> Result<Page, InvalidValue> {
        if self.dice.per_mille(opportunity_per_mille)
            && let Some(id) = self.popularity.pick(self.dice)
        {
            let url = Url::try_new(&format!("{SITE}/opportunities/{id}"))?;
            return Ok(Page { url, opportunity_id: Some(id.clone()) });
        }
        let path = match self.dice.below(10) {
            0..2 => "/".to_owned(),
            2..5 => "/opportunities".to_owned(),
            _ => format!("/search?q={}", self.dice.pick(TERMS)),
        };
        Ok(Page { url: Url::try_new(&format!("{SITE}{path}"))?, opportunity_id: None })
    }

    fn view(&mut self, page: &Page, referrer: Option<Url>) {
        self.pass(1, 3);
        let command = VisitCommand::View(RecordView {
            page_url: page.url.clone(),
            referrer,
            user_id: self.user_id.clone(),
            opportunity_id: page.opportunity_id.clone(),
            at: self.at,
        });
        self.made.steps.push(Step { visit_id: self.visit_id.clone(), named: None, command });
    }

    fn click(&mut self, page: &Page, target_url: Option<Url>, opportunity_id: Option<OpportunityId>) {
        let command = VisitCommand::Click(RecordClick {
            page_url: page.url.clone(),
            target_url,
            user_id: self.user_id.clone(),
            opportunity_id,
            at: self.at,
        });
        self.made.steps.push(Step { visit_id: self.visit_id.clone(), named: None, command });
    }

    /// What is done on a page besides leaving it.
    fn linger(&mut self, page: &Page) -> Result<(), InvalidValue> {
        self.pass(2, 60);
        let Some(id) = &page.opportunity_id else { return Ok(()) };
        if self.dice.per_mille(250) {
            // A document's link leads out, the button that unfolds the description leads nowhere.
            let out = self.dice.per_mille(700).then(|| Url::try_new(&format!("https://sam.gov/search?q={id}")));
            self.click(page, out.transpose()?, Some(id.clone()));
            self.pass(2, 60);
        }
        if let Some(user_id) = self.user_id.clone()
            && self.dice.per_mille(120)
        {
            self.save(user_id, id);
        }
        Ok(())
    }

    /// Saves an opportunity; one in ten thinks better of it.
    fn save(&mut self, user_id: UserId, id: &OpportunityId) {
        let command = WatchlistCommand::Save { opportunity_id: id.clone(), at: self.at };
        self.made.wishes.push(Wish { user_id: user_id.clone(), command });
        if self.dice.per_mille(100) {
            self.pass(2, 20);
            let command = WatchlistCommand::Unsave { opportunity_id: id.clone(), at: self.at };
            self.made.wishes.push(Wish { user_id, command });
        }
    }

    /// Lets seconds pass, to the millisecond.
    fn pass(&mut self, least: u32, most: u32) {
        self.at += TimeDelta::milliseconds(i64::from(self.dice.between(least * 1_000, most * 1_000)));
    }
}
