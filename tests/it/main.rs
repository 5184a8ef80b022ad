//! End-to-end tests over real engines. One binary, because each further one links everything again.

mod architecture;
mod eventstore;
#[cfg(test)]
mod local_stack;
mod notices;
#[cfg(test)]
mod projections;
