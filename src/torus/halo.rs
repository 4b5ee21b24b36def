//! Fills a block's halo from its peers: two messages per axis, axis after axis, so that corners arrive.
//!
//! Input: fields, cuts. Output: halo cells equal to the peers' own cells. Invariant: tags name the way of travel, so an axis
//! with two parts, where both peers are one, is right. Where a block makes up a periodic axis alone the engine fills its halo.

use ringfort_kernels::Real;

use super::peers::{Link, Message, PeerError, Peers, wait};
use crate::advance::{Arrival, Bundle, Packer, wraps};
use crate::decomp::Cuts;
use crate::field::{Fields, Layout, Span};
use crate::grid::{AXES, Grid, Side};

/// What travels along one axis.
struct Phase {
    link: Link,
    sends: Vec<Bundle>,
    receives: Vec<Bundle>,
}

/// The standing exchange of some slots of one block.
pub struct Halo {
    /// In the order in which axes are exchanged.
    phases: Vec<Phase>,
    /// Phase under way, if its messages have been started.
    under_way: Option<usize>,
}

impl Halo {
    /// Opens the links for `slots` of `part`, with a halo of `width` cells along each axis.
    pub fn new<P: Peers + ?Sized>(
        peers: &mut P,
        place: (&Grid, &Cuts, usize),
        width: [usize; AXES],
        slots: &[usize],
        value_bytes: usize,
    ) -> Self {
        let (grid, cuts, part) = place;
        let layout = Layout::new(cuts.block(part).extent, width);
        let phases = if slots.is_empty() { Vec::new() } else { routes((grid, cuts, part), width) };
        let phases = phases.into_iter().filter(|phase| !phase.is_empty());
        let phases = phases.map(|phase| Phase::open(&phase, peers, (&layout, slots, value_bytes))).collect();
        Self { phases, under_way: None }
    }

    /// Closes the links.
    pub fn close<P: Peers + ?Sized>(self, peers: &mut P) {
        self.phases.iter().for_each(|phase| peers.close(phase.link));
    }

    /// Bytes that one exchange sends to peers.
    #[must_use]
    pub fn bytes(&self, value_bytes: usize) -> usize {
        let sent = self.phases.iter().flat_map(|phase| &phase.sends);
        sent.map(|send| send.values() * value_bytes).sum()
    }

    /// Messages that one exchange sends.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.phases.iter().map(|phase| phase.sends.len()).sum()
    }

    /// True if no exchange is under way.
    #[must_use]
    pub fn over(&self) -> bool {
        self.under_way.is_none()
    }

    /// Begins an exchange.
    pub fn start<T: Real, P: Peers + ?Sized>(&mut self, peers: &mut P, packer: Packer<'_>, fields: &Fields<T>) {
        // What a peer sends along a later axis finds its place ready, too.
        self.phases.iter().for_each(|phase| peers.expect(phase.link));
        self.enter(0, peers, packer, fields);
    }

    /// Moves an exchange on as far as messages are there; true once it is over.
    ///
    /// # Errors
    ///
    /// [`PeerError`] if a peer is known to be lost.
    pub fn poke<T: Real, P: Peers + ?Sized>(
        &mut self,
        peers: &mut P,
        packer: Packer<'_>,
        fields: &mut Fields<T>,
    ) -> Result<bool, PeerError> {
        while let Some(number) = self.under_way {
            let phase = &self.phases[number];
            if !peers.arrived(phase.link)? {
                return Ok(false);
            }
            for (message, bundle) in phase.receives.iter().enumerate() {
                packer.unpack(fields, bundle, peers.incoming(phase.link, message));
            }
            self.enter(number + 1, peers, packer, fields);
        }
        Ok(true)
    }

    /// Starts phase `number`, or ends the exchange after the last.
    fn enter<T: Real, P: Peers + ?Sized>(
        &mut self,
        number: usize,
        peers: &mut P,
        packer: Packer<'_>,
        fields: &Fields<T>,
    ) {
        self.under_way = (number < self.phases.len()).then_some(number);
        let Some(phase) = self.phases.get(number) else { return };
        for (message, bundle) in phase.sends.iter().enumerate() {
            packer.pack(fields, bundle, peers.outgoing(phase.link, message));
            peers.dispatch(phase.link, message);
        }
    }

    /// A whole exchange.
    ///
    /// # Errors
    ///
    /// [`PeerError`] if a peer is late or lost.
    pub fn fill<T: Real, P: Peers + ?Sized>(
        &mut self,
        peers: &mut P,
        packer: Packer<'_>,
        fields: &mut Fields<T>,
    ) -> Result<(), PeerError> {
        self.start(peers, packer, fields);
        self.finish(peers, packer, fields)
    }

    /// Waits for the end of the exchange under way.
    ///
    /// # Errors
    ///
    /// [`PeerError`] if a peer is late or lost.
    pub fn finish<T: Real, P: Peers + ?Sized>(
        &mut self,
        peers: &mut P,
        packer: Packer<'_>,
        fields: &mut Fields<T>,
    ) -> Result<(), PeerError> {
        wait(peers, "a halo", |peers| Ok(self.poke(peers, packer, fields)?.then_some(())))
    }
}

