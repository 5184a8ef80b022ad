//! The object store: one suite for a folder and for a bucket of a real server, faults of the service, and the product on
//! a bucket.

mod fault_proxy;
mod product_on_bucket;
mod s3_faults;
mod storage;
mod sweeper;
mod test_store;
