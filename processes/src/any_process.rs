//! A type-erased process, so that the runner treats all of them alike.

use std::marker::PhantomData;

use serde_json::Value;

use crate::{
    Process, ProcessCommand, ProcessInput, ProcessReaction, TimerChange, unknown_fields::carry_unknown_fields,
};

/// A process, type-erased. Implemented for every [`Process`].
pub trait AnyProcess: Send + Sync {
    /// See [`Process::NAME`].
    fn name(&self) -> &'static str;

    /// See [`Process::USER_ID`].
    fn user_id(&self) -> &'static str;

    /// Decides what follows when a timer of an instance in this state is due.
    ///
    /// # Errors
    /// When this release cannot read the state.
    fn react_to_timeout(&self, state: &Value, timer: &str) -> Result<StoredReaction, serde_json::Error>;

    /// Decides what follows when a command of an instance in this state was refused.
    ///
    /// # Errors
    /// As [`Self::react_to_timeout`].
    fn react_to_refusal(
        &self,
        state: &Value,
        command: &ProcessCommand,
        reason: &str,
    ) -> Result<StoredReaction, serde_json::Error>;

    /// Decides which commands undo what an instance in this state has begun.
    ///
    /// # Errors
    /// As [`Self::react_to_timeout`].
    fn react_to_cancellation(&self, state: &Value, reason: &str) -> Result<StoredReaction, serde_json::Error>;
}

/// The type of a process, as a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessType<P>(PhantomData<fn() -> P>);

impl<P> ProcessType<P> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

/// A reaction in the form in which it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredReaction {
    /// The next state as JSON; `None` leaves it as it is.
    pub(crate) state: Option<Value>,
    /// What the instance waits for afterwards; `None` when it is finished.
    pub(crate) waits_for: Option<&'static str>,
    pub(crate) commands: Vec<ProcessCommand>,
    pub(crate) timers: Vec<TimerChange>,
}

/// The state that is stored as `state`; a new instance has none.
pub(crate) fn decode_state<P: Process>(state: &Value) -> Result<P, serde_json::Error> {
    if state.is_null() { Ok(P::default()) } else { P::deserialize(state) }
}

/// Decides what follows from an input in this state.
pub(crate) fn decide<P: Process>(
    state: &Value,
    input: ProcessInput<'_, P::Event>,
) -> Result<StoredReaction, serde_json::Error> {
    let current = decode_state::<P>(state)?;
    let ProcessReaction { next, commands, timers } = current.react(input);
    let waits_for = next.as_ref().unwrap_or(&current).waits_for();
    let mut next = next.as_ref().map(serde_json::to_value).transpose()?;
    if let Some(next) = &mut next {
        carry_unknown_fields(state, &serde_json::to_value(&current)?, next)?;
    }
    Ok(StoredReaction { state: next, waits_for, commands, timers })
}

impl<P: Process> AnyProcess for ProcessType<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn user_id(&self) -> &'static str {
        P::USER_ID
    }

    fn react_to_timeout(&self, state: &Value, timer: &str) -> Result<StoredReaction, serde_json::Error> {
        decide::<P>(state, ProcessInput::Timeout(timer))
    }

    fn react_to_refusal(
        &self,
        state: &Value,
        command: &ProcessCommand,
        reason: &str,
    ) -> Result<StoredReaction, serde_json::Error> {
        decide::<P>(state, ProcessInput::CommandRefused { command, reason })
    }

    fn react_to_cancellation(&self, state: &Value, reason: &str) -> Result<StoredReaction, serde_json::Error> {
        decide::<P>(state, ProcessInput::Cancelled { reason })
    }
}
