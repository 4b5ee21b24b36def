//! Time of sums alone: what one block gives, on one thread, in cells per second.
//!
//! `cargo bench --bench sums -- [POINTS] [REPEATS]`; formulas are measured in turn, over and over, and medians are
//! printed, since machines are noisy. Invariant: what is timed is what a run calls for each block, on one that is the
//! whole grid; parsing and filling come before the clock starts. The last line reads the same cells and does nothing
//! with them.

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss, reason = "run by hand")]

use ringfort::clock;
use ringfort::field::Fields;
use ringfort::grid::{AXES, Region};
use ringfort::job::Job;
use ringfort::observe::reduce;
use ringfort_kernels::Real;

/// What is measured: the formula and what it is reduced with.
const REDUCES: [(&str, &str); 8] = [
    ("temperature", "\"sum\""),
    ("0.5*(temperature^2 + diffusivity^2)", "\"sum\""),
    ("temperature * diffusivity", "\"mean\""),
    ("temperature", "\"min\""),
    ("temperature", "\"histogram\"\nbins = 20\nlow = -30\nhigh = 30"),
    ("sin(temperature)", "\"sum\""),
    ("x * temperature", "\"sum\""),
    ("exp(-x^2)", "\"sum\""),
];

/// Cells per second of each reduce, and of a read of the field alone.
fn measure<T: Real>(points: usize, repeats: usize) -> Vec<(String, f64)> {
    let precision = if T::BYTES == 4 { "f32" } else { "f64" };
    let mut text = format!(
        "grid.points = [{points}, {points}, {points}]\nkernel = {{ name = \"heat\", precision = \"{precision}\" }}\n\
         fields = {{ temperature = {{ formula = \"20*sin(x + 2*y + 3*z)\" }}, diffusivity = {{ formula = \"1 + 1/(x+1)\" }} }}\n\
         time = {{ steps = 1, dt = 0.1 }}\n"
    );
    for (number, (map, with)) in REDUCES.iter().enumerate() {
        text += &format!("[[reduce]]\nname = \"r{number}\"\nmap = \"{map}\"\nwith = {with}\nevery = \"1 step\"\n");
    }
    let job = Job::parse(&text, "sums.toml".as_ref(), &[], &ringfort::advance::library::SHIPPED).unwrap();
    let whole = job.grid.region();
    let mut fields = Fields::<T>::new(ringfort::field::Layout::new(whole.extent, [0, 1, 1, 1]), 2);
    let own = fields.layout().own();
    let mut values = vec![T::default(); whole.cells()];
    for slot in 0..2 {
        fields.allocate(slot, false);
        job.sources[slot].as_ref().unwrap().fill(&job.grid, &whole, &mut values).unwrap();
        fields.write(slot, &own, &values);
    }
    drop(values);
    let mut buffer = Vec::new();
    let mut read = |slot: usize, region: &Region, out: &mut [f64]| {
        let low = region.start.map(usize::cast_signed);
        let high = std::array::from_fn::<_, AXES, _>(|axis| region.end(axis).cast_signed());
        buffer.resize(out.len(), T::default());
        fields.read(slot, &ringfort::field::Span { low, high }, &mut buffer);
        out.iter_mut().zip(&buffer).for_each(|(out, value)| *out = value.to_f64());
    };
    let mut seconds = vec![Vec::new(); REDUCES.len() + 1];
    let mut out = vec![0.0; ringfort::job::formula::ROW];
    for _ in 0..repeats {
        for number in 0..REDUCES.len() {
            let began = clock::now();
            std::hint::black_box(reduce::partial(&job.grid, &job.reduces, &[number], (0, &whole), &mut read));
            seconds[number].push(clock::now().duration_since(began).as_secs_f64());
        }
        let began = clock::now();
        for [w, z, y] in whole.rows() {
            for x in (0..points).step_by(out.len()) {
                let extent = [1, 1, 1, out.len().min(points - x)];
                read(0, &Region { start: [w, z, y, x], extent }, &mut out[..extent[3]]);
                std::hint::black_box(&out);
            }
        }
        seconds[REDUCES.len()].push(clock::now().duration_since(began).as_secs_f64());
    }
    let names = REDUCES.iter().map(|(map, with)| format!("{} of {map}", with.split('\n').next().unwrap()));
    let median = |all: &mut Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let rates = seconds.iter_mut().map(|all| whole.cells() as f64 / median(all));
    names.chain(["read alone".to_owned()]).map(|name| format!("{precision} {points}^3, {name}")).zip(rates).collect()
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse::<usize>().ok());
    let points = numbers.next().unwrap_or(256);
    let repeats = numbers.next().unwrap_or(7);
    for (name, rate) in measure::<f64>(points, repeats).into_iter().chain(measure::<f32>(points, repeats)) {
        println!("{name:<70} {:>8.0} Mcell/s", rate / 1e6);
    }
}
