//! A visit: one browsing session, told by the pages that were seen and the links that were clicked.
//!
//! ```text
//! Unbegun ──view, click──▶ Begun ──┐ view, click
//!                            ▲     │
//!                            └─────┘
//! ```
//!
//! Steps are facts, not decisions: none is ever refused, and a step that is sent again is recognised by its identity
//! ([`VisitEvent::event_id`]), not by the state. A visit is continued without loading it.

mod command;
mod event;
mod event_id;
#[cfg(test)]
mod tests;
mod totals;
mod upcast;
mod value;

use std::convert::Infallible;

use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

pub(crate) use self::upcast::VERSION_HISTORIES;
pub use self::{
    command::{RecordClick, RecordView, VisitCommand},
    event::VisitEvent,
    totals::VisitTotals,
    value::{ClientEventId, VisitId, VisitUrl},
};

/// State of one visit, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Visit {
    /// Nobody has seen a page yet.
    #[default]
    Unbegun,
    /// At least one page was seen or link clicked.
    Begun(VisitTotals),
}

impl Visit {
    /// What a command changes: always one event.
    ///
    /// # Errors
    /// None: what took place cannot be refused.
    pub fn decide(&self, command: VisitCommand) -> Result<Vec<VisitEvent>, Infallible> {
        Ok(vec![VisitEvent::from(command)])
    }

    /// What is remembered of it, once it has begun.
    pub fn totals(&self) -> Option<&VisitTotals> {
        match self {
            Self::Unbegun => None,
            Self::Begun(trail) => Some(trail),
        }
    }

    /// Folds one event into the state. Never fails and checks no rules, since the event is recorded.
    pub fn evolve(&mut self, event: &VisitEvent) {
        let mut trail = match std::mem::take(self) {
            Self::Unbegun => VisitTotals::starting_at(event),
            Self::Begun(trail) => trail,
        };
        trail.add_event(event);
        *self = Self::Begun(trail);
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
