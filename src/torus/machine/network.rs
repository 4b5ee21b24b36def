//! How nodes are joined: the way of a message from node to node, link by link.
//!
//! Input: kind and shape of the network. Output: links along a way. Pure; integers but for widths. Node numbers run
//! slowest axis first. Invariant: a way is a function of the network and its two ends; it names each of its links
//! once, not always in the order of travel, and all have numbers below [`Network::links`]. From a node to itself
//! there are none.

/// What kind of network joins the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not known: each node has one link to a switch that never holds anything up.
    None,
    /// Each node is joined to two others along each axis. Messages go along the first axis first, the shorter way round,
    /// the positive way where both are alike.
    Torus,
    /// Switches upon switches: `shape` is how many branches each has, the top first.
    FatTree,
    /// Groups of routers; `shape` is groups, routers of a group, nodes of a router. Every two routers of a group are joined, and
    /// every two groups. Messages go the shortest way, and change groups at the router whose number is the other group's.
    Dragonfly,
}

/// How nodes are joined.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The kind.
    pub kind: Kind,
    /// Extents: of the torus slowest axis first, of the others from the top down.
    pub shape: Vec<usize>,
    /// Axes of the torus that are rings.
    pub wrap: Vec<bool>,
    /// Times as many nodes below a switch as links above it, at every level; of a dragonfly between groups.
    pub oversubscription: f64,
}

impl Network {
    /// Number of nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of links, each way counted.
    #[must_use]
    pub fn links(&self) -> usize {
        let nodes = self.nodes();
        match self.kind {
            Kind::None => 2 * nodes,
            Kind::Torus => 2 * self.shape.len() * nodes,
            Kind::FatTree => (0..self.shape.len()).map(|level| 2 * self.above(level)).sum(),
            Kind::Dragonfly => {
                let [groups, routers, _] = self.three();
                2 * nodes + groups * routers * routers + groups * groups
            }
        }
    }

    /// Switches (or nodes, on level 0) with a link up from `level`.
    fn above(&self, level: usize) -> usize {
        self.shape[..self.shape.len() - level].iter().product()
    }

    fn three(&self) -> [usize; 3] {
        [0, 1, 2].map(|at| self.shape.get(at).copied().unwrap_or(1))
    }

    /// How many links of the bandwidth of a node's `link` stands for.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a few million nodes")]
    pub fn width(&self, link: usize) -> f64 {
        match self.kind {
            Kind::None | Kind::Torus => 1.0,
            Kind::FatTree => {
                let mut first = 0;
                let mut width = 1.0;
                for level in 0..self.shape.len() {
                    first += 2 * self.above(level);
                    if link < first {
                        break;
                    }
                    width *= self.shape[self.shape.len() - 1 - level] as f64 / self.oversubscription;
                }
                width
            }
            Kind::Dragonfly => {
                let [groups, routers, nodes] = self.three();
                if link < 2 * self.nodes() + groups * routers * routers {
                    return 1.0;
                }
                (routers * nodes) as f64 / (groups.max(2) - 1) as f64 / self.oversubscription
            }
        }
    }

    /// Calls `visit` with the links of a message from node `a` to node `b`.
    pub fn way(&self, a: usize, b: usize, mut visit: impl FnMut(usize)) {
        if a == b {
            return;
        }
        match self.kind {
            Kind::None => [2 * a, 2 * b + 1].into_iter().for_each(visit),
            Kind::Torus => self.torus(a, b, visit),
            Kind::FatTree => {
                let (mut first, mut low, mut high) = (0, a, b);
                for level in 0..self.shape.len() {
                    visit(first + 2 * low);
                    visit(first + 2 * high + 1);
                    first += 2 * self.above(level);
                    let branches = self.shape[self.shape.len() - 1 - level];
                    (low, high) = (low / branches, high / branches);
                    if low == high {
                        break;
                    }
                }
            }
            Kind::Dragonfly => self.dragonfly(a, b, visit),
        }
    }

