//! A checklist: what a company still has to do.
//!
//! ```text
//! Absent ──create──▶ Open ──close──▶ Closed
//!                    │  ▲
//!                    └──┘ tick
//! ```

mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use domain::{aggregate::aggregate, value::text_value};
use serde::{Deserialize, Serialize};

pub use self::{command::ChecklistCommand, error::ChecklistError, event::ChecklistEvent};

text_value!(
    /// An item of a checklist.
    ChecklistItem, "item", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// What shows that an item is done, such as the name of a file.
    ItemEvidence, "evidence", max 200, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// What somebody notes about an item that is done.
    ChecklistNote, "note", max 1_000, |c| !c.is_control(), "text on one line"
);

/// State of one checklist, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Checklist {
    /// The checklist does not exist yet.
    #[default]
    Absent,
    /// The items, each with its completion if it is done.
    Open(BTreeMap<ChecklistItem, Option<ItemCompletion>>),
    /// All items are done.
    Closed,
}

/// How an item was done: the command says it, the event records it, and the state has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemCompletion {
    /// What shows it.
    pub evidence: ItemEvidence,
    /// A note about it; `None` in events of version 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<ChecklistNote>,
}

impl Checklist {
    /// Decides which events a command leads to; none if it changes nothing.
    ///
    /// # Errors
    /// [`ChecklistError`] when the checklist's state forbids it.
    pub fn decide(&self, command: ChecklistCommand) -> Result<Vec<ChecklistEvent>, ChecklistError> {
        match (self, command) {
            (Self::Absent, ChecklistCommand::Create { items, stamp }) => {
                Ok(vec![ChecklistEvent::Created { items, stamp }])
            }
            (Self::Absent, ChecklistCommand::Tick { .. } | ChecklistCommand::Close { .. }) => {
                Err(ChecklistError::NotCreated)
            }
            (Self::Open(_), ChecklistCommand::Create { .. }) => Err(ChecklistError::AlreadyCreated),
            (Self::Open(items), ChecklistCommand::Tick { item, completion, stamp }) => match items.get(&item) {
                None => Err(ChecklistError::UnknownItem),
                Some(Some(_)) => Ok(vec![]),
                Some(None) => Ok(vec![ChecklistEvent::ItemTicked { item, completion, stamp }]),
            },
            (Self::Open(items), ChecklistCommand::Close { .. }) if items.values().any(Option::is_none) => {
                Err(ChecklistError::ItemsOpen)
            }
            (Self::Open(_), ChecklistCommand::Close { stamp }) => Ok(vec![ChecklistEvent::Closed { stamp }]),
            (Self::Closed, ChecklistCommand::Close { .. }) => Ok(vec![]),
            (Self::Closed, ChecklistCommand::Create { .. } | ChecklistCommand::Tick { .. }) => {
                Err(ChecklistError::Closed)
            }
        }
    }

    /// Folds one event into the state. Never fails and checks no rules, since the event is recorded.
    pub fn evolve(&mut self, event: ChecklistEvent) {
        match (self, event) {
            (Self::Open(items), ChecklistEvent::ItemTicked { item, completion, .. }) => {
                items.insert(item, Some(completion));
            }
            (state, ChecklistEvent::Created { items, .. }) => {
                *state = Self::Open(items.into_iter().map(|item| (item, None)).collect());
            }
            (state, ChecklistEvent::Closed { .. }) => *state = Self::Closed,
            (Self::Absent | Self::Closed, ChecklistEvent::ItemTicked { .. }) => {}
        }
    }
}

aggregate!(Checklist, "checklist", ChecklistCommand, ChecklistEvent, ChecklistError);
