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

    /// Checks that this release can read a state.
    ///
    /// # Errors
    /// When it cannot.
    fn check_state(&self, state: &Value) -> Result<(), serde_json::Error>;

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

/// A reaction in its stored form.
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

/// Decides what follows from inputs in their order, until the instance is finished. Only the last reaction has the state.
pub(crate) fn decide_all<'a, P: Process<Event: 'a>>(
    state: &Value,
    inputs: impl IntoIterator<Item = &'a P::Event>,
) -> Result<Vec<StoredReaction>, serde_json::Error> {
    let first = decode_state::<P>(state)?;
    let before = serde_json::to_value(&first)?;
    let (mut current, mut is_changed) = (first, false);
    let mut reactions = vec![];
    for input in inputs {
        let ProcessReaction { next, commands, timers } = current.react(ProcessInput::Event(input));
        if let Some(next) = next {
            (current, is_changed) = (next, true);
        }
        let waits_for = current.waits_for();
        reactions.push(StoredReaction { state: None, waits_for, commands, timers });
        if waits_for.is_none() {
            break;
        }
    }
    if let Some(last) = reactions.last_mut().filter(|_| is_changed) {
        let mut next = serde_json::to_value(&current)?;
        carry_unknown_fields(state, &before, &mut next)?;
        last.state = Some(next);
    }
    Ok(reactions)
}

impl<P: Process> AnyProcess for ProcessType<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn user_id(&self) -> &'static str {
        P::USER_ID
    }

    fn check_state(&self, state: &Value) -> Result<(), serde_json::Error> {
        decode_state::<P>(state).map(drop)
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

#[cfg(test)]
mod tests {
    use domain::{
        value::UserId,
        watchlist::{NotificationFrequency, SearchId},
    };
    use uuid::Uuid;

    use super::*;
    use crate::saved_search_alert_process::{
        AlertedSearch, MAX_ALERTS_PER_HOUR, MatchAnnouncement, SavedSearchAlertInput, SavedSearchAlertProcess,
        SavedSearchMatch,
    };

    #[test]
    fn inputs_together_lead_to_what_they_lead_to_one_by_one() {
        let search = AlertedSearch {
            search_id: SearchId::new(Uuid::from_u128(1)),
            name: "Lifts".to_owned(),
            user: UserId::try_new("ann").unwrap(),
            notify: NotificationFrequency::AtOnce,
            window: "0".to_owned(),
        };
        let found = |number: u32| {
            let opportunity_id = format!("036:{number}");
            SavedSearchMatch::Opportunity(MatchAnnouncement {
                opportunity_id,
                title: "Lifts".to_owned(),
                summary: "A notice.".to_owned(),
            })
        };
        let found = (0..MAX_ALERTS_PER_HOUR + 3).map(found).chain([SavedSearchMatch::More(7)]);
        let inputs: Vec<_> = found.map(|found| SavedSearchAlertInput { search: search.clone(), found }).collect();

        let (mut state, mut one_by_one) = (Value::Null, vec![]);
        for input in &inputs {
            let mut decision = decide::<SavedSearchAlertProcess>(&state, ProcessInput::Event(input)).unwrap();
            state = decision.state.take().unwrap();
            one_by_one.push(decision);
        }
        one_by_one.last_mut().unwrap().state = Some(state);
        assert_eq!(decide_all::<SavedSearchAlertProcess>(&Value::Null, &inputs).unwrap(), one_by_one);
        assert_eq!(decide_all::<SavedSearchAlertProcess>(&Value::Null, []).unwrap(), []);
    }
}
