//! Running documents of one connection, each under the client's id.

use std::task::Poll;

use async_graphql::Response;
use futures::{StreamExt, future::poll_fn, stream::BoxStream};

#[derive(Default)]
pub(super) struct RunningOperations {
    running: Vec<(String, BoxStream<'static, Response>)>,
    /// Index polled first the next time, so that a document that is always ready does not starve the others.
    next_index: usize,
}

pub(super) enum OperationProgress {
    /// A result; more may follow.
    Answer(String, Box<Response>),
    /// The document has ended; its id can be used again.
    End(String),
}

impl RunningOperations {
    pub(super) fn contains(&self, id: &str) -> bool {
        self.running.iter().any(|(running, _)| running == id)
    }

    /// Adds a document. The id must not be in use.
    pub(super) fn add(&mut self, id: String, responses: BoxStream<'static, Response>) {
        self.running.push((id, responses));
    }

    /// Drops a document if it is running.
    pub(super) fn remove(&mut self, id: &str) {
        self.running.retain(|(running, _)| running != id);
    }

    /// Returns the next result or end; pending while no document runs.
    pub(super) async fn next_progress(&mut self) -> OperationProgress {
        poll_fn(|context| {
            let count = self.running.len();
            for step in 0..count {
                let index = (self.next_index + step) % count;
                let (id, responses) = &mut self.running[index];
                match responses.poll_next_unpin(context) {
                    Poll::Ready(Some(response)) => {
                        let id = id.clone();
                        self.next_index = index + 1;
                        return Poll::Ready(OperationProgress::Answer(id, Box::new(response)));
                    }
                    Poll::Ready(None) => return Poll::Ready(OperationProgress::End(self.running.swap_remove(index).0)),
                    Poll::Pending => {}
                }
            }
            Poll::Pending
        })
        .await
    }
}
