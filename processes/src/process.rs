//! The trait that each process implements.

use std::time::Duration;

use domain::{
    context::BoundedContext,
    envelope::{EventDecodeError, RawEnvelope},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::ProcessCommand;

/// A process manager. A value of the type is the state of one instance; the default is the state before its first event.
///
/// The state is stored as JSON: add fields with defaults, never rename or remove one while instances are open.
pub trait Process: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name in tables, of the consumer group, in metrics and on the command line. Never reused for another process.
    const NAME: &'static str;

    /// The user id that its commands are recorded under: `system:` and its name.
    const USER_ID: &'static str;

    /// The events that it reacts to.
    type Event: Send + Sync + 'static;

    /// The contexts whose events it consumes.
    fn subscribed_contexts() -> &'static [BoundedContext];

    /// The event as this process understands it, with the instance that it belongs to; `None` if the process does not
    /// react to events of this kind.
    ///
    /// # Errors
    /// [`EventDecodeError`] when the payload has an unknown shape. The event is parked as a dead letter.
    fn interpret(event: &RawEnvelope) -> Result<Option<(InstanceSelector, Self::Event)>, EventDecodeError>;

    /// Whether this event starts an instance. Other events of unknown instances are ignored.
    fn is_start(event: &Self::Event) -> bool;

    /// Decides what follows from an input. Pure: no I/O, no clock, no randomness.
    fn react(&self, input: ProcessInput<'_, Self::Event>) -> ProcessReaction<Self>;

    /// What the instance is waiting for, for people; `None` when it is finished and ignores further inputs.
    fn waits_for(&self) -> Option<&'static str>;
}

/// How an event finds its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceSelector {
    /// The instance with this id, in the tenant of the event.
    Id(String),
    /// The instance that sent a command to the event's stream before.
    FollowedStream,
}

/// What a process reacts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessInput<'a, E> {
    /// An event was recorded.
    Event(&'a E),
    /// The timer of this name is due.
    Timeout(&'a str),
    /// A command of this process was refused: by a rule of the domain, or because its idempotency key was used for
    /// another command.
    CommandRefused {
        /// The command.
        command: &'a ProcessCommand,
        /// The rule's reason.
        reason: &'a str,
    },
    /// An operator cancels the instance. Its last commands undo what it has begun.
    Cancelled {
        /// The operator's reason.
        reason: &'a str,
    },
}

/// A change of a timer. An instance has at most one timer of each name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerChange {
    /// Starts the timer, or starts it again.
    Set {
        /// Name of the timer.
        name: &'static str,
        /// Time until it is due.
        after: Duration,
    },
    /// Cancels the timer, if it is set.
    Cancel {
        /// Name of the timer.
        name: &'static str,
    },
}

/// What a process decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessReaction<P> {
    /// The next state; `None` leaves it as it is.
    pub next: Option<P>,
    /// Commands, sent in this order. A later one is sent only after the earlier ones were executed or refused.
    pub commands: Vec<ProcessCommand>,
    /// Changes of timers.
    pub timers: Vec<TimerChange>,
}

impl<P> ProcessReaction<P> {
    /// Changes nothing.
    pub fn none() -> Self {
        Self { next: None, commands: vec![], timers: vec![] }
    }

    /// Moves to another state.
    pub fn move_to(next: P) -> Self {
        Self { next: Some(next), commands: vec![], timers: vec![] }
    }

    /// Also sends a command.
    #[must_use]
    pub fn with_command(mut self, command: ProcessCommand) -> Self {
        self.commands.push(command);
        self
    }

    /// Also sends commands.
    #[must_use]
    pub fn with_commands(mut self, commands: impl IntoIterator<Item = ProcessCommand>) -> Self {
        self.commands.extend(commands);
        self
    }

    /// Also sets a timer.
    #[must_use]
    pub fn with_timer(mut self, name: &'static str, after: Duration) -> Self {
        self.timers.push(TimerChange::Set { name, after });
        self
    }

    /// Also cancels a timer.
    #[must_use]
    pub fn without_timer(mut self, name: &'static str) -> Self {
        self.timers.push(TimerChange::Cancel { name });
        self
    }
}
