//! One block of a tensor field with its halo: owns the memory.
//!
//! Input: extents of a block and halo widths. Output: storage per slot, read and written by box.
//! Invariant: every index that a [`Span`] inside the layout names lies inside the storage.

use ringfort_kernels::Real;

use crate::grid::{AXES, Extents};
use crate::memory::{Values, held};

/// Values per cache line at the smaller precision: rows begin at multiples of it, and as many values of slack lie before
/// the first row and after the last, so that whole vectors may be computed at both ends of a row.
const LINE: usize = 16;

/// What a copy of values does with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Keeps them.
    Same,
    /// Gives them the opposite sign.
    Opposite,
    /// Puts zeros in their place.
    Zero,
}

/// A box of cells relative to a block's first cell; halo cells below it have negative indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First cell along each axis.
    pub low: [isize; AXES],
    /// First cell past the box along each axis.
    pub high: [isize; AXES],
}

impl Span {
    /// A block's own cells.
    #[must_use]
    pub fn own(extent: Extents) -> Self {
        Self { low: [0; AXES], high: extent.map(usize::cast_signed) }
    }

    /// Cells along `axis`, 0 if the box is empty there.
    #[must_use]
    pub fn extent(&self, axis: usize) -> usize {
        usize::try_from(self.high[axis] - self.low[axis]).unwrap_or(0)
    }

    /// Number of cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        (0..AXES).map(|axis| self.extent(axis)).product()
    }

    /// The same box with other bounds along `axis`.
    #[must_use]
    pub fn with(mut self, axis: usize, low: isize, high: isize) -> Self {
        self.low[axis] = low;
        self.high[axis] = high;
        self
    }

    /// True if `other` lies within this box.
    #[must_use]
    pub fn holds(&self, other: &Span) -> bool {
        (0..AXES).all(|axis| self.low[axis] <= other.low[axis] && other.high[axis] <= self.high[axis])
    }

    /// Calls `row` with the first cell of each row, in memory order.
    pub fn each_row(&self, mut row: impl FnMut([isize; AXES])) {
        let [_, _, _, x] = self.low;
        for w in self.low[0]..self.high[0] {
            for z in self.low[1]..self.high[1] {
                for y in self.low[2]..self.high[2] {
                    row([w, z, y, x]);
                }
            }
        }
    }
}

/// Where the cells of a block with halo lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Own cells along each axis.
    pub extent: Extents,
    /// Halo cells along each axis, on both sides.
    pub halo: Extents,
    /// Values to skip to the next cell along each axis.
    pub stride: [isize; AXES],
    /// Position of the first own cell.
    origin: isize,
    /// Values in all.
    len: usize,
}

impl Layout {
    /// Layout of a block of `extent` cells with `halo` cells on both sides of each axis. Rows begin at a cache line, and planes
    /// are an odd number of lines apart: at a power of two they would crowd into few sets of a cache, and what is written past
    /// it takes four times as long.
    #[must_use]
    pub fn new(extent: Extents, halo: Extents) -> Self {
        let before = halo[3].next_multiple_of(LINE);
        let row = (before + extent[3] + halo[3]).next_multiple_of(LINE);
        let y = row;
        let apart = |values: usize, axis: usize| {
            let even = extent[axis] + 2 * halo[axis] > 1 && (values / LINE).is_multiple_of(2);
            if even { values + LINE } else { values }
        };
        let z = apart(y * (extent[2] + 2 * halo[2]), 1);
        let w = apart(z * (extent[1] + 2 * halo[1]), 0);
        let len = w * (extent[0] + 2 * halo[0]) + 2 * LINE;
        let stride = [w, z, y, 1].map(usize::cast_signed);
        let origin = (LINE + halo[0] * w + halo[1] * z + halo[2] * y + before).cast_signed();
        Self { extent, halo, stride, origin, len }
    }

    /// Own cells.
    #[must_use]
    pub fn own(&self) -> Span {
        Span::own(self.extent)
    }

