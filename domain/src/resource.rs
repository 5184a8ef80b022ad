//! A resource: a text or other asset that a company reuses in its proposals.
//!
//! ```text
//! Absent ──create──▶ Present ──delete──▶ Deleted
//!                     │   ▲
//!                     └───┘ update
//! ```

mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;
mod value;

use serde::{Deserialize, Serialize};

pub use self::{
    command::ResourceCommand,
    error::ResourceError,
    event::ResourceEvent,
    value::{MAX_TAGS, ResourceBody, ResourceContent, ResourceKind, ResourceName, ResourceTag, ResourceTags},
};
use crate::aggregate::aggregate;

/// State of one resource, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    /// The resource does not exist yet.
    #[default]
    Absent,
    /// The resource exists and can be used.
    Present(ResourceContent),
    /// The resource was deleted and cannot be restored.
    Deleted,
}

impl Resource {
    /// Decides which events a command leads to; none if it changes nothing.
    ///
    /// # Errors
    /// [`ResourceError`] when the resource's state forbids it.
    pub fn decide(&self, command: ResourceCommand) -> Result<Vec<ResourceEvent>, ResourceError> {
        match (self, command) {
            (Self::Absent, ResourceCommand::Create { content, stamp }) => {
                Ok(vec![ResourceEvent::Created { content, stamp }])
            }
            (Self::Present(current), ResourceCommand::Create { content, .. }) if *current == content => Ok(vec![]),
            (Self::Present(_), ResourceCommand::Create { .. }) => Err(ResourceError::AlreadyCreated),
            (Self::Present(current), ResourceCommand::Update { content, .. }) if *current == content => Ok(vec![]),
            (Self::Present(_), ResourceCommand::Update { content, stamp }) => {
                Ok(vec![ResourceEvent::Updated { content, stamp }])
            }
            (Self::Present(_), ResourceCommand::Delete { stamp }) => Ok(vec![ResourceEvent::Deleted { stamp }]),
            (Self::Absent, ResourceCommand::Update { .. } | ResourceCommand::Delete { .. }) => {
                Err(ResourceError::NotCreated)
            }
            (Self::Deleted, ResourceCommand::Delete { .. }) => Ok(vec![]),
            (Self::Deleted, ResourceCommand::Create { .. } | ResourceCommand::Update { .. }) => {
                Err(ResourceError::Deleted)
            }
        }
    }

    /// The content; `None` before the creation and after the deletion.
    pub fn content(&self) -> Option<&ResourceContent> {
        match self {
            Self::Present(content) => Some(content),
            Self::Absent | Self::Deleted => None,
        }
    }

    /// Folds one event into the state. Never fails and checks no rules, since the event is recorded.
    pub fn evolve(&mut self, event: ResourceEvent) {
        *self = match event {
            ResourceEvent::Created { content, .. } | ResourceEvent::Updated { content, .. } => Self::Present(content),
            ResourceEvent::Deleted { .. } => Self::Deleted,
        };
    }
}

aggregate!(Resource, "resource", ResourceCommand, ResourceEvent, ResourceError);
