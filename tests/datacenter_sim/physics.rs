//! A tiny stencil, exact in integers: the whole grid step by step as the reference, and single blocks from shells.

use ringfort::datacenter::protocol::{Block, Shell, Value, manifest};
use ringfort::decomp::Cuts;

/// What lies beyond a wall.
const OUTSIDE: u64 = 7;

pub(crate) struct Physics {
    pub(crate) cuts: Cuts,
    wrap: bool,
    points: [usize; 2],
    depth: usize,
    /// Blocks after each step, computed on the whole grid.
    states: Vec<Vec<Value>>,
    shells: Vec<Vec<Value>>,
}

fn update(mut near: impl FnMut(usize, usize) -> u64) -> u64 {
    let mut sum = 1_u64;
    for y in 0..3 {
        for x in 0..3 {
            sum = sum.wrapping_mul(0x0000_0100_0000_01b3).wrapping_add(near(y, x));
        }
    }
    sum ^ sum >> 29
}

fn bytes(cells: &[u64]) -> Value {
    Value::new(cells.iter().flat_map(|cell| cell.to_le_bytes()).collect::<Vec<u8>>())
}

fn cells(value: &Value) -> Vec<u64> {
    value.bytes().chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

impl Physics {
    /// A grid of `parts` blocks of up to `width` cells a side (the last ones narrower by `ragged`), and `steps` steps of it.
    pub(crate) fn new(parts: [usize; 2], width: usize, ragged: usize, wrap: bool, depth: usize, steps: u64) -> Self {
        let points = parts.map(|count| if count > 1 { count * width - ragged } else { width });
        let cuts = Cuts::new([1, 1, points[0], points[1]], [1, 1, parts[0], parts[1]]).unwrap();
        let mut physics = Self { cuts, wrap, points, depth, states: Vec::new(), shells: Vec::new() };
        let mut grid: Vec<u64> = (0..points[0] * points[1]).map(|cell| cell as u64 * 0x9e37_79b9).collect();
        for _ in 0..=steps {
            let states: Vec<Value> = (0..cuts.count()).map(|part| bytes(&physics.cut(&grid, part))).collect();
            physics.shells.push(states.iter().enumerate().map(|(part, state)| physics.shell(part, state)).collect());
            physics.states.push(states);
            grid = physics.whole_step(&grid);
        }
        physics
    }

    pub(crate) fn state(&self, block: Block, step: u64) -> &Value {
        &self.states[step as usize][block.0]
    }

    pub(crate) fn shell_of(&self, shell: Shell) -> &Value {
        &self.shells[shell.step as usize][shell.block.0]
    }

    /// The manifest that generation `step` must have.
    pub(crate) fn manifest(&self, step: u64) -> Value {
        let digests = (0..self.cuts.count()).map(|part| (Block(part), self.state(Block(part), step).digest()));
        manifest(step, &digests.collect())
    }

    fn inside(&self, y: isize, x: isize) -> Option<[usize; 2]> {
        let [height, width] = self.points.map(usize::cast_signed);
        if self.wrap {
            return Some([y.rem_euclid(height).cast_unsigned(), x.rem_euclid(width).cast_unsigned()]);
        }
        let within = (0..height).contains(&y) && (0..width).contains(&x);
        within.then_some([y.cast_unsigned(), x.cast_unsigned()])
    }

    fn whole_step(&self, grid: &[u64]) -> Vec<u64> {
        let [height, width] = self.points.map(usize::cast_signed);
        let at = |y, x| self.inside(y, x).map_or(OUTSIDE, |[y, x]| grid[y * self.points[1] + x]);
        let all = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        all.map(|(y, x)| update(|j, i| at(y + j.cast_signed() - 1, x + i.cast_signed() - 1))).collect()
    }

    fn cut(&self, grid: &[u64], part: usize) -> Vec<u64> {
        let block = self.cuts.block(part);
        let all = (block.start[2]..block.end(2)).flat_map(|y| (block.start[3]..block.end(3)).map(move |x| (y, x)));
        all.map(|(y, x)| grid[y * self.points[1] + x]).collect()
    }

    /// Cells within the depth of the block's boundary; the others are spoilt.
    fn shell(&self, part: usize, state: &Value) -> Value {
        let [.., height, width] = self.cuts.block(part).extent;
        let mut cells = cells(state);
        for y in 0..height {
            for x in 0..width {
                if y.min(height - 1 - y).min(x).min(width - 1 - x) >= self.depth {
                    cells[y * width + x] = u64::MAX;
                }
            }
        }
        bytes(&cells)
    }

    /// The block after `steps` more steps, and its shell.
    pub(crate) fn advance(&self, block: Block, steps: u64, state: &Value, shells: &[(Block, Value)]) -> (Value, Value) {
        let region = self.cuts.block(block.0);
        let halo = steps.cast_signed() as isize;
        let origin = [region.start[2].cast_signed() - halo, region.start[3].cast_signed() - halo];
        let mut size = [region.extent[2] + 2 * steps as usize, region.extent[3] + 2 * steps as usize];
        let known: Vec<(Block, Vec<u64>)> =
            shells.iter().chain([&(block, state.clone())]).map(|(block, value)| (*block, cells(value))).collect();
        let fetch = |y: usize, x: usize| -> u64 {
            let Some([y, x]) = self.inside(origin[0] + y.cast_signed(), origin[1] + x.cast_signed()) else {
                return OUTSIDE;
            };
            let largest = self.cuts.largest();
            let part = self.cuts.part([0, 0, y / largest[2], x / largest[3]]);
            let from = self.cuts.block(part);
            let (_, cells) = known.iter().find(|(block, _)| block.0 == part).expect("all neighbours' shells are there");
            cells[(y - from.start[2]) * from.extent[3] + x - from.start[3]]
        };
        let mut field: Vec<u64> =
            (0..size[0]).flat_map(|y| (0..size[1]).map(move |x| (y, x))).map(|(y, x)| fetch(y, x)).collect();
        for step in 1..=steps as usize {
            let wide = size[1];
            size = size.map(|extent| extent - 2);
            let outside = |y: usize, x: usize| {
                self.inside(origin[0] + (y + step).cast_signed(), origin[1] + (x + step).cast_signed()).is_none()
            };
            let all = (0..size[0]).flat_map(|y| (0..size[1]).map(move |x| (y, x)));
            field = all
                .map(|(y, x)| if outside(y, x) { OUTSIDE } else { update(|j, i| field[(y + j) * wide + x + i]) })
                .collect();
        }
        let state = bytes(&field);
        let shell = self.shell(block.0, &state);
        (state, shell)
    }
}

#[test]
fn blocks_agree_with_the_whole() {
    for (parts, wrap, ragged) in [([3, 3], true, 0), ([3, 3], false, 1), ([1, 4], true, 1), ([2, 3], true, 0)] {
        let physics = Physics::new(parts, 4, ragged, wrap, 2, 6);
        for part in (0..physics.cuts.count()).map(Block) {
            let shells = |step| {
                let all = (0..physics.cuts.count()).map(Block).filter(|&other| other != part);
                all.map(|block| (block, physics.shell_of(Shell { block, step }).clone())).collect::<Vec<_>>()
            };
            let (state, shell) = physics.advance(part, 2, physics.state(part, 3), &shells(3));
            assert!(state == *physics.state(part, 5), "{parts:?} {part:?}");
            assert!(shell == *physics.shell_of(Shell { block: part, step: 5 }));
        }
    }
}
