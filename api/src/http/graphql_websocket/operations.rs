//! The documents of one connection that are under way, each under the client's id.

use std::task::Poll;

use async_graphql::Response;
use futures::{StreamExt, future::poll_fn, stream::BoxStream};

/// Documents under way.
#[derive(Default)]
pub(super) struct RunningOperations {
    running: Vec<(String, BoxStream<'static, Response>)>,
    /// Who is asked first the next time, so that one that always has something does not silence the others.
    next_index: usize,
}

/// What became of a document.
pub(super) enum OperationProgress {
    /// It is answered, perhaps not for the last time.
    Answer(String, Box<Response>),
    /// It has come to its end; its id is free again.
    End(String),
}

impl RunningOperations {
    pub(super) fn contains(&self, id: &str) -> bool {
        self.running.iter().any(|(running, _)| running == id)
    }

    /// Begins one. Its id is free.
    pub(super) fn add(&mut self, id: String, answers: BoxStream<'static, Response>) {
        self.running.push((id, answers));
    }

    /// Ends one, if it is there.
    pub(super) fn remove(&mut self, id: &str) {
        self.running.retain(|(running, _)| running != id);
    }

    /// What happens next; never, while none is under way.
    pub(super) async fn next_progress(&mut self) -> OperationProgress {
        poll_fn(|context| {
            let count = self.running.len();
            for step in 0..count {
                let place = (self.next_index + step) % count;
                let (id, answers) = &mut self.running[place];
                match answers.poll_next_unpin(context) {
                    Poll::Ready(Some(answer)) => {
                        let id = id.clone();
                        self.next_index = place + 1;
                        return Poll::Ready(OperationProgress::Answer(id, Box::new(answer)));
                    }
                    Poll::Ready(None) => return Poll::Ready(OperationProgress::End(self.running.swap_remove(place).0)),
                    Poll::Pending => {}
                }
            }
            Poll::Pending
        })
        .await
    }
}
