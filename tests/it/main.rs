//! End-to-end tests over real engines. One binary, because each further one links everything again.

mod architecture;
mod eventstore;
mod local_stack;
