//! Documents on the wire. Files come and go over REST.

mod mutation;
mod query;
mod reading;
mod view;

pub(super) use self::{mutation::DocumentMutation, query::DocumentQuery};
