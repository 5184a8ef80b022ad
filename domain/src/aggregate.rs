//! What an aggregate is to `cqrs-es` and to the bus: said once for all that decide and fold in the same way.

use cqrs_es::Aggregate;

/// An aggregate that decides by itself, without services and without waiting, so that one bus serves all of them.
pub trait PureAggregate: Aggregate {
    /// What a command changes; nothing where its wish is already met.
    ///
    /// # Errors
    /// The aggregate's own, when its state forbids the command.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;
}

/// Makes a state with `decide` and `evolve` an aggregate of that type.
macro_rules! aggregate {
    ($state:ident, $name:literal, $command:ty, $event:ty, $error:ty) => {
        impl cqrs_es::Aggregate for $state {
            const TYPE: &'static str = $name;

            type Command = $command;
            type Event = $event;
            type Error = $error;
            type Services = ();

            async fn handle(
                &mut self,
                command: Self::Command,
                (): &Self::Services,
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in self.decide(command)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.evolve(event);
            }
        }

        impl $crate::aggregate::PureAggregate for $state {
            fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error> {
                $state::decide(self, command)
            }
        }
    };
}

pub(crate) use aggregate;
