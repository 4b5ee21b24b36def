//! The kernels that this build ships.

use ringfort_kernels::{Declaration, Heat, Kernel};

use super::Catalog;

/// Name of a kernel and what it says about itself on a grid of so many axes.
type Entry = (&'static str, fn(usize) -> Declaration);

/// All kernels, by name.
static ALL: &[Entry] = &[("heat", |axes| Heat.declare(axes))];

/// The shipped kernels.
#[derive(Clone, Copy, Debug)]
pub struct Shipped;

/// The shipped kernels.
#[must_use]
pub fn catalog() -> &'static dyn Catalog {
    &Shipped
}

impl Catalog for Shipped {
    fn names(&self) -> Vec<&'static str> {
        ALL.iter().map(|(name, _)| *name).collect()
    }

    fn declare(&self, name: &str, axes: usize) -> Option<Declaration> {
        ALL.iter().find(|(known, _)| *known == name).map(|(_, declare)| declare(axes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_kernels_give_themselves() {
        for name in Shipped.names() {
            for axes in 1..=4 {
                let declaration = Shipped.declare(name, axes).unwrap();
                assert_eq!(declaration.name, name);
            }
        }
        assert!(Shipped.declare("heatt", 3).is_none());
    }
}