/// The halo of a block on its way, for [`crate::advance::Engine::advance_while`].
pub struct OnItsWay<'a, P: Peers + ?Sized> {
    /// The exchange, started.
    pub halo: &'a mut Halo,
    /// The other ranks.
    pub peers: &'a mut P,
    /// Threads to copy with.
    pub packer: Packer<'a>,
    /// Seconds spent waiting.
    pub waited: f64,
}

impl<T: Real, P: Peers + ?Sized> Arrival<T> for OnItsWay<'_, P> {
    type Error = PeerError;

    fn over(&self) -> bool {
        self.halo.over()
    }

    fn poke(&mut self, fields: &mut Fields<T>, finish: bool) -> Result<(), PeerError> {
        if !finish || self.halo.over() {
            self.halo.poke(self.peers, self.packer, fields)?;
            return Ok(());
        }
        let began = crate::clock::now();
        self.halo.finish(self.peers, self.packer, fields)?;
        self.waited += crate::clock::now().duration_since(began).as_secs_f64();
        Ok(())
    }
}

/// Own cells that travel `toward` along `axis`, and halo cells that are filled by what travels the same way.
fn strips(across: &Span, axis: usize, toward: Side, wide: isize) -> (Span, Span) {
    let (low, high) = (across.low[axis], across.high[axis]);
    match toward {
        Side::Low => (across.with(axis, low, low + wide), across.with(axis, high, high + wide)),
        Side::High => (across.with(axis, high - wide, high), across.with(axis, low - wide, low)),
    }
}

/// One way of travel along one axis: to whom, from whom, and which cells.
struct Route {
    tag: u32,
    to: Option<usize>,
    from: Option<usize>,
    send: Span,
    receive: Span,
}

/// Ways of travel of `part` for a halo of `width` cells, in phases.
fn routes((grid, cuts, part): (&Grid, &Cuts, usize), width: [usize; AXES]) -> Vec<Vec<Route>> {
    let block = cuts.block(part);
    let mut across = Span::own(block.extent);
    let mut phases = Vec::new();
    for axis in (grid.first()..AXES).filter(|&axis| width[axis] > 0 && !wraps(grid, &block, axis)) {
        let peer = |side| cuts.peer(part, axis, side, grid.periodic(axis));
        let wide = width[axis].cast_signed();
        let route = |toward: Side| {
            let (send, receive) = strips(&across, axis, toward, wide);
            Route { tag: tag(axis, toward), to: peer(toward), from: peer(toward.other()), send, receive }
        };
        let moves = |route: &Route| route.to.is_some() || route.from.is_some();
        phases.push(Side::BOTH.into_iter().map(route).filter(moves).collect());
        if peer(Side::Low).is_some() {
            across.low[axis] -= wide;
        }
        if peer(Side::High).is_some() {
            across.high[axis] += wide;
        }
    }
    phases
}

/// Messages and bytes that `part` sends in one exchange of a halo of `width` cells with `cell_bytes` bytes each.
#[must_use]
pub fn traffic(place: (&Grid, &Cuts, usize), width: [usize; AXES], cell_bytes: usize) -> (usize, usize) {
    let routes = routes(place, width);
    let sent = routes.iter().flatten().filter(|route| route.to.is_some());
    sent.fold((0, 0), |(messages, bytes), route| (messages + 1, bytes + route.send.cells() * cell_bytes))
}

impl Phase {
    /// Opens the link for what travels along `routes`: values of `slots`, of so many bytes.
    fn open<P: Peers + ?Sized>(
        routes: &[Route],
        peers: &mut P,
        (layout, slots, value_bytes): (&Layout, &[usize], usize),
    ) -> Self {
        let one = |(peer, tag, span): (usize, u32, &Span)| {
            let bundle = Bundle::new(layout, slots, span);
            (Message { peer, tag, bytes: bundle.values() * value_bytes }, bundle)
        };
        let receives = routes.iter().filter_map(|route| Some(one((route.from?, route.tag, &route.receive))));
        let sends = routes.iter().filter_map(|route| Some(one((route.to?, route.tag, &route.send))));
        let (incoming, receives): (Vec<_>, Vec<_>) = receives.unzip();
        let (outgoing, sends): (Vec<_>, Vec<_>) = sends.unzip();
        Self { link: peers.open(&incoming, &outgoing), sends, receives }
    }
}

