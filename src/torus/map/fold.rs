//! Folds a grid of nodes' shares into a torus.
//!
//! Input: shares along each axis (what is left of the grid of ranks once each node holds a brick of it), and the
//! torus. Output: a node for each share. The length of each axis of the grid is written as a product with a factor
//! for each axis of the torus; a coordinate becomes digits, one for each factor, counted up and down so that one step
//! changes one digit by one (a reflected Gray code); an axis of the torus holds the digits that fall to it side by
//! side. Where an axis of the grid goes around a whole ring several times, half of the rounds go one way and half the
//! other, each begun one further, so that it closes and its turns lie apart.
//!
//! Invariant: each share has a node of its own. Ways are counted and cut off by number, never by time, and ties keep
//! their order, so that the same input gives the same folds.

use super::ranks::{Ranks, short};
use crate::grid::{AXES, Extents};
use crate::torus::machine::network::Network;

/// A digit: its axis of the grid, its axis of the torus, and its radix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Digit {
    grid: usize,
    torus: usize,
    radix: usize,
}

/// A way to fold.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    shares: Extents,
    /// Digits of each axis of the grid, the slowest first.
    digits: [Vec<Digit>; AXES],
    /// Axes of the grid that go round a ring half one way, half the other.
    around: [bool; AXES],
    /// Digits on each axis of the torus, the slowest first.
    held: Vec<Vec<Digit>>,
    /// Place on each axis of the torus for the digits' joint value.
    pub(super) places: Vec<Vec<usize>>,
}

/// Most ways to factor that are looked at, and of these whose digits are put in order.
const MOST: usize = 5_000;
const ORDERED: usize = 48;

/// Ways to fold `shares` into `network`, those first whose digits lie closest; at most `most`.
pub(super) fn folds(shares: Extents, network: &Network, most: usize) -> Vec<Fold> {
    let mut ways = Vec::new();
    factor(shares, 0, &network.shape, &mut Vec::new(), &mut ways);
    ways.sort_by_cached_key(|digits| apart_at_least(digits, network.shape.len()));
    ways.truncate(ORDERED);
    let mut all: Vec<Fold> = ways.iter().flat_map(|digits| orders(shares, digits, network)).collect();
    all.sort_by_cached_key(Fold::score);
    all.truncate(most);
    all
}

/// Least that the digits of a fold lie apart, at the worst axis of the torus and in all, and how many there are.
fn apart_at_least(digits: &[Digit], axes: usize) -> (usize, usize, usize) {
    let on = |torus: usize| {
        let mut radices: Vec<usize> =
            digits.iter().filter(|digit| digit.torus == torus).map(|digit| digit.radix).collect();
        radices.sort_unstable();
        radices.iter().fold((0, 1), |(sum, stride), radix| (sum + stride, stride * radix)).0
    };
    let all: Vec<usize> = (0..axes).map(on).collect();
    (all.iter().copied().max().unwrap_or(0), all.iter().sum(), digits.len())
}

/// All ways to write the extents from `axis` on as products that fit into `room`.
fn factor(shares: Extents, axis: usize, room: &[usize], sofar: &mut Vec<Digit>, ways: &mut Vec<Vec<Digit>>) {
    if ways.len() >= MOST {
        return;
    }
    if axis == AXES {
        ways.push(sofar.clone());
        return;
    }
    split(shares, (axis, shares[axis], 0), room, sofar, ways);
}

/// Gives the rest of an axis to the axes of the torus from `torus` on.
fn split(
    shares: Extents,
    (axis, rest, torus): (usize, usize, usize),
    room: &[usize],
    sofar: &mut Vec<Digit>,
    ways: &mut Vec<Vec<Digit>>,
) {
    if rest == 1 {
        return factor(shares, axis + 1, room, sofar, ways);
    }
    if torus == room.len() {
        return;
    }
    for radix in (1..=rest.min(room[torus])).rev().filter(|radix| rest.is_multiple_of(*radix)) {
        let mut left = room.to_vec();
        left[torus] /= radix;
        if radix > 1 {
            sofar.push(Digit { grid: axis, torus, radix });
        }
        split(shares, (axis, rest / radix, torus + 1), &left, sofar, ways);
        if radix > 1 {
            sofar.pop();
        }
    }
}

/// Folds with these digits: which is the fastest on each axis of the grid, and how they lie on the axes of the torus.
fn orders(shares: Extents, digits: &[Digit], network: &Network) -> Vec<Fold> {
    let own = |axis: usize| digits.iter().copied().filter(|digit| digit.grid == axis).collect::<Vec<_>>();
    let on = |torus: usize| digits.iter().copied().filter(|digit| digit.torus == torus).collect::<Vec<_>>();
    let mut all = vec![Fold {
        shares,
        digits: std::array::from_fn(own),
        around: [false; AXES],
        held: (0..network.shape.len()).map(on).collect(),
        places: Vec::new(),
    }];
    for axis in 0..AXES {
        all = all.into_iter().flat_map(|fold| fold.fastest(axis, network)).collect();
    }
    for torus in 0..network.shape.len() {
        all = all.into_iter().flat_map(|fold| fold.held(torus)).collect();
    }
    for fold in &mut all {
        fold.places = fold.held.iter().map(|held| (0..size(held)).collect()).collect();
    }
    all
}

fn size(digits: &[Digit]) -> usize {
    digits.iter().map(|digit| digit.radix).product()
}

