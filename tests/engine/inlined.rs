//! No kernel lost an inline: each does its arithmetic about as fast as a plain loop, and not ten to thirty times slower, as it
//! silently would if one function between the engine's entry and its vectors were called instead of inlined.
//!
//! Rates are compared, not times: of the engine on a small block, and of a plain loop that the compiler vectorises, measured in
//! turn; the best of each counts. A kernel fails only where it stays below a sixth of the loop's operations per second on two axes,
//! a twelfth on three, or twice as many in 4 bytes.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, clippy::cast_precision_loss, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "a ratio of two times that are measured here")]

use std::hint::black_box;
use std::time::Instant;

use ringfort_engine::advance::library::{AnyKernel, Precise, SHIPPED};
use ringfort_engine::advance::program::Program;
use ringfort_engine::advance::{Engine, Simd};
use ringfort_engine::field::Fields;
use ringfort_engine::grid::{AXES, Boundary, Grid, Region, Units};
use ringfort_kernels::{Beyond, Catalog, Declaration, Given, KernelError, ParameterKind, Role, Setup, Value};

/// A kernel may be so many times slower than the plain loop, operation for operation; in 4 bytes half as many times, and on
/// three axes, where more is done beyond sides and blocks fill a larger cache, twice as many.
const SLOWER: f64 = 6.0;
/// Operations that a division or a root counts for.
const SLOW: f64 = 16.0;
/// Rounds of measurements: few where all is well, many before a kernel fails.
const FEW: usize = 3;
const MANY: usize = 60;

/// Points along each axis of the plain loop's grid.
const SIDE: usize = 32;

/// Operations per second of a plain loop over rows: seven points of a cube.
fn plain(from: &[f64], to: &mut [f64]) -> f64 {
    let began = Instant::now();
    let steps = 20;
    for _ in 0..steps {
        let from = black_box(from);
        for z in 1..SIDE - 1 {
            for y in 1..SIDE - 1 {
                let row = |z: usize, y: usize| &from[(z * SIDE + y) * SIDE..][..SIDE];
                let (here, below, above) = (row(z, y), row(z - 1, y), row(z + 1, y));
                let (before, after) = (row(z, y - 1), row(z, y + 1));
                let out = &mut to[(z * SIDE + y) * SIDE..][..SIDE];
                for x in 1..SIDE - 1 {
                    let around = (here[x - 1] + here[x + 1]) + (before[x] + after[x]) + (below[x] + above[x]);
                    out[x] = 0.4 * here[x] + 0.1 * around;
                }
            }
        }
        black_box(&mut *to);
    }
    let cells = (SIDE - 2) * (SIDE - 2) * (SIDE - 2);
    8.0 * (steps * cells) as f64 / began.elapsed().as_secs_f64()
}

/// A kernel on a block that stays in a cache.
struct Case<T: Precise> {
    name: String,
    engine: Engine<T>,
    fields: Fields<T>,
    operations: f64,
    slower: f64,
    best: f64,
}

/// A case in any precision.
trait Measured {
    fn measure(&mut self);
    fn best(&self) -> f64;
    /// True if it is too slow beside a loop of so many operations per second.
    fn slow(&self, loops: f64) -> bool;
    fn name(&self) -> &str;
}

impl<T: Precise> Measured for Case<T> {
    fn measure(&mut self) {
        let began = Instant::now();
        let mut updates = 0;
        while updates == 0 || began.elapsed().as_micros() < 500 {
            self.engine.advance(&mut self.fields, 0..1);
            updates += self.fields.layout().own().cells();
        }
        let rate = self.operations * updates as f64 / began.elapsed().as_secs_f64();
        self.best = if rate > self.best { rate } else { self.best };
    }

    fn best(&self) -> f64 {
        self.best
    }

