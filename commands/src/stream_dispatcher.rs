//! Commands for one stream, one after another: its aggregate is loaded once for all of them.

use std::any::Any;

use domain::{aggregate::PureAggregate, event_store::AggregateStores, fingerprint::Fingerprint, value::AuditStamp};

use crate::{
    authorization::AuthorizedCommand,
    command_execution::{MAX_ATTEMPTS, StreamState, decide_and_append, load_state},
    dispatcher::{CommandDispatcher, CommandOutcome, CommandSender, stream_id},
    error::CommandError,
    precondition::CommandPreconditions,
};

/// Dispatches commands that wait at the same time. For a command on the same stream as the one before, the aggregate is
/// not loaded again, unless others have appended to the stream meanwhile. A command may therefore be decided on the
/// state that the stream had when the first one was dispatched, with the events of those in between: as if all had been
/// dispatched then. Callers dispatch only commands that were waiting already at that time.
pub struct StreamDispatcher<'a, S> {
    dispatcher: &'a CommandDispatcher<S>,
    /// The stream of the last command, and its `StreamState<A>`. `None` while a command is executed, so that one that is
    /// dropped leaves nothing behind.
    loaded: Option<(String, Box<dyn Any + Send>)>,
}

impl<'a, S: AggregateStores> StreamDispatcher<'a, S> {
    pub(crate) fn new(dispatcher: &'a CommandDispatcher<S>) -> Self {
        Self { dispatcher, loaded: None }
    }

    /// The audit stamp of a command that the sender issues now.
    pub fn stamp(&self, sender: &CommandSender) -> AuditStamp {
        self.dispatcher.stamp(sender)
    }

    /// Executes a command as [`CommandDispatcher::dispatch`] does.
    ///
    /// # Errors
    /// As [`CommandDispatcher::dispatch`].
    pub async fn dispatch<A>(
        &mut self,
        sender: &CommandSender,
        id: &str,
        conditions: &CommandPreconditions,
        command: A::Command,
    ) -> Result<CommandOutcome, CommandError<A::Error>>
    where
        A: PureAggregate<Command: AuthorizedCommand + Clone, Error: 'static> + Fingerprint + 'static,
    {
        let need = command.required_authority();
        if !sender.authority.permits(need) {
            return Err(CommandError::Forbidden { required: need });
        }
        let stream = stream_id::<A>(&sender.caller.tenant_id, id);
        let store = self.dispatcher.store_for::<A>();
        let decide = |aggregate: &A| aggregate.decide(command.clone());
        let mut known = self.take_state::<A>(&stream);
        let mut attempts_left = MAX_ATTEMPTS;
        loop {
            attempts_left -= 1;
            let mut state = match known.take() {
                Some(state) => state,
                None => load_state(&store, &stream).await?,
            };
            match decide_and_append(&store, &sender.caller, &stream, conditions, decide, &state).await {
                Ok((outcome, events)) => {
                    state.apply_events(events);
                    self.loaded = Some((stream, Box::new(state)));
                    return Ok(outcome);
                }
                Err(CommandError::Conflict) if attempts_left > 0 => {}
                Err(refused @ CommandError::Refused(_)) => {
                    self.loaded = Some((stream, Box::new(state)));
                    return Err(refused);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn take_state<A: PureAggregate + 'static>(&mut self, stream: &str) -> Option<StreamState<A>> {
        let (loaded_stream, state) = self.loaded.take()?;
        // Streams of two aggregate types may have the same id; their states have different types.
        if loaded_stream == stream { state.downcast().ok().map(|state| *state) } else { None }
    }
}
