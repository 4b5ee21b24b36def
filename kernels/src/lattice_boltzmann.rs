//! Lattice Boltzmann: slow flow of a fluid as populations that move from point to point and collide there.
//!
//! `f_i(x, t + 1) = f_i + (collision of what the neighbours sent)`: population `i` comes from `x - c_i`. A point's new
//! values are those after the collision, so that one stage reads 9 or 19 values and writes as many.
//!
//! With opposite populations in pairs, `s = f_+ + f_-` and `d = f_+ - f_-` relax apart (two relaxation times; `bgk`
//! has one): `s += (s_eq - s) / tau`, `d += (d_eq - d) / tau_odd`, `(tau - 1/2) (tau_odd - 1/2) = magic`. With density
//! `r`, weight `w`, direction `c`, force `F` and momentum `p = sum c f + F/2`:
//! `s_eq = 2 w (r + 9/2 (c.p)(c.v) - 3/2 p.v)` with `v = (p + 2 (tau - 1/2) F) / r`, and
//! `d_eq = 6 w c.(p + (tau_odd - 1/2) F)`: the equilibrium of second order and Guo's force in one. The rest takes what
//! the pairs leave of the density, and the pairs along axes what diagonal ones leave of the momentum: rounded weights
//! neither make nor lose any.
//!
//! Walls half a cell outside the outermost points, and points that are solid, send back what came from here:
//! `f_i = f_opposite` of the point itself, plus `6 w r c_i.u` where a wall moves with `u`. A link across several walls
//! feels them all.
//!
//! In units of spacing and step: sound has speed `1/sqrt(3)`, viscosity is `(tau - 1/2) / 3`, flow should stay below
//! 0.1 or so. No bound on the time step; unstable where the flow is faster than about 0.4, or `tau` too near to 1/2.
//!
//! Input: populations at a point and around it, where solid points and walls are. Output: the populations after a
//! step. Invariant: of this code `legs` alone says which way a pair moves; pair `P` has slots `2 P + 1` and `2 P + 2`,
//! and checkpoints keep that order. A step changes no population of a solid point.
//!
//! Source: T. Krueger, H. Kusumaatmaja, A. Kuzmin, O. Shardt, G. Silva and E. M. Viggen, *The Lattice Boltzmann
//! Method*, Springer 2017, sections 3.4, 5.3, 6.3 and 10.7; I. Ginzburg, F. Verhaeghe and D. d'Humieres, Commun.
//! Comput. Phys. 3, 2008, 427-478 (two times, magic); Z. Guo, C. Zheng and B. Shi, Phys. Rev. E 65, 2002, 046308
//! (force); A. J. C. Ladd, J. Fluid Mech. 271, 1994, 285-309 (walls).

use crate::declare::{Beyond, Declaration};
use crate::lane::Lane;
use crate::setup::{Given, KernelError, Setup};
use crate::stencil::{Build, Cell, Kernel, Near, Stencil};

mod words;

use words::{WALL_VELOCITIES, fields, parameters};

/// Pairs of opposite populations on two and on three axes.
const PAIRS_2: usize = 4;
const PAIRS_3: usize = 9;

/// Runs its body for each pair, with the pair's number as a constant.
macro_rules! pairs {
    ($pair:ident $body:block) => {
        pairs!($pair $body 0 1 2 3 4 5 6 7 8)
    };
    ($pair:ident $body:block $($number:literal)*) => {
        $({
            const $pair: usize = $number;
            if $pair < PAIRS $body
        })*
    };
}

/// The kernel `lattice-boltzmann`.
#[derive(Clone, Copy, Debug)]
pub struct LatticeBoltzmann;

/// The stencil of a lattice of `1 + 2 PAIRS` populations, `BOUNDED` by walls or solid points or not at all.
struct Lattice<const AXES: usize, const PAIRS: usize, const BOUNDED: bool> {
    /// `1 / tau` and `1 / tau_odd`.
    rate: [f64; 2],
    /// `2 (tau - 1/2)` and `tau_odd - 1/2`, which force counts with.
    lead: [f64; 2],
    force: [f64; AXES],
    /// `6 w c.u` of each pair's first population behind walls across each axis, and of its second.
    push: [[[f64; AXES]; 2]; PAIRS],
}

/// The axes that pair `pair` moves along, and whether its first population moves up both: x, y, z; then xy, xz, yz, each with
/// one sign and with two. The same axis twice where it is one.
const fn legs(axes: usize, pair: usize) -> (usize, usize, bool) {
    let x = axes - 1;
    if pair < axes {
        return (x - pair, x - pair, true);
    }
    let same = (pair - axes).is_multiple_of(2);
    match (pair - axes) / 2 {
        0 => (x, x - 1, same),
        // Not on two axes.
        1 => (x, x.saturating_sub(2), same),
        _ => (x - 1, x.saturating_sub(2), same),
    }
}

