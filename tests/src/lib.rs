//! What end-to-end tests stand on: real stacks, and waiting that says what it waits for.
#![expect(clippy::panic, reason = "a harness fails a test by panicking with the reason")]

mod eventually;
mod stack;

pub use self::{
    eventually::eventually,
    stack::{Environment, Stack, engines, medhub_local},
};
