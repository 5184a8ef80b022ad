//! A visit: one browsing session, recorded as page views and link clicks.
//!
//! ```text
//! Unbegun ──view, click──▶ Begun ──┐ view, click
//!                            ▲     │
//!                            └─────┘
//! ```
//!
//! Views and clicks are facts, not decisions: none is ever refused, and one that is sent again is recognised by its id
//! ([`VisitEvent::event_id`]), not by the state. Facts are appended to a visit without loading it.

mod command;
mod event;
mod event_id;
#[cfg(test)]
mod tests;
mod totals;
mod value;

use std::convert::Infallible;

use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

pub use self::{
    command::{RecordClick, RecordView, VisitCommand},
    event::VisitEvent,
    totals::VisitTotals,
    value::{ClientEventId, VisitId, VisitUrl},
};

/// State of one visit, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Visit {
    /// Without any event.
    #[default]
    Unbegun,
    /// At least one page was viewed or link clicked.
    Begun(VisitTotals),
}

impl Visit {
    /// Decides which events a command leads to: always one.
    ///
    /// # Errors
    /// None: a fact cannot be refused.
    pub fn decide(&self, command: VisitCommand) -> Result<Vec<VisitEvent>, Infallible> {
        Ok(vec![VisitEvent::from(command)])
    }

    /// The totals; `None` before the first event.
    pub fn totals(&self) -> Option<&VisitTotals> {
        match self {
            Self::Unbegun => None,
            Self::Begun(totals) => Some(totals),
        }
    }

    /// Folds one event into the state. Never fails and checks no rules, since the event is recorded.
    pub fn evolve(&mut self, event: &VisitEvent) {
        let mut totals = match std::mem::take(self) {
            Self::Unbegun => VisitTotals::starting_at(event),
            Self::Begun(totals) => totals,
        };
        totals.add_event(event);
        *self = Self::Begun(totals);
    }
}

impl Aggregate for Visit {
    const TYPE: &'static str = "visit";

    type Command = VisitCommand;
    type Event = VisitEvent;
    type Error = Infallible;
    type Services = ();

    async fn handle(
        &mut self,
        command: Self::Command,
        (): &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Self::Event) {
        self.evolve(&event);
    }
}
