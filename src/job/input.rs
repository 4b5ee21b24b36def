//! x
/// An array in a file.
#[derive(Clone, Debug)]
pub struct Input;