    /// The way in a torus. Numbers of nodes are short here: dividing them is most of the work of comparing maps.
    #[allow(clippy::cast_possible_truncation, reason = "a network has at most 2^24 nodes")]
    fn torus(&self, a: usize, b: usize, mut visit: impl FnMut(usize)) {
        let width = 2 * self.shape.len();
        let (mut rest_a, mut rest_b) = (a as u32, b as u32);
        let mut stride = self.nodes() as u32;
        let mut at = a;
        for (axis, &length) in self.shape.iter().enumerate() {
            let length = length as u32;
            stride /= length;
            let (mut from, to) = (rest_a / stride, rest_b / stride);
            (rest_a, rest_b) = (rest_a - from * stride, rest_b - to * stride);
            if from == to {
                continue;
            }
            let ahead = if to > from { to - from } else { to + length - from };
            let up = if self.wrap[axis] { 2 * ahead <= length } else { to > from };
            while from != to {
                visit(width * at + 2 * axis + usize::from(!up));
                let next = match (up, from) {
                    (true, last) if last + 1 == length => 0,
                    (true, from) => from + 1,
                    (false, 0) => length - 1,
                    (false, from) => from - 1,
                };
                at = at + (next * stride) as usize - (from * stride) as usize;
                from = next;
            }
        }
    }

    fn dragonfly(&self, a: usize, b: usize, mut visit: impl FnMut(usize)) {
        let [groups, routers, nodes] = self.three();
        let local = 2 * self.nodes();
        let global = local + groups * routers * routers;
        let (from, to) = (a / nodes, b / nodes);
        visit(2 * a);
        let mut inside = |group: usize, x: usize, y: usize| {
            if x != y {
                visit(local + (group * routers + x) * routers + y);
            }
        };
        let (here, there) = (from / routers, to / routers);
        if here == there {
            inside(here, from % routers, to % routers);
        } else {
            inside(here, from % routers, there % routers);
            inside(there, here % routers, to % routers);
            visit(global + here * groups + there);
        }
        visit(2 * b + 1);
    }

    /// Links of the way from `a` to `b`; with no network known one between any two nodes.
    #[must_use]
    pub fn hops(&self, a: usize, b: usize) -> usize {
        let mut hops = 0;
        self.way(a, b, |_| hops += 1);
        if self.kind == Kind::None { hops / 2 } else { hops }
    }

    /// Links that leave a node.
    #[must_use]
    pub fn links_of_node(&self) -> usize {
        match self.kind {
            Kind::Torus => (0..self.shape.len()).map(|axis| (self.shape[axis] - 1).min(2)).sum::<usize>().max(1),
            Kind::None | Kind::FatTree | Kind::Dragonfly => 1,
        }
    }

    /// Coordinates of `node`, slowest axis first.
    #[must_use]
    pub fn place(&self, node: usize) -> Vec<usize> {
        let mut rest = node;
        let mut place: Vec<usize> = self.shape.iter().rev().map(|&length| (rest % length, rest /= length).0).collect();
        place.reverse();
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(kind: Kind, shape: &[usize]) -> Network {
        Network { kind, shape: shape.to_vec(), wrap: vec![true; shape.len()], oversubscription: 2.0 }
    }

    #[test]
    fn ways_are_the_shortest() {
        let torus = network(Kind::Torus, &[3, 4, 5]);
        for a in 0..60 {
            for b in 0..60 {
                let apart = |x: usize, y: usize, length: usize| x.abs_diff(y).min(length - x.abs_diff(y));
                let (p, q) = (torus.place(a), torus.place(b));
                let least: usize = (0..3).map(|axis| apart(p[axis], q[axis], torus.shape[axis])).sum();
                assert_eq!(torus.hops(a, b), least, "{a} to {b}");
            }
        }
        let mut links = Vec::new();
        torus.way(0, 2 * 5, |link| links.push(link));
        assert_eq!(links, [2, 5 * 6 + 2], "half way round: the positive way");
        let open = Network { wrap: vec![false; 3], ..torus };
        assert_eq!(open.hops(0, 4), 4);
        let tree = network(Kind::FatTree, &[2, 3, 4]);
        assert_eq!([tree.hops(0, 3), tree.hops(0, 4), tree.hops(0, 12), tree.hops(5, 5)], [2, 4, 6, 0]);
        assert_eq!([tree.width(0), tree.width(48), tree.width(60)], [1.0, 2.0, 3.0]);
        let fly = network(Kind::Dragonfly, &[4, 3, 2]);
        assert_eq!([fly.hops(0, 1), fly.hops(0, 2), fly.hops(0, 23)], [2, 3, 4]);
        assert_eq!(network(Kind::None, &[9]).hops(1, 2), 1);
    }

    #[test]
    fn links_are_counted() {
        for kind in [Kind::None, Kind::Torus, Kind::FatTree, Kind::Dragonfly] {
            let network = network(kind, &[4, 3, 2]);
            for a in 0..24 {
                for b in 0..24 {
                    network.way(a, b, |link| assert!(link < network.links(), "{kind:?} {a} {b} {link}"));
                }
            }
        }
    }
}