/// True if pair `pair` moves along two axes.
const fn diagonal(axes: usize, pair: usize) -> bool {
    pair >= axes
}

/// Direction of the first population of pair `pair`, slowest axis first.
const fn direction<const AXES: usize>(pair: usize) -> [isize; AXES] {
    let (first, second, same) = legs(AXES, pair);
    let mut way = [0; AXES];
    way[second] = if same { 1 } else { -1 };
    way[first] = 1;
    way
}

/// Weight of the populations of pair `pair`.
const fn weight(axes: usize, pair: usize) -> f64 {
    match (axes, pair < axes) {
        (2, true) => 1.0 / 9.0,
        (_, true) => 1.0 / 18.0,
        _ => 1.0 / 36.0,
    }
}

/// The part of `vector` along the first population of pair `P`.
#[inline(always)]
fn along<L: Lane, const AXES: usize, const P: usize>(vector: &[L; AXES]) -> L {
    let (first, second, same) = const { legs(AXES, P) };
    match (first == second, same) {
        (true, _) => vector[first],
        (_, true) => vector[first] + vector[second],
        (_, false) => vector[first] - vector[second],
    }
}

/// Adds `value` along the first population of pair `P` to `vector`.
#[inline(always)]
fn add_along<L: Lane, const AXES: usize, const P: usize>(vector: &mut [L; AXES], value: L) {
    let (first, second, same) = const { legs(AXES, P) };
    vector[first] = vector[first] + value;
    if first != second {
        vector[second] = if same { vector[second] + value } else { vector[second] - value };
    }
}

/// Density, the momentum that relaxes, and what the equilibrium is made of.
struct Flow<L, const AXES: usize> {
    /// Density less `3/2 p.v`.
    base: L,
    /// `p`, `v` and `p + (tau_odd - 1/2) F`.
    momentum: [L; AXES],
    velocity: [L; AXES],
    odd: [L; AXES],
}

impl<L: Lane, const AXES: usize> Flow<L, AXES> {
    /// Of a fluid with momentum `p`, where force counts `lead` times.
    #[inline(always)]
    fn new(density: L, momentum: [L; AXES], force: &[f64; AXES], lead: [f64; 2]) -> Self {
        let per_density = L::of(1.0) / density;
        let (mut velocity, mut odd, mut both) = (momentum, momentum, L::of(0.0));
        for axis in 0..AXES {
            velocity[axis] = (momentum[axis] + L::of(lead[0] * force[axis])) * per_density;
            odd[axis] = momentum[axis] + L::of(lead[1] * force[axis]);
            both = momentum[axis].mul_add(velocity[axis], both);
        }
        Self { base: L::of(-1.5).mul_add(both, density), momentum, velocity, odd }
    }

    /// Sum of pair `P` in equilibrium.
    #[inline(always)]
    fn sum<const P: usize>(&self) -> L {
        let both = along::<L, AXES, P>(&self.momentum) * along::<L, AXES, P>(&self.velocity);
        let weight = const { weight(AXES, P) };
        L::of(9.0 * weight).mul_add(both, L::of(2.0 * weight) * self.base)
    }

    /// Difference of pair `P` in equilibrium.
    #[inline(always)]
    fn difference<const P: usize>(&self) -> L {
        L::of(const { 6.0 * weight(AXES, P) }) * along::<L, AXES, P>(&self.odd)
    }
}

/// Populations of a point: the rest, and sums and differences of pairs.
struct Populations<L, const PAIRS: usize> {
    rest: L,
    sum: [L; PAIRS],
    difference: [L; PAIRS],
}

impl<L: Lane, const PAIRS: usize> Populations<L, PAIRS> {
    /// Those of `cell` itself.
    #[inline(always)]
    fn here<const AXES: usize>(cell: &impl Near<L, AXES>) -> Self {
        let (mut sum, mut difference) = ([L::of(0.0); PAIRS], [L::of(0.0); PAIRS]);
        pairs!(P {
            let (plus, minus) = (cell.here(2 * P + 1), cell.here(2 * P + 2));
            (sum[P], difference[P]) = (plus + minus, plus - minus);
        });
        Self { rest: cell.here(0), sum, difference }
    }

    /// Sum of all pairs.
    #[inline(always)]
    fn moving(&self) -> L {
        let mut total = self.sum[0];
        pairs!(P {
            if P != 0 {
                total = total + self.sum[P];
            }
        });
        total
    }

