//! A company: a tenant of the platform, with its members and API keys.
//!
//! ```text
//! Unregistered ──register──▶ Registered ──close──▶ Closed
//!                             │   ▲
//!                             └───┘ profile, members, roles, keys
//! ```
//!
//! The stream id is the tenant id.

mod api_key;
mod command;
mod error;
mod event;
mod registered;
mod role;
#[cfg(test)]
mod tests;
mod value;

use serde::{Deserialize, Serialize};

pub use self::{
    api_key::{ApiKey, ApiKeyId, KeyHash, KeyName, MAX_API_KEYS, Scope, ScopeSet},
    command::CompanyCommand,
    error::CompanyError,
    event::CompanyEvent,
    registered::{MAX_MEMBERS, RegisteredCompany},
    role::Role,
    value::{
        CageCode, CapabilityText, ClosingReason, CompanyName, CompanyProfile, MAX_NAICS_CODES, MAX_SET_ASIDES, Uei,
    },
};
use crate::aggregate::aggregate;

/// State of one company, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Company {
    /// The company is not registered yet.
    #[default]
    Unregistered,
    /// The company is registered and uses the platform.
    Registered(Box<RegisteredCompany>),
    /// The company is closed; every command but a repeated `Close` is refused.
    Closed,
}

impl Company {
    /// Decides which events a command leads to; none if it changes nothing.
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
            (Self::Registered(company), command) => company.decide(command),
        }
    }

    /// Profile, members and keys of a registered company; `None` before registration and after closing.
    pub fn as_registered(&self) -> Option<&RegisteredCompany> {
        match self {
            Self::Registered(company) => Some(company),
            Self::Unregistered | Self::Closed => None,
        }
    }

    /// Folds one event into the state. Never fails and checks no rules, since the event is recorded.
    pub fn evolve(&mut self, event: CompanyEvent) {
        *self = match (std::mem::take(self), event) {
            (_, CompanyEvent::Registered { name, founder, .. }) => {
                Self::Registered(Box::new(RegisteredCompany::new(name, founder)))
            }
            (_, CompanyEvent::Closed { .. }) => Self::Closed,
            (Self::Registered(mut company), event) => {
                company.evolve(event);
                Self::Registered(company)
            }
            (state @ (Self::Unregistered | Self::Closed), _) => state,
        };
    }
}

aggregate!(Company, "company", CompanyCommand, CompanyEvent, CompanyError);
