//! Improves a map by swaps of two ranks on nodes that touch.
//!
//! Input: a map. Output: one that is no worse. A swap that makes the map worse is taken with a chance that falls to nothing
//! (S. Kirkpatrick, C. D. Gelatt, M. P. Vecchi, "Optimization by simulated annealing", Science 220, 1983); the best map seen
//! is kept. Invariants: as many ranks on each node as before; the same input gives the same map, since the work is counted in
//! swaps tried and chance comes from a fixed seed.

use super::ranks::{Cost, Ranks, short};

/// Chance, the same every time: xorshift* (S. Vigna, "An experimental exploration of Marsaglia's xorshift generators,
/// scrambled", ACM Transactions on Mathematical Software 42, 2016).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32
    }

    /// A number below `count`.
    #[allow(clippy::cast_possible_truncation, reason = "below `count`")]
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((self.next() * count as u64) >> 32) as usize
    }
}

/// A map under improvement.
struct State<'a> {
    neighbors: &'a [u32],
    width: usize,
    node: Vec<u32>,
    /// Ranks of each node, and the place of each rank there.
    members: Vec<Vec<u32>>,
    slot: Vec<u32>,
    leaving: Vec<u64>,
    /// Nodes that this many edges leave.
    with: Vec<u32>,
    worst: usize,
    total: u64,
    /// Edges a node may have without being charged extra.
    free: u64,
}

/// `node` improved by trying `tries` swaps; `least` is what no map can beat.
#[must_use]
pub fn refine(ranks: &Ranks, node: &[u32], least: Cost, (tries, free): (u64, u64)) -> Vec<u32> {
    let neighbors = ranks.neighbors();
    let width = 2 * ranks.axes().count();
    let nodes = node.iter().max().map_or(0, |&last| last as usize + 1);
    if width == 0 || nodes < 2 {
        return node.to_vec();
    }
    let mut state = State::new((&neighbors, width), node, ranks.leaving(node, nodes), free);
    let mut chance = Chance::new(0x5EED_0F00);
    let mut best = state.cost();
    // Swaps made since the best map was seen.
    let mut since = Vec::new();
    for stage in 0..STAGES {
        // Chance of taking a swap that costs one edge pair more: from 1 in 4 down to none.
        let odds = if stage + 2 >= STAGES { 0 } else { (1_u64 << 30) >> stage };
        let mut quiet = 0_u64;
        for _ in 0..tries / STAGES {
            if best.total <= least.total || (odds == 0 && quiet > 40 * node.len() as u64) {
                break;
            }
            quiet += 1;
            let Some(swap) = state.turn(&mut chance, odds) else { continue };
            quiet = 0;
            since.push(swap);
            if state.cost() < best {
                best = state.cost();
                since.clear();
            }
        }
    }
    for (one, two) in since.into_iter().rev() {
        state.node.swap(one as usize, two as usize);
    }
    state.node
}

/// Stages at each of which it is less likely that a swap for the worse is taken.
const STAGES: u64 = 12;

impl<'a> State<'a> {
    fn new((neighbors, width): (&'a [u32], usize), node: &[u32], leaving: Vec<u64>, free: u64) -> Self {
        let mut members = vec![Vec::new(); leaving.len()];
        let mut slot = vec![0; node.len()];
        for (rank, &node) in node.iter().enumerate() {
            slot[rank] = short(members[node as usize].len());
            members[node as usize].push(short(rank));
        }
        let most = members.iter().map(Vec::len).max().unwrap_or(0) * width;
        let mut with = vec![0; most + 1];
        leaving.iter().for_each(|&count| with[usize::try_from(count).unwrap_or(most)] += 1);
        let worst = with.iter().rposition(|&nodes| nodes > 0).unwrap_or(0);
        let total = leaving.iter().sum();
        Self { neighbors, width, node: node.to_vec(), members, slot, leaving, with, worst, total, free }
    }

    fn cost(&self) -> Cost {
        Cost { worst: self.worst as u64, total: self.total }
    }

    fn around(&self, rank: usize) -> &'a [u32] {
        &self.neighbors[rank * self.width..(rank + 1) * self.width]
    }