/// Tag of what travels `toward` along `axis`.
const fn tag(axis: usize, toward: Side) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "an axis is 0 to 3")]
    let axis = axis as u32;
    2 * axis + toward as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::field::Layout;
    use crate::grid::{Boundary, Units};
    use crate::torus::threads::Threads;

    fn grid(points: [usize; AXES], axes: usize, periodic: bool) -> Grid {
        let beyond = if periodic { Boundary::Periodic } else { Boundary::Wall };
        Grid {
            axes,
            points,
            spacing: [1.0; AXES],
            origin: [0.0; AXES],
            units: Units::Metres,
            boundary: [[beyond; 2]; AXES],
        }
    }

    /// Fills own cells with global indices, spoils the halo, exchanges, compares every halo cell that has an owner.
    fn check(grid: &Grid, parts: [usize; AXES], wide: usize) {
        let cuts = Cuts::new(grid.points, parts).unwrap();
        let group = Threads::group(cuts.count(), Duration::from_secs(20));
        std::thread::scope(|scope| {
            for mut peers in group {
                scope.spawn(move || {
                    let part = peers.rank();
                    let block = cuts.block(part);
                    let mut width = [0; AXES];
                    width[grid.first()..].fill(wide);
                    let layout = Layout::new(block.extent, width);
                    let mut fields = Fields::<f64>::new(layout, 2);
                    let value = |slot: usize, cell: [usize; AXES]| (grid.region().offset(cell) * 2 + slot) as f64;
                    for slot in 0..2 {
                        fields.allocate(slot, false);
                        fields.write(slot, &layout.all(), &vec![-1.0; layout.all().cells()]);
                        let values: Vec<f64> = block
                            .rows()
                            .flat_map(|[w, z, y]| (0..block.extent[3]).map(move |x| [w, z, y, block.start[3] + x]))
                            .map(|cell| value(slot, cell))
                            .collect();
                        fields.write(slot, &layout.own(), &values);
                    }
                    let wrong = |fields: &Fields<f64>| {
                        let mut count = 0;
                        layout.all().each_row(|row| {
                            for x in layout.all().low[3]..layout.all().high[3] {
                                let cell = [row[0], row[1], row[2], x];
                                let global: Option<Vec<usize>> = (0..AXES)
                                    .map(|axis| {
                                        let at = block.start[axis].cast_signed() + cell[axis];
                                        let points = grid.points[axis].cast_signed();
                                        match grid.periodic(axis) && !wraps(grid, &block, axis) {
                                            true => Some(at.rem_euclid(points).cast_unsigned()),
                                            false => (0..points).contains(&at).then(|| at.cast_unsigned()),
                                        }
                                    })
                                    .collect();
                                let Some(global) = global else { continue };
                                for slot in 0..2 {
                                    let mut found = [0.0];
                                    let mut one = layout.own();
                                    for (axis, &at) in cell.iter().enumerate() {
                                        one = one.with(axis, at, at + 1);
                                    }
                                    fields.read(slot, &one, &mut found);
                                    let global = [global[0], global[1], global[2], global[3]];
                                    count += usize::from(found[0] != value(slot, global));
                                }
                            }
                        });
                        count
                    };
                    let some_halo = (0..AXES).any(|axis| wide > 0 && parts[axis] > 1 && axis >= grid.first());
                    assert_eq!(wrong(&fields) > 0, some_halo, "a spoilt halo is found");
                    let mut halo = Halo::new(&mut peers, (grid, &cuts, part), width, &[0, 1], 8);
                    assert!(halo.messages() <= 2 * grid.axes);
                    assert_eq!(traffic((grid, &cuts, part), width, 16), (halo.messages(), halo.bytes(8)));
                    for _ in 0..2 {
                        halo.fill(&mut peers, Packer::default(), &mut fields).unwrap();
                    }
                    assert_eq!(wrong(&fields), 0, "{parts:?} parts of {:?}, part {part}", grid.points);
                    halo.close(&mut peers);
                });
            }
        });
    }

    #[test]
    fn one_two_and_three_parts_on_every_axis() {
        let mut cases = 0;
        for periodic in [true, false] {
            for wide in 1..=2 {
                for z in 1..=3 {
                    for y in 1..=3 {
                        for x in 1..=3 {
                            check(&grid([1, 8, 7, 6], 3, periodic), [1, z, y, x], wide);
                            cases += 1;
                        }
                    }
                }
            }
            for w in 1..=3 {
                check(&grid([5, 4, 3, 6], 4, periodic), [w, 2, 1, 3], 1);
                check(&grid([1, 1, 1, 9], 1, periodic), [1, 1, 1, w], 3);
                check(&grid([1, 1, 5, 9], 2, periodic), [1, 1, w, 2], 1);
                cases += 3;
            }
        }
        println!("{cases} cases");
    }
}