impl Fold {
    /// This fold with each digit of `axis` as the fastest, and around the ring where it fills one.
    fn fastest(self, axis: usize, network: &Network) -> Vec<Fold> {
        let count = self.digits[axis].len();
        if count < 2 {
            return vec![self];
        }
        let mut all = Vec::new();
        for last in 0..count {
            let mut fold = self.clone();
            let digit = fold.digits[axis].remove(last);
            fold.digits[axis].push(digit);
            let ring = network.wrap[digit.torus] && network.shape[digit.torus] == digit.radix;
            if ring && (self.shares[axis] / digit.radix).is_multiple_of(2) && digit.radix > 2 {
                all.push(Fold { around: with(fold.around, axis), ..fold.clone() });
            }
            all.push(fold);
        }
        all
    }

    /// This fold with the digits on `torus` in every order; three or more in the order they have and its reverse alone.
    fn held(self, torus: usize) -> Vec<Fold> {
        if self.held[torus].len() < 2 {
            return vec![self];
        }
        let mut turned = self.clone();
        turned.held[torus].reverse();
        vec![self, turned]
    }

    /// How far apart digits lie: at the worst axis of the torus, then in all, then how many turn in place.
    fn score(&self) -> (usize, usize, usize) {
        let apart = |held: &Vec<Digit>| {
            let strides = (0..held.len()).map(|at| size(&held[at + 1..]));
            strides.sum::<usize>()
        };
        let worst = self.held.iter().map(apart).max().unwrap_or(0);
        let all = self.held.iter().map(apart).sum();
        (worst, all, self.around.iter().filter(|around| !**around).count())
    }

    /// Axes of the torus that hold several digits, whose places may be changed.
    pub(super) fn shared(&self) -> Vec<usize> {
        (0..self.held.len()).filter(|&torus| self.held[torus].len() > 1).collect()
    }

    /// Lays the digits of `torus` out in the order of a Gray code of their bits taken in turn, so that each lies in blocks of two.
    pub(super) fn interleave(&mut self, torus: usize) {
        let held = &self.held[torus];
        if !held.iter().all(|digit| digit.radix.is_power_of_two()) {
            return;
        }
        let bits: Vec<u32> = held.iter().map(|digit| digit.radix.trailing_zeros()).collect();
        let all: u32 = bits.iter().sum();
        // Bits from the highest down: those of all digits with the most bits left first.
        let mut left = bits.clone();
        let mut order = Vec::new();
        for _ in 0..all {
            let digit = (0..left.len()).max_by_key(|&at| (left[at], usize::MAX - at)).unwrap_or(0);
            left[digit] -= 1;
            let below: u32 = bits[digit + 1..].iter().sum();
            order.push(below + left[digit]);
        }
        let mut places = vec![0; 1 << all];
        for place in 0..1_usize << all {
            let code = place ^ (place >> 1);
            // Each digit counts in its own Gray code, so that steps of one change one bit.
            let value = order
                .iter()
                .enumerate()
                .fold(0, |value, (at, &bit)| value | (code >> (all as usize - 1 - at) & 1) << bit);
            places[ungray(value, &bits)] = place;
        }
        self.places[torus] = places;
    }

    /// Node of each share.
    pub(super) fn nodes(&self, network: &Network) -> Vec<u32> {
        let inside = Ranks { parts: self.shares, periodic: [false; AXES] };
        let tables: Vec<Vec<Vec<usize>>> = (0..AXES).map(|axis| self.table(axis, network)).collect();
        (0..inside.count())
            .map(|share| {
                let place = inside.place(share);
                let along = |torus: usize| {
                    let value = self.held[torus].iter().fold(0, |value, digit| {
                        let at = self.digits[digit.grid].iter().position(|own| own == digit).unwrap_or(0);
                        value * digit.radix + tables[digit.grid][place[digit.grid]][at]
                    });
                    self.places[torus][value]
                };
                short((0..self.held.len()).fold(0, |node, torus| node * network.shape[torus] + along(torus)))
            })
            .collect()
    }

    /// Digits of every coordinate along `axis`.
    fn table(&self, axis: usize, network: &Network) -> Vec<Vec<usize>> {
        let digits = &self.digits[axis];
        (0..self.shares[axis])
            .map(|at| if self.around[axis] { round(digits, at, network) } else { gray(digits, at) })
            .collect()
    }
}

fn with(mut axes: [bool; AXES], axis: usize) -> [bool; AXES] {
    axes[axis] = true;
    axes
}

/// Reflected digits of `value`.
fn gray(digits: &[Digit], mut value: usize) -> Vec<usize> {
    let mut rest = size(digits);
    digits
        .iter()
        .map(|digit| {
            rest /= digit.radix;
            let own = value / rest;
            value %= rest;
            if own % 2 == 1 {
                value = rest - 1 - value;
            }
            own
        })
        .collect()
}

/// Digits of `value` where the last goes round a ring.
fn round(digits: &[Digit], value: usize, network: &Network) -> Vec<usize> {
    let Some((last, slow)) = digits.split_last() else { return Vec::new() };
    let length = network.shape[last.torus];
    let (turn, along) = (value / length, value % length);
    let half = size(slow) / 2;
    // Up `half` times, each begun one lower than the one before; then down, each begun one higher.
    let place = if turn < half {
        (length * half - turn + along) % length
    } else {
        (2 * length * (half + 1) - half + (turn - half) - along) % length
    };
    let mut all = gray(slow, turn);
    all.push(place);
    all
}

/// Value of the digits with `bits` bits whose Gray codes stand side by side in `code`.
fn ungray(code: usize, bits: &[u32]) -> usize {
    let mut below: u32 = bits.iter().sum();
    bits.iter().fold(0, |value, &count| {
        below -= count;
        let mut own = code >> below & ((1 << count) - 1);
        let mut shift = 1;
        while shift < count {
            own ^= own >> shift;
            shift *= 2;
        }
        value << count | own
    })
}
