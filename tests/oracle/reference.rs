//! A deliberately plain engine: one cell at a time, whole grid, no halo, no tiles, no vectors. What is beyond the grid is
//! looked up when it is read.

use std::cell::RefCell;

use ringfort_engine::grid::{AXES, Boundary, Extents, Grid};
use ringfort_engine::source::Drive;
use ringfort_kernels::{Build, Cell, Declaration, Field, Given, Mirror, Near, Real, Role, Stencil};

/// All fields of the grid, by slot.
pub type Global<T> = Vec<Vec<T>>;

/// Runs `steps` steps from `fields` (coefficients, components and start fields filled in; others empty). Gives the state
/// after each number of steps, 0 first, derived fields included.
pub struct Reference<'a, T> {
    pub grid: &'a Grid,
    pub declaration: &'a Declaration,
    pub given: &'a [Given],
    pub fields: Global<T>,
    pub steps: usize,
    pub drives: Vec<Drive>,
}

impl<T: Real> Build for Reference<'_, T> {
    type Output = Vec<Global<T>>;

    fn stencil<const D: usize>(self, stencil: impl Stencil<D>) -> Vec<Global<T>> {
        run(&stencil, self)
    }
}

fn stages<const D: usize, S: Stencil<D>>(_: &S) -> usize {
    S::STAGES
}

fn older_levels<const D: usize, S: Stencil<D>>(_: &S) -> &'static [(usize, usize)] {
    S::OLDER_LEVELS
}

fn run<const D: usize, T: Real>(stencil: &impl Stencil<D>, mut job: Reference<'_, T>) -> Vec<Global<T>> {
    let cells = job.grid.region().cells();
    for values in &mut job.fields {
        values.resize(cells, T::default());
    }
    let point = |stage: usize, cell: &mut One<'_, T, D>| point(stencil, stage, cell);
    sweep(&mut job, |cell| stencil.prepare::<T>(cell));
    let start = job.declaration.of_role(Role::Start).any(|(slot, _)| job.given[slot] != Given::Absent);
    if start || job.declaration.of_role(Role::Component).any(|(slot, _)| job.given[slot] == Given::Absent) {
        sweep(&mut job, |cell| stencil.start::<T>(cell));
    }
    rest(&mut job);
    let mut states = vec![with_derived(stencil, &job)];
    let last: Vec<Option<usize>> = (0..job.fields.len())
        .map(|slot| (0..stages(stencil)).rfind(|&stage| writes(&job, |cell| point(stage, cell)).contains(&slot)))
        .collect();
    for step in 0..job.steps {
        for stage in 0..stages(stencil) {
            let before = job.fields.clone();
            let written = sweep(&mut job, |cell| point(stage, cell));
            for &(newer, older) in older_levels(stencil) {
                job.fields[older].clone_from(&before[newer]);
            }
            for drive in job.drives.iter().filter(|drive| last[drive.slot] == Some(stage)) {
                let value = &mut job.fields[drive.slot][job.grid.region().offset(drive.cell)];
                *value = *value + T::of(drive.value(step as u64));
            }
            hold(&mut job, &before, &written);
        }
        states.push(with_derived(stencil, &job));
    }
    states
}

/// Stage `stage` of one cell: one copy of a kernel's code for all that call it.
#[inline(never)]
fn point<const D: usize, T: Real>(stencil: &impl Stencil<D>, stage: usize, cell: &mut One<'_, T, D>) {
    stencil.point::<T>(stage, cell);
}

/// The fields of `job` with derived ones computed.
fn with_derived<const D: usize, T: Real>(stencil: &impl Stencil<D>, job: &Reference<'_, T>) -> Global<T> {
    let mut fields = job.fields.clone();
    for (slot, _) in job.declaration.of_role(Role::Derived) {
        let cells = cells(job.grid).map(|cell| One { job, cell, writes: RefCell::new(Vec::new()) });
        fields[slot] = cells.map(|one| stencil.derive::<T>(slot, &one)).collect();
    }
    fields
}

/// All cells of `grid`, in memory order.
fn cells(grid: &Grid) -> impl Iterator<Item = Extents> + use<> {
    let width = grid.points[AXES - 1];
    grid.region().rows().flat_map(move |[w, z, y]| (0..width).map(move |x| [w, z, y, x]))
}

/// Calls `point` for every cell; returns the slots written.
fn sweep<const D: usize, T: Real>(job: &mut Reference<'_, T>, point: impl Fn(&mut One<'_, T, D>)) -> Vec<usize> {
    let region = job.grid.region();
    let mut next = job.fields.clone();
    let mut slots = Vec::new();
    for cell in cells(job.grid) {
        let mut one = One { job, cell, writes: RefCell::new(Vec::new()) };
        point(&mut one);
        for (slot, value) in one.writes.into_inner() {
            next[slot][region.offset(cell)] = value;
            slots.push(slot);
        }
    }
    job.fields = next;
    slots.sort_unstable();
    slots.dedup();
    slots
}

