//! Whether the state is sound: all ranks look at their values together.
//!
//! Input: all ranks' sessions at one step. Output: the same verdict on every rank. Invariant: the verdict is a
//! function of the global state and the time step; cuts change neither it nor the cell it names. Whatever a rank
//! finds, it takes part in one gather and one broadcast: a rank may [`judge`] while another looks.

use ringfort_kernels::Role;

use super::peers::{PeerError, Peers, broadcast, gather};
use super::session::Session;
use crate::advance::library::Precise;
use crate::exit::{Exit, Failure};
use crate::grid::Extents;
use crate::job::Job;
use crate::observe::scan;
use crate::run::boxes::Boxes;

/// A value that is not a number, or a bound that the state has left; the same on every rank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// All is well.
    Sound,
    /// The lowest component and cell whose value is infinite or NaN.
    Spoiled(usize, Extents),
    /// The time step is beyond the bound of the present state: `dt * rate`.
    Beyond(f64),
}

/// Looks at all ranks' values together.
///
/// # Errors
///
/// [`PeerError`] if a rank is late or lost.
pub fn look<T: Precise, P: Peers + ?Sized>(
    job: &Job,
    session: &Session<T>,
    peers: &mut P,
) -> Result<Verdict, PeerError> {
    let spoiled = job.declaration.of_role(Role::Component).find_map(|(slot, _)| spoiled(session, slot));
    verdict(job, session, spoiled, peers)
}

/// The same verdict on every rank, from the first value of each that is not finite.
fn verdict<T: Precise, P: Peers + ?Sized>(
    job: &Job,
    session: &Session<T>,
    spoiled: Option<scan::Spoiled>,
    peers: &mut P,
) -> Result<Verdict, PeerError> {
    let rate = if job.declaration.rate_of_state { session.engine.largest_rate(&session.fields).0 } else { 0.0 };
    let mut report = Vec::new();
    report.extend((session.dt * rate).to_le_bytes());
    if let Some(spoiled) = spoiled {
        report.extend((spoiled.slot as u64).to_le_bytes());
        report.extend(spoiled.cell.iter().flat_map(|&index| (index as u64).to_le_bytes()));
    }
    let verdict = match gather(peers, report)? {
        None => broadcast(peers, Vec::new())?,
        Some(reports) => {
            let first = scan::first(reports.iter().filter_map(|report| read(report).1));
            let most = reports.iter().map(|report| read(report).0).fold(0.0, |a: f64, b| if b > a { b } else { a });
            let mut verdict = most.to_le_bytes().to_vec();
            if let Some(spoiled) = first {
                verdict.extend((spoiled.slot as u64).to_le_bytes());
                verdict.extend(spoiled.cell.iter().flat_map(|&index| (index as u64).to_le_bytes()));
            }
            broadcast(peers, verdict)?
        }
    };
    Ok(match read(&verdict) {
        (_, Some(spoiled)) => Verdict::Spoiled(spoiled.slot, spoiled.cell),
        (courant, None) if courant > 1.0 + 1e-12 => Verdict::Beyond(courant),
        (_, None) => Verdict::Sound,
    })
}

/// The verdict of [`look`] on a state that was looked at while it was copied: `sound` if all values of this rank are finite.
///
/// # Errors
///
/// [`PeerError`] if a rank is late or lost.
pub fn judge<T: Precise, P: Peers + ?Sized>(
    job: &Job,
    session: &Session<T>,
    sound: bool,
    peers: &mut P,
) -> Result<Verdict, PeerError> {
    if sound { verdict(job, session, None, peers) } else { look(job, session, peers) }
}

/// First cell of the block whose value of component `slot` is not finite; looks at one box after the other, in memory order.
fn spoiled<T: Precise>(session: &Session<T>, slot: usize) -> Option<scan::Spoiled> {
    let boxes = Boxes::of(&session.block());
    let mut values = Vec::new();
    (0..boxes.count()).find_map(|number| {
        let some = boxes.get(number);
        values.resize(some.cells(), T::default());
        session.read(slot, &some, &mut values);
        scan::scan(&values, &some).map(|cell| scan::Spoiled { slot, cell })
    })
}

fn read(report: &[u8]) -> (f64, Option<scan::Spoiled>) {
    let mut numbers = report.chunks_exact(8).map(|bytes| {
        let mut number = [0; 8];
        number.copy_from_slice(bytes);
        u64::from_le_bytes(number)
    });
    let courant = f64::from_bits(numbers.next().unwrap_or(0));
    let mut index = || numbers.next().and_then(|number| usize::try_from(number).ok());
    let spoiled = index().and_then(|slot| Some(scan::Spoiled { slot, cell: [index()?, index()?, index()?, index()?] }));
    (courant, spoiled)
}

/// The end of a run whose state is no longer sound.
#[must_use]
pub fn diverged<T: Precise>(job: &Job, session: &Session<T>, verdict: Verdict, (from, to): (u64, u64)) -> Failure {
    let between = format!("between step {from}, where all was well, and step {to}");
    let words = match verdict {
        Verdict::Spoiled(slot, cell) => {
            let cell = job.grid.own(&cell);
            format!(
                "{} is not a finite number at point {cell:?}, {between}; no checkpoint was written from this state. \
                 dt = {} s is {:.4} times the kernel's bound at the start; restart from the last checkpoint, or run with \
                 a smaller step, say --set time.dt={:.3e}",
                job.declaration.fields[slot].name,
                session.dt,
                session.courant,
                session.dt / 2.0,
            )
        }
        Verdict::Beyond(courant) => format!(
            "dt = {} s is {courant:.4} times the kernel's bound for the present state, {between}; no checkpoint was \
             written from this state. Run with a smaller step, say --set time.dt={:.3e}",
            session.dt,
            session.dt / courant * 0.9,
        ),
        Verdict::Sound => "the state is sound".into(),
    };
    Failure { exit: Exit::Diverged, report: Failure::usage(words).report }
}
