//! What several tests share.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::cast_precision_loss, reason = "each test uses a part of it")]

pub mod reference;
pub mod relay;