/// Slots that `point` writes.
fn writes<const D: usize, T: Real>(job: &Reference<'_, T>, point: impl Fn(&mut One<'_, T, D>)) -> Vec<usize> {
    let mut one = One { job, cell: [0; AXES], writes: RefCell::new(Vec::new()) };
    point(&mut one);
    one.writes.into_inner().into_iter().map(|(slot, _)| slot).collect()
}

/// Gives components the value 0 at points where walls hold them.
fn rest<T: Real>(job: &mut Reference<'_, T>) {
    let region = job.grid.region();
    for (slot, field) in job.declaration.of_role(Role::Component) {
        for cell in cells(job.grid).filter(|cell| rests(job.grid, field, cell)) {
            job.fields[slot][region.offset(cell)] = T::default();
        }
    }
}

/// True if a wall holds the component `field` at `cell`: where it is odd about a wall through that point, or where half a
/// cell beyond the last point is on a wall or behind it.
fn rests(grid: &Grid, field: &Field, cell: &Extents) -> bool {
    (grid.first()..AXES).enumerate().any(|(own, axis)| {
        let [low, high] = grid.boundary[axis].map(|side| side == Boundary::Wall);
        let (first, last) = (low && cell[axis] == 0, high && cell[axis] + 1 == grid.points[axis]);
        if field.half[own] { last } else { field.mirror[own] == Mirror::OddAtPoint && (first || last) }
    })
}

/// Gives points that a boundary holds their value back.
fn hold<T: Real>(job: &mut Reference<'_, T>, before: &Global<T>, written: &[usize]) {
    let grid = job.grid;
    let region = grid.region();
    let held = |cell: &Extents| {
        (grid.first()..AXES).any(|axis| {
            let [low, high] = grid.boundary[axis];
            (low == Boundary::Fixed && cell[axis] == 0)
                || (high == Boundary::Fixed && cell[axis] + 1 == grid.points[axis])
        })
    };
    for cell in cells(grid) {
        for &slot in written {
            let field = &job.declaration.fields[slot];
            if !(held(&cell) || (field.role == Role::Component && rests(grid, field, &cell))) {
                continue;
            }
            let from = if field.role == Role::Component { Some(slot) } else { field.stands_for };
            if let Some(from) = from {
                job.fields[slot][region.offset(cell)] = before[from][region.offset(cell)];
            }
        }
    }
}

/// One cell of the grid.
pub struct One<'a, T, const D: usize> {
    job: &'a Reference<'a, T>,
    cell: Extents,
    writes: RefCell<Vec<(usize, T)>>,
}

impl<T: Real, const D: usize> Near<T, D> for One<'_, T, D> {
    // Inlined into every kernel it would take long to compile.
    #[inline(never)]
    fn at(&self, slot: usize, offset: [isize; D]) -> T {
        let grid = self.job.grid;
        let mut place = self.cell;
        let mut sign = 1;
        for (own, cells) in offset.iter().enumerate() {
            let field = &self.job.declaration.fields[slot];
            let axis = AXES - D + own;
            let at = self.cell[axis].cast_signed() + cells;
            let (index, factor) = look(grid, axis, at, (field.mirror[own], field.half[own]));
            place[axis] = index;
            sign *= factor;
        }
        let value = self.job.fields[slot][grid.region().offset(place)];
        match sign {
            0 => T::default(),
            1 => value,
            _ => -value,
        }
    }
}

impl<T: Real, const D: usize> Cell<T, D> for One<'_, T, D> {
    #[inline(never)]
    fn set(&mut self, slot: usize, value: T) {
        self.writes.borrow_mut().push((slot, value));
    }
}

/// Where index `at` of `axis` is found, and times what.
fn look(grid: &Grid, axis: usize, at: isize, (mirror, half): (Mirror, bool)) -> (usize, i32) {
    let points = grid.points[axis].cast_signed();
    if (0..points).contains(&at) {
        return (at.cast_unsigned(), 1);
    }
    let low = at < 0;
    let (inside, odd) = match grid.boundary[axis][usize::from(!low)] {
        Boundary::Periodic => return (at.rem_euclid(points).cast_unsigned(), 1),
        Boundary::Fixed | Boundary::Open => (0, false),
        Boundary::Wall => {
            let (at_point, odd) = match mirror {
                Mirror::Even => (false, false),
                Mirror::Odd => (false, true),
                Mirror::EvenAtPoint => (true, false),
                Mirror::OddAtPoint => (true, true),
            };
            // In half cells from the low end: point, wall, and the point's mirror image.
            let place = 2 * at + isize::from(half);
            let wall = if low { 0 } else { 2 * (points - 1) };
            let wall = if at_point {
                wall
            } else if low {
                wall - 1
            } else {
                wall + 1
            };
            let image = (2 * wall - place - isize::from(half)) / 2;
            if place == wall && odd {
                return (0, 0);
            }
            (if low { image } else { points - 1 - image }, odd)
        }
    };
    let inside = inside.clamp(0, points - 1);
    (if low { inside } else { points - 1 - inside }.cast_unsigned(), if odd { -1 } else { 1 })
}
