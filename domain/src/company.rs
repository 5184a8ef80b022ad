//! A company: a tenant of the platform, who belongs to it, and the keys of its machines.
//!
//! ```text
//! Unregistered ──register──▶ Registered ──close──▶ Closed
//!                             │   ▲
//!                             └───┘ profile, members, roles, keys
//! ```
//!
//! Its stream is the tenant itself.

mod command;
mod error;
mod event;
mod key;
mod role;
mod roster;
#[cfg(test)]
mod tests;
mod upcast;
mod value;

use serde::{Deserialize, Serialize};

pub(crate) use self::upcast::LINEAGES;
pub use self::{
    command::CompanyCommand,
    error::CompanyError,
    event::CompanyEvent,
    key::{ApiKey, ApiKeyId, KeyHash, KeyName, MAX_KEYS, Scope, Scopes},
    role::Role,
    roster::{MAX_MEMBERS, Roster},
    value::{Cage, Capabilities, ClosingReason, CompanyName, MAX_NAICS, MAX_SET_ASIDES, Profile, Uei},
};
use crate::aggregate::aggregate;

/// State of one company, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Company {
    /// Nobody has registered it.
    #[default]
    Unregistered,
    /// It uses the platform.
    Registered(Box<Roster>),
    /// It no longer does, and nobody acts for it.
    Closed,
}

impl Company {
    /// Decides what a command changes. An empty answer means the wish is already met.
    ///
    /// # Errors
    /// [`CompanyError`] when the company's state forbids it.
    pub fn decide(&self, command: CompanyCommand) -> Result<Vec<CompanyEvent>, CompanyError> {
        match (self, command) {
            (Self::Unregistered, CompanyCommand::Register { name, founder, stamp }) => {
                Ok(vec![CompanyEvent::Registered { name, founder, stamp }])
            }
            (Self::Unregistered, _) => Err(CompanyError::NotRegistered),
            (Self::Closed, CompanyCommand::Close { .. }) => Ok(vec![]),
            (Self::Closed, _) => Err(CompanyError::Closed),
            (Self::Registered(_), CompanyCommand::Close { reason, stamp }) => {
                Ok(vec![CompanyEvent::Closed { reason, stamp }])
            }
            (Self::Registered(roster), command) => roster.decide(command),
        }
    }

    /// Who belongs to it and what it is like, while it uses the platform.
    pub fn roster(&self) -> Option<&Roster> {
        match self {
            Self::Registered(roster) => Some(roster),
            Self::Unregistered | Self::Closed => None,
        }
    }

    /// Folds one event into the state. Never fails and never judges: it happened.
    pub fn evolve(&mut self, event: CompanyEvent) {
        *self = match (std::mem::take(self), event) {
            (_, CompanyEvent::Registered { name, founder, .. }) => {
                Self::Registered(Box::new(Roster::founded(name, founder)))
            }
            (_, CompanyEvent::Closed { .. }) => Self::Closed,
            (Self::Registered(mut roster), event) => {
                roster.evolve(event);
                Self::Registered(roster)
            }
            (state @ (Self::Unregistered | Self::Closed), _) => state,
        };
    }
}

aggregate!(Company, "company", CompanyCommand, CompanyEvent, CompanyError);