    /// Momentum.
    #[inline(always)]
    fn flow<const AXES: usize>(&self) -> [L; AXES] {
        let mut flow = [L::of(0.0); AXES];
        pairs!(P {
            add_along::<L, AXES, P>(&mut flow, self.difference[P]);
        });
        flow
    }
}

impl<const AXES: usize, const PAIRS: usize, const BOUNDED: bool> Lattice<AXES, PAIRS, BOUNDED> {
    /// Slots: coefficients, derived fields, start fields. Velocities are along x, y, z.
    const SOLIDS: usize = 2 * PAIRS + 1;
    const WALLS_HERE: usize = 2 * PAIRS + 2;
    const DENSITY: usize = 2 * PAIRS + 3;
    const VELOCITY: usize = 2 * PAIRS + 4;
    const DENSITY_AT_START: usize = Self::VELOCITY + AXES;
    const VELOCITY_AT_START: usize = Self::DENSITY_AT_START + 1;

    /// Which of the walls across each axis the point lies at, low and high.
    #[inline(always)]
    fn walls<L: Lane>(cell: &impl Near<L, AXES>) -> [[L::Mask; 2]; AXES] {
        let zero = L::of(0.0);
        let mut walls = [[zero.lt(zero); 2]; AXES];
        if BOUNDED {
            let mut code = cell.here(Self::WALLS_HERE);
            for number in 0..2 * AXES {
                let number = 2 * AXES - 1 - number;
                let bit = L::of(f64::from(1_u32 << number));
                walls[number / 2][number % 2] = bit.le(code);
                code = L::select(bit.le(code), code - bit, code);
            }
        }
        walls
    }

    /// True where the point `offset` away is solid.
    #[inline(always)]
    fn solid<L: Lane>(cell: &impl Near<L, AXES>, offset: [isize; AXES]) -> L::Mask {
        L::of(0.5).lt(cell.at(Self::SOLIDS, offset))
    }

    /// What arrives along pair `P`: from the neighbours, or sent back.
    #[inline(always)]
    fn arrived<L: Lane, const P: usize>(
        &self,
        cell: &impl Near<L, AXES>,
        walls: &[[L::Mask; 2]; AXES],
        density: L,
    ) -> (L, L) {
        let way = const { direction::<AXES>(P) };
        let mut back = way;
        for axis in 0..AXES {
            back[axis] = -way[axis];
        }
        let (plus, minus) = (cell.at(2 * P + 1, back), cell.at(2 * P + 2, way));
        if !BOUNDED {
            return (plus, minus);
        }
        let zero = L::of(0.0);
        let (mut behind, mut ahead) = (Self::solid(cell, back), Self::solid(cell, way));
        let (mut sent_plus, mut sent_minus) = (cell.here(2 * P + 2), cell.here(2 * P + 1));
        let (mut push_plus, mut push_minus) = (zero, zero);
        for axis in 0..AXES {
            if way[axis] != 0 {
                let [low, high] = walls[axis];
                let (at_back, at_front) = if way[axis] > 0 { (low, high) } else { (high, low) };
                behind = behind | at_back;
                ahead = ahead | at_front;
                push_plus = push_plus + L::select(at_back, L::of(self.push[P][0][axis]), zero);
                push_minus = push_minus + L::select(at_front, L::of(self.push[P][1][axis]), zero);
            }
        }
        // A wall moves along itself: only diagonal populations feel it.
        if diagonal(AXES, P) {
            sent_plus = density.mul_add(push_plus, sent_plus);
            sent_minus = density.mul_add(push_minus, sent_minus);
        }
        (L::select(behind, sent_plus, plus), L::select(ahead, sent_minus, minus))
    }

    /// Gives the point the populations `new`; a solid one keeps its own.
    #[inline(always)]
    fn set<L: Lane>(cell: &mut impl Cell<L, AXES>, new: &Populations<L, PAIRS>) {
        let half = L::of(0.5);
        let solid = if BOUNDED { Self::solid(cell, [0; AXES]) } else { half.lt(half) };
        let mut values = [(new.rest, new.rest); PAIRS];
        let mut rest = new.rest;
        pairs!(P {
            values[P] = (half * (new.sum[P] + new.difference[P]), half * (new.sum[P] - new.difference[P]));
            if BOUNDED {
                let (plus, minus) = values[P];
                values[P] = (
                    L::select(solid, cell.here(2 * P + 1), plus),
                    L::select(solid, cell.here(2 * P + 2), minus),
                );
            }
        });
        if BOUNDED {
            rest = L::select(solid, cell.here(0), rest);
        }
        cell.set(0, rest);
        pairs!(P {
            cell.set(2 * P + 1, values[P].0);
            cell.set(2 * P + 2, values[P].1);
        });
    }
}