    /// Own cells and halo.
    #[must_use]
    pub fn all(&self) -> Span {
        let mut span = self.own();
        for axis in 0..AXES {
            span.low[axis] -= self.halo[axis].cast_signed();
            span.high[axis] += self.halo[axis].cast_signed();
        }
        span
    }

    /// Position of `cell` in memory.
    #[must_use]
    pub fn at(&self, cell: [isize; AXES]) -> isize {
        self.origin + (0..AXES).map(|axis| cell[axis] * self.stride[axis]).sum::<isize>()
    }

    /// Position of the first own cell of a row that is stored alone, with slack on both sides.
    pub(crate) fn row_origin(&self) -> isize {
        (LINE + self.halo[3].next_multiple_of(LINE)).cast_signed()
    }

    /// Values of slack before the first row and after the last.
    pub(crate) const SLACK: usize = LINE;

    /// Bytes that one field of values of `bytes` bytes takes of memory.
    #[must_use]
    pub fn bytes(&self, bytes: usize) -> usize {
        held(self.len * bytes)
    }
}

/// Storage of one slot.
#[derive(Debug)]
enum Storage<T> {
    /// The kernel does not use it.
    Absent,
    /// The same value everywhere: one row of it.
    Row(Values<T>),
    /// One value per cell; a second level where a stage cannot write in place.
    Full { now: Values<T>, spare: Option<Values<T>> },
}

/// All fields of one block.
#[derive(Debug)]
pub struct Fields<T: Real> {
    layout: Layout,
    slots: Vec<Storage<T>>,
    /// Room for values that boundaries hold during a stage, kept from stage to stage.
    held: Vec<T>,
}

/// Base address of a slot's own cell 0 and its strides; strides are 0 where the slot has the same value everywhere.
#[derive(Clone, Copy)]
pub(crate) struct Base<T> {
    pub(crate) now: *mut T,
    pub(crate) spare: *mut T,
    pub(crate) stride: [isize; AXES],
}

impl<T> Base<T> {
    /// Of a slot without storage.
    pub(crate) const fn absent() -> Self {
        Self { now: std::ptr::null_mut(), spare: std::ptr::null_mut(), stride: [0; AXES] }
    }
}

impl<T: Real> Fields<T> {
    /// Room for `slots` slots, all absent.
    #[must_use]
    pub fn new(layout: Layout, slots: usize) -> Self {
        Self { layout, slots: (0..slots).map(|_| Storage::Absent).collect(), held: Vec::new() }
    }

    /// Where cells lie.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Gives `slot` storage for a value per cell, all zero, and a second level if `spare`.
    pub fn allocate(&mut self, slot: usize, spare: bool) {
        let zeros = || Values::zeros(self.layout.len);
        self.slots[slot] = Storage::Full { now: zeros(), spare: spare.then(zeros) };
    }

    /// Gives `slot` the same value everywhere.
    pub fn set_constant(&mut self, slot: usize, value: T) {
        let row = self.layout.stride[2].unsigned_abs() + 2 * LINE;
        let mut values = Values::zeros(row);
        values.fill(value);
        self.slots[slot] = Storage::Row(values);
    }

    /// Frees `slot`.
    pub fn release(&mut self, slot: usize) {
        self.slots[slot] = Storage::Absent;
    }

