//! Implements the `cqrs-es` and dispatcher traits once for all aggregates that decide and fold in the same way.

use cqrs_es::Aggregate;

/// An aggregate that decides synchronously and without services, so that one dispatcher serves every kind.
pub trait PureAggregate: Aggregate {
    /// Decides which events a command leads to; none if the state already is as requested.
    ///
    /// # Errors
    /// The aggregate's error when its state forbids the command.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;
}

/// Implements the aggregate traits for a state with `decide` and `evolve`, under the given aggregate type. The calling
/// crate depends on `cqrs-es`.
#[macro_export]
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

pub use aggregate;
