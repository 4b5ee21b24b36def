//! x
/// A formula.
#[derive(Clone, Debug)]
pub struct Formula;