    /// Edges of `rank` to ranks of nodes `a` and `b`.
    fn ties(&self, rank: usize, a: u32, b: u32) -> (i64, i64) {
        let mut ties = (0, 0);
        for &other in self.around(rank) {
            if other as usize != rank {
                let on = self.node[other as usize];
                ties.0 += i64::from(on == a);
                ties.1 += i64::from(on == b);
            }
        }
        ties
    }

    fn degree(&self, rank: usize) -> i64 {
        self.around(rank).iter().map(|&other| i64::from(other as usize != rank)).sum()
    }

    /// Tries one swap; gives it back if it was made.
    fn turn(&mut self, chance: &mut Chance, odds: u64) -> Option<(u32, u32)> {
        let one = chance.below(self.node.len());
        let other = self.around(one)[chance.below(self.width)] as usize;
        let (a, b) = (self.node[one], self.node[other]);
        if a == b {
            return None;
        }
        // The rank that comes back: the best of a few of the other node.
        let (one_a, one_b) = self.ties(one, a, b);
        let mut pick: Option<(i64, usize)> = None;
        for _ in 0..8 {
            let member = self.members[b as usize][chance.below(self.members[b as usize].len())] as usize;
            let (member_a, member_b) = self.ties(member, a, b);
            let gain = member_a - member_b;
            if member_a > 0 && pick.is_none_or(|(most, _)| gain > most) {
                pick = Some((gain, member));
            }
        }
        let (_, two) = pick?;
        let (two_a, two_b) = self.ties(two, a, b);
        let touching = self.around(one).iter().filter(|&&next| next as usize == two).count();
        let touching = i64::try_from(touching).unwrap_or(0);
        // Edges that leave each node afterwards. Edges between the two ranks stay between the nodes.
        let change_a = (one_a - (self.degree(one) - one_a)) + ((self.degree(two) - two_a) - two_a) + 2 * touching;
        let change_b = (two_b - (self.degree(two) - two_b)) + ((self.degree(one) - one_b) - one_b) + 2 * touching;
        let after = |node: u32, change: i64| self.leaving[node as usize].saturating_add_signed(change);
        let (after_a, after_b) = (after(a, change_a), after(b, change_b));
        let charge = |count: u64| count + 2 * count.saturating_sub(self.free);
        let before = charge(self.leaving[a as usize]) + charge(self.leaving[b as usize]);
        let now = charge(after_a) + charge(after_b);
        // Nodes outside the pair keep their counts: what left for one of the two now leaves for the other.
        let worse = now.saturating_sub(before).div_ceil(2);
        if worse > 0 && (odds == 0 || (0..worse).any(|_| chance.next() >= odds)) {
            return None;
        }
        self.count(a, after_a);
        self.count(b, after_b);
        self.swap(one, two);
        Some((short(one), short(two)))
    }

    fn count(&mut self, node: u32, after: u64) {
        let before = std::mem::replace(&mut self.leaving[node as usize], after);
        self.total = self.total - before + after;
        let at = |count: u64| usize::try_from(count).unwrap_or(0);
        self.with[at(before)] -= 1;
        self.with[at(after)] += 1;
        self.worst = self.worst.max(at(after));
        while self.worst > 0 && self.with[self.worst] == 0 {
            self.worst -= 1;
        }
    }

    fn swap(&mut self, one: usize, two: usize) {
        let (a, b) = (self.node[one], self.node[two]);
        let (slot_one, slot_two) = (self.slot[one], self.slot[two]);
        self.members[a as usize][slot_one as usize] = short(two);
        self.members[b as usize][slot_two as usize] = short(one);
        self.slot.swap(one, two);
        self.node.swap(one, two);
    }
}