impl<const AXES: usize, const PAIRS: usize, const BOUNDED: bool> Stencil<AXES> for Lattice<AXES, PAIRS, BOUNDED> {
    #[inline(always)]
    fn point<L: Lane>(&self, _stage: usize, cell: &mut impl Cell<L, AXES>) {
        let zero = L::of(0.0);
        let walls = Self::walls(cell);
        let mut density = zero;
        if BOUNDED {
            let here = Populations::<L, PAIRS>::here(cell);
            density = here.rest + here.moving();
        }
        let mut now = Populations { rest: cell.here(0), sum: [zero; PAIRS], difference: [zero; PAIRS] };
        pairs!(P {
            let (plus, minus) = self.arrived::<L, P>(cell, &walls, density);
            (now.sum[P], now.difference[P]) = (plus + minus, plus - minus);
        });
        density = now.rest + now.moving();
        let mut left = now.flow::<AXES>();
        let mut momentum = left;
        for axis in 0..AXES {
            momentum[axis] = momentum[axis] + L::of(0.5 * self.force[axis]);
            left[axis] = left[axis] + L::of(self.force[axis]);
        }
        let flow = Flow::new(density, momentum, &self.force, self.lead);
        let (even, odd) = (L::of(self.rate[0]), L::of(self.rate[1]));
        pairs!(P {
            now.sum[P] = even.mul_add(flow.sum::<P>() - now.sum[P], now.sum[P]);
            if diagonal(AXES, P) {
                now.difference[P] = odd.mul_add(flow.difference::<P>() - now.difference[P], now.difference[P]);
                add_along::<L, AXES, P>(&mut left, -now.difference[P]);
            }
        });
        pairs!(P {
            if !diagonal(AXES, P) {
                now.difference[P] = along::<L, AXES, P>(&left);
            }
        });
        now.rest = density - now.moving();
        Self::set(cell, &now);
    }

    #[inline(always)]
    fn rate<L: Lane>(&self, _cell: &impl Near<L, AXES>) -> L {
        L::of(0.0)
    }

    #[inline(always)]
    fn start<L: Lane>(&self, cell: &mut impl Cell<L, AXES>) {
        let zero = L::of(0.0);
        let density = cell.here(Self::DENSITY_AT_START);
        let mut momentum = [zero; AXES];
        for axis in 0..AXES {
            momentum[axis] = density * cell.here(Self::VELOCITY_AT_START + AXES - 1 - axis);
            if BOUNDED {
                momentum[axis] = L::select(Self::solid(cell, [0; AXES]), zero, momentum[axis]);
            }
        }
        // The collision that the start stands behind has added half the force to the momentum.
        let flow = Flow::new(density, momentum, &self.force, [1.0, 0.5]);
        let mut start = Populations { rest: zero, sum: [zero; PAIRS], difference: [zero; PAIRS] };
        pairs!(P {
            (start.sum[P], start.difference[P]) = (flow.sum::<P>(), flow.difference::<P>());
        });
        let half = L::of(0.5);
        cell.set(0, density - start.moving());
        pairs!(P {
            cell.set(2 * P + 1, half * (start.sum[P] + start.difference[P]));
            cell.set(2 * P + 2, half * (start.sum[P] - start.difference[P]));
        });
    }

    #[inline(always)]
    fn derive<L: Lane>(&self, slot: usize, cell: &impl Near<L, AXES>) -> L {
        let here = Populations::<L, PAIRS>::here(cell);
        let density = here.rest + here.moving();
        if slot == Self::DENSITY {
            return density;
        }
        let axis = AXES - 1 - (slot - Self::VELOCITY);
        let velocity = (here.flow::<AXES>()[axis] - L::of(0.5 * self.force[axis])) / density;
        if BOUNDED { L::select(Self::solid(cell, [0; AXES]), L::of(0.0), velocity) } else { velocity }
    }
}

