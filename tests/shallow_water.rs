//! The kernel `shallow-water` against water at rest, exact solutions and a measured wave tank.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tests"
)]

mod common;
#[path = "shallow_water/data.rs"]
mod data;
#[path = "shallow_water/exact.rs"]
mod exact;
#[path = "shallow_water/monai.rs"]
mod monai;
#[path = "shallow_water/rest.rs"]
mod rest;
#[path = "shallow_water/tank.rs"]
mod tank;