    /// Bytes of all slots.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let values = |storage: &Storage<T>| match storage {
            Storage::Absent => 0,
            Storage::Row(values) => values.len(),
            Storage::Full { now, spare } => now.len() + spare.as_ref().map_or(0, |spare| spare.len()),
        };
        self.slots.iter().map(values).sum::<usize>() * T::BYTES
    }

    /// Number of slots.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// True if `slot` has a value per cell.
    #[must_use]
    pub fn is_full(&self, slot: usize) -> bool {
        matches!(self.slots[slot], Storage::Full { .. })
    }

    /// Makes the level that was written the present one.
    ///
    /// # Panics
    ///
    /// If `slot` has no second level.
    pub fn swap(&mut self, slot: usize) {
        match &mut self.slots[slot] {
            Storage::Full { now, spare: Some(spare) } => std::mem::swap(now, spare),
            Storage::Full { spare: None, .. } | Storage::Row(_) | Storage::Absent => {
                panic!("slot {slot} has no second level")
            }
        }
    }

    /// Gives each of two slots the other's storage.
    pub fn exchange(&mut self, one: usize, other: usize) {
        self.slots.swap(one, other);
    }

    /// Value of `slot` at `cell`.
    ///
    /// # Panics
    ///
    /// If the slot is absent or the cell outside the layout.
    #[must_use]
    pub fn value(&self, slot: usize, cell: [isize; AXES]) -> T {
        match &self.slots[slot] {
            Storage::Absent => panic!("slot {slot} is absent"),
            Storage::Row(values) => values[0],
            Storage::Full { now, .. } => now[self.layout.at(cell).cast_unsigned()],
        }
    }

    /// True if `slot` has a second level.
    #[must_use]
    pub fn has_spare(&self, slot: usize) -> bool {
        matches!(self.slots[slot], Storage::Full { spare: Some(_), .. })
    }

    /// All values of `slot` as they are stored.
    ///
    /// # Panics
    ///
    /// If the slot has no value per cell.
    pub(crate) fn stored(&self, slot: usize) -> &[T] {
        let Storage::Full { now, .. } = &self.slots[slot] else { panic!("slot {slot} has no value per cell") };
        now
    }

    /// Copies the values of `slot` in `span` to `out`, in memory order.
    ///
    /// # Panics
    ///
    /// If `span` leaves the layout, `out` has another length, or the slot is absent.
    pub fn read(&self, slot: usize, span: &Span, out: &mut [T]) {
        assert!(self.layout.all().holds(span), "{span:?} leaves {:?}", self.layout);
        assert_eq!(span.cells(), out.len());
        let width = span.extent(3);
        match &self.slots[slot] {
            Storage::Absent => panic!("slot {slot} is absent"),
            Storage::Row(values) => out.fill(values[0]),
            Storage::Full { now, .. } if width > 0 => {
                let mut rows = out.chunks_exact_mut(width);
                span.each_row(|cell| {
                    let at = self.layout.at(cell).cast_unsigned();
                    if let Some(row) = rows.next() {
                        row.copy_from_slice(&now[at..at + width]);
                    }
                });
            }
            Storage::Full { .. } => {}
        }
    }

    /// Calls `see` with each row of `span` of `slot`, in memory order: its first cell and its values.
    ///
    /// # Panics
    ///
    /// If `span` leaves the layout, or the slot has no value per cell.
    pub fn rows(&self, slot: usize, span: &Span, mut see: impl FnMut([isize; AXES], &[T])) {
        assert!(self.layout.all().holds(span), "{span:?} leaves {:?}", self.layout);
        let Storage::Full { now, .. } = &self.slots[slot] else { panic!("slot {slot} has no value per cell") };
        let width = span.extent(3);
        span.each_row(|cell| {
            let at = self.layout.at(cell).cast_unsigned();
            see(cell, &now[at..at + width]);
        });
    }

    /// Calls `set` with each row of `span` of `slot`, in memory order: its first cell and its values, to be set.
    ///
    /// # Panics
    ///
    /// If `span` leaves the layout, or the slot has no value per cell.
    pub fn rows_mut(&mut self, slot: usize, span: &Span, mut set: impl FnMut([isize; AXES], &mut [T])) {
        assert!(self.layout.all().holds(span), "{span:?} leaves {:?}", self.layout);
        let Storage::Full { now, .. } = &mut self.slots[slot] else { panic!("slot {slot} has no value per cell") };
        let width = span.extent(3);
        span.each_row(|cell| {
            let at = self.layout.at(cell).cast_unsigned();
            set(cell, &mut now[at..at + width]);
        });
    }

    /// Sets the values of `slot` in `span` from `values`, in memory order.
    ///
    /// # Panics
    ///
    /// If `span` leaves the layout, `values` has another length, or the slot has no value per cell.
    pub fn write(&mut self, slot: usize, span: &Span, values: &[T]) {
        assert!(self.layout.all().holds(span), "{span:?} leaves {:?}", self.layout);
        assert_eq!(span.cells(), values.len());
        let width = span.extent(3);
        let Storage::Full { now, .. } = &mut self.slots[slot] else { panic!("slot {slot} has no value per cell") };
        if width == 0 {
            return;
        }
        let mut rows = values.chunks_exact(width);
        span.each_row(|cell| {
            let at = self.layout.at(cell).cast_unsigned();
            if let Some(row) = rows.next() {
                now[at..at + width].copy_from_slice(row);
            }
        });
    }

    /// Copies the plane `from` of `slot` to the plane `to` along `axis`, for the cells of `across` (whose bounds along
    /// `axis` do not matter), as `sign` says.
    ///
    /// # Panics
    ///
    /// If a plane leaves the layout.
    pub fn copy_plane(&mut self, slot: usize, axis: usize, from: isize, to: isize, across: &Span, sign: Sign) {
        let target = across.with(axis, to, to + 1);
        let source = across.with(axis, from, from + 1);
        assert!(self.layout.all().holds(&target) && self.layout.all().holds(&source), "plane leaves the block");
        let Storage::Full { now, .. } = &mut self.slots[slot] else { return };
        let width = target.extent(3);
        let shift = (from - to) * self.layout.stride[axis];
        target.each_row(|cell| {
            let at = self.layout.at(cell);
            let (to, from) = (at.cast_unsigned(), (at + shift).cast_unsigned());
            match sign {
                Sign::Same => now.copy_within(from..from + width, to),
                Sign::Opposite => (0..width).for_each(|x| now[to + x] = -now[from + x]),
                Sign::Zero => now[to..to + width].fill(T::default()),
            }
        });
    }

    /// Lends room for values that a boundary holds; to be given back.
    pub(crate) fn take_held(&mut self) -> Vec<T> {
        std::mem::take(&mut self.held)
    }

    /// Takes back what [`Fields::take_held`] lent.
    pub(crate) fn give_back_held(&mut self, held: Vec<T>) {
        self.held = held;
    }

    /// All values of `slot` as they lie in memory.
    ///
    /// # Panics
    ///
    /// If the slot has no value per cell.
    pub(crate) fn values(&self, slot: usize) -> &[T] {
        let Storage::Full { now, .. } = &self.slots[slot] else { panic!("slot {slot} has no value per cell") };
        now
    }

    /// All values of `slot` as they lie in memory, to be set.
    ///
    /// # Panics
    ///
    /// If the slot has no value per cell.
    pub(crate) fn values_mut(&mut self, slot: usize) -> &mut [T] {
        let Storage::Full { now, .. } = &mut self.slots[slot] else { panic!("slot {slot} has no value per cell") };
        now
    }

    /// Addresses of `slot`; null where absent.
    pub(crate) fn base(&mut self, slot: usize) -> Base<T> {
        let origin = self.layout.origin;
        match &mut self.slots[slot] {
            Storage::Absent => Base::absent(),
            Storage::Row(values) => {
                let start = self.layout.row_origin();
                let now = values.as_mut_ptr().wrapping_offset(start);
                Base { now, spare: std::ptr::null_mut(), stride: [0, 0, 0, 1] }
            }
            Storage::Full { now, spare } => Base {
                now: now.as_mut_ptr().wrapping_offset(origin),
                spare: spare.as_mut().map_or(std::ptr::null_mut(), |s| s.as_mut_ptr().wrapping_offset(origin)),
                stride: self.layout.stride,
            },
        }
    }
}