    fn slow(&self, loops: f64) -> bool {
        self.best * self.slower * (T::BYTES as f64 / 8.0) < loops
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// How a kernel is given its parameters and fields: defaults, and numbers where there are none.
fn setup(declaration: &Declaration, axes: usize) -> Setup {
    let parameter = |kind: &ParameterKind| match kind {
        ParameterKind::Number { default, least, .. } => Value::Number(default.unwrap_or(least.max(0.0) + 0.05)),
        ParameterKind::Choice { default, choices } => Value::Number(choices.last().copied().unwrap_or(*default)),
        ParameterKind::Group { .. } => Value::Group(None),
        ParameterKind::Word { default, .. } => Value::Word((*default).to_owned()),
        ParameterKind::List { default, .. } => Value::List(default.clone()),
        ParameterKind::Text { default, .. } => Value::Word((*default).to_owned()),
    };
    let given = |role: Role, optional: bool| match role {
        Role::Component => Given::Varying,
        Role::Coefficient if !optional => Given::Number(1.0),
        _ => Given::Absent,
    };
    let named = declaration.parameters.iter();
    Setup {
        axes,
        spacing: vec![1.0; axes],
        dt: 0.01,
        parameters: named.map(|own| (own.name.to_owned(), parameter(&own.kind))).collect(),
        given: declaration.fields.iter().map(|field| given(field.role, field.optional)).collect(),
        degrees: false,
        beyond: vec![[Beyond::Periodic; 2]; axes],
        speed: 0.0,
    }
}

/// Compiles a kernel in one precision.
type Compile<T> = fn(&dyn AnyKernel, &Setup, Simd) -> Result<Box<dyn Program<T>>, KernelError>;

fn case<T: Precise>((name, axes): (&str, usize), simd: Simd, compile: Compile<T>) -> Case<T> {
    let kernel = SHIPPED.find(name).unwrap();
    let declaration = kernel.declare(axes);
    let setup = setup(&declaration, axes);
    let mut points = [1; AXES];
    // Long rows, so that what is done once a row or beyond sides counts little.
    points[AXES - axes..].copy_from_slice(if axes == 2 { &[40, 1024] } else { &[16, 24, 128] });
    let boundary = [[Boundary::Periodic; 2]; AXES];
    let grid = Grid { axes, points, spacing: [1.0; AXES], origin: [0.0; AXES], units: Units::Metres, boundary };
    let program = compile(kernel, &setup, simd).unwrap();
    let whole = Region { start: [0; AXES], extent: points };
    let engine = Engine::new(program, declaration.clone(), setup.given.clone(), (&grid, &whole), 1).unwrap();
    let mut fields = engine.allocate(points, 1);
    let own = fields.layout().own();
    for slot in engine.full_slots(&fields, Role::Component) {
        fields.write(slot, &own, &vec![T::of(0.5); own.cells()]);
    }
    let slower = if axes == 2 { SLOWER } else { 2.0 * SLOWER };
    let counted = kernel.operations(&setup).unwrap();
    let operations = f64::from(counted.simple) + SLOW * f64::from(counted.divisions + counted.roots);
    Case {
        name: format!("{name}, {axes} axes, {} bytes, {simd}", T::BYTES),
        engine,
        fields,
        operations,
        slower,
        best: 0.0,
    }
}

#[test]
fn every_kernel_is_as_fast_as_a_plain_loop() {
    let mut cases: Vec<Box<dyn Measured>> = Vec::new();
    // One value at a time is slow by nature: there a fused product may be a call.
    for simd in [Simd::Avx512, Simd::Avx2] {
        for name in SHIPPED.names().into_iter().filter(|_| simd.at_most() == simd) {
            let most = SHIPPED.find(name).unwrap().declare(2).axes.1;
            for axes in 2..=most.min(3) {
                cases.push(Box::new(case::<f64>((name, axes), simd, |kernel, setup, simd| kernel.f64(setup, simd))));
                cases.push(Box::new(case::<f32>((name, axes), simd, |kernel, setup, simd| kernel.f32(setup, simd))));
            }
        }
    }
    let (from, mut to) = (vec![0.5; SIDE * SIDE * SIDE], vec![0.0; SIDE * SIDE * SIDE]);
    let mut loops = 0.0;
    for round in 0..MANY {
        let rate = plain(&from, &mut to);
        loops = if rate > loops { rate } else { loops };
        cases.iter_mut().filter(|case| round < FEW || case.slow(loops)).for_each(|case| case.measure());
        if round >= FEW && !cases.iter().any(|case| case.slow(loops)) {
            break;
        }
    }
    let mut called = Vec::new();
    for case in &cases {
        let line =
            format!("{:48} {:6.2} G operations/s, plain loop {:.2}", case.name(), case.best() / 1e9, loops / 1e9);
        println!("{line}");
        if case.slow(loops) {
            called.push(line);
        }
    }
    assert!(
        called.is_empty(),
        "a function between Program::run and the vectors is called instead of inlined; look for closures and for missing \
         #[inline(always)]: {called:#?}"
    );
}
