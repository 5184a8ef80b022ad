//! Work on tasks: a queue that workers claim from, and a pool that runs the handlers of this program.
//!
//! ```text
//! Kafka ──task events──▶ TaskQueueProjection ──▶ task_queue ──claim with a lease──▶ WorkerPool ──▶ TaskHandler
//!                                                    └────── gRPC ClaimTask ──▶ workers of companies
//! ```
//!
//! The log has the outcome of each task; the queue only has those to attempt, and who attempts them now. A claim is a
//! lease that its worker renews. When the worker dies, the lease ends, and another worker takes the task over: it first
//! records the attempt of the dead one as failed, so that a task that kills its workers ends after its last attempt.

mod claimed_task;
mod queue_projection;
mod task_handler;
mod task_queue;
mod worker_pool;

pub use self::{
    claimed_task::ClaimedTask,
    queue_projection::TaskQueueProjection,
    task_handler::{PooledHandler, TaskFailure, TaskHandler},
    task_queue::{ClaimRequest, ClaimState, TaskBacklog, TaskQueue, TaskQueueError, TaskQueueRow, UnreadableTaskRow},
    worker_pool::{WorkerPool, WorkerPoolConfig},
};
