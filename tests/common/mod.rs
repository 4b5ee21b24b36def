//! What several tests share.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    reason = "each test uses a part of it"
)]

pub mod jobs;
pub mod layouts;
pub mod numbers;
pub mod runs;