impl Kernel for LatticeBoltzmann {
    fn declare(&self, axes: usize) -> Declaration {
        let axes = axes.clamp(2, 3);
        Declaration {
            name: "lattice-boltzmann",
            title: "slow flow of a fluid, between walls that may move and round solid points",
            equation: "rho_t + div(rho u) = 0, (rho u)_t + div(rho u u) = -grad(rho / 3) + div(rho nu (grad u + grad u^T)) + F, \
                       nu = (tau - 1/2) / 3, in spacings and steps",
            scheme: "D2Q9 or D3Q19, one or two relaxation times, order 2 in space; populations are those after the collision; \
                     walls and solid points by halfway bounce-back; radius 1",
            bound: "none on the time step; |u| well below 1/sqrt(3), tau above 1/2",
            source: "T. Krueger and others, The Lattice Boltzmann Method, Springer 2017; I. Ginzburg, F. Verhaeghe and \
                     D. d'Humieres, Commun. Comput. Phys. 3, 2008, 427-478; Z. Guo, C. Zheng and B. Shi, Phys. Rev. E 65, \
                     2002, 046308",
            axes: (2, 3),
            parameters: parameters(axes),
            fields: fields(axes),
            rate_of_state: false,
            degrees: false,
            default_dt: Some(1.0),
        }
    }

    fn build<B: Build>(&self, setup: &Setup, build: B) -> Result<B::Output, KernelError> {
        match setup.axes {
            2 => with_axes::<2, PAIRS_2, B>(setup, build),
            3 => with_axes::<3, PAIRS_3, B>(setup, build),
            other => wrong("points", format!("lattice-boltzmann runs on 2 or 3 axes, not {other}")),
        }
    }
}

fn wrong<T>(key: &str, problem: String) -> Result<T, KernelError> {
    Err(KernelError { key: key.into(), problem })
}

fn with_axes<const AXES: usize, const PAIRS: usize, B: Build>(
    setup: &Setup,
    build: B,
) -> Result<B::Output, KernelError> {
    let given = |slot: usize| setup.given[slot] != Given::Absent;
    let (populations, starts) = (2 * PAIRS + 1, 2 * PAIRS + 4 + AXES);
    if (0..populations).any(given) && (starts..=starts + AXES).any(given) {
        return wrong("f0", "both populations and density or velocity are given; remove one of them".into());
    }
    if setup.spacing.iter().any(|&h| h != setup.spacing[0]) {
        return wrong("spacing", format!("{:?} differ, and a lattice has one spacing along all axes", setup.spacing));
    }
    let walls = setup.beyond.iter().any(|sides| sides.contains(&Beyond::Wall));
    // Few stencils, since each takes long to compile.
    Ok(match walls || setup.given[Lattice::<AXES, PAIRS, true>::SOLIDS] != Given::Number(0.0) {
        false => build.stencil(lattice::<AXES, PAIRS, false>(setup)?),
        true => build.stencil(lattice::<AXES, PAIRS, true>(setup)?),
    })
}

fn lattice<const AXES: usize, const PAIRS: usize, const BOUNDED: bool>(
    setup: &Setup,
) -> Result<Lattice<AXES, PAIRS, BOUNDED>, KernelError> {
    let tau = setup.number("tau");
    if tau <= 0.5 {
        return wrong("tau", "0.5 leaves no viscosity; give more".into());
    }
    let odd = if setup.word("collision") == "trt" { 0.5 + setup.number("magic") / (tau - 0.5) } else { tau };
    let force = std::array::from_fn(|axis| setup.list("force")[axis]);
    let lead = [2.0 * (tau - 0.5), odd - 0.5];
    Ok(Lattice { rate: [1.0 / tau, 1.0 / odd], lead, force, push: pushes(setup)? })
}

/// `6 w c.u` of all pairs, for the walls behind each population.
fn pushes<const AXES: usize, const PAIRS: usize>(setup: &Setup) -> Result<[[[f64; AXES]; 2]; PAIRS], KernelError> {
    let mut all = [[[0.0; AXES]; 2]; PAIRS];
    for axis in 0..AXES {
        for side in 0..2 {
            let name = WALL_VELOCITIES[AXES - 1 - axis][side];
            let velocity = setup.list(name);
            if velocity.iter().any(|&u| u != 0.0) && !setup.wall(axis, side) {
                return wrong(name, "there is no wall on this side; give \"wall\" in [grid] boundary".into());
            }
            if velocity[axis] != 0.0 {
                let problem = format!("{} points through the wall, which moves along itself; give 0", velocity[axis]);
                return wrong(name, problem);
            }
            for (pair, pushes) in all.iter_mut().enumerate() {
                let way = direction::<AXES>(pair);
                #[allow(clippy::cast_precision_loss, reason = "-1, 0 or 1")]
                let speed: f64 = (0..AXES).map(|axis| way[axis] as f64 * velocity[axis]).sum();
                // The first population comes from the low wall where it moves up, else from the high one.
                let population = usize::from((way[axis] > 0) != (side == 0));
                let sign = if population == 0 { 1.0 } else { -1.0 };
                if way[axis] != 0 {
                    pushes[population][axis] = sign * 6.0 * weight(AXES, pair) * speed;
                }
            }
        }
    }
    Ok(all)
}
