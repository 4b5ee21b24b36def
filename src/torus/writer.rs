//! The thread that writes a rank's share of checkpoints while the run goes on.
//!
//! Input: orders of its own rank, by channel. Output: news for it, in the order of the orders. It talks to no other rank.
//! Invariant: an order whose work panics is one that failed; the thread lives on.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use super::save::{Part, Saved, Saver};
use crate::advance::library::Precise;
use crate::checkpoint::{Meta, Pending};
use crate::copied::Copied;
use crate::observe::series::{SyncLater, Trouble};

/// What the thread is to do.
pub(super) enum Order<T: Precise> {
    /// Make room for copies of so many fields of so many cells.
    Room { cells: usize, fields: usize },
    /// Force the series to the disk, then make the checkpoint's folder.
    Begin { meta: Arc<Meta>, series: SyncLater },
    /// Write the chunks of a part, unless it was called off.
    Write { meta: Arc<Meta>, part: usize, copied: Copied<T>, called_off: Arc<AtomicBool> },
    /// Commit what all parts have written since, or remove it.
    Commit { meta: Arc<Meta>, pending: Pending, parts: Vec<Part>, since: Instant },
}

/// What the thread has done.
pub(super) enum News<T: Precise> {
    /// Room for copies.
    Room(Copied<T>),
    /// What went wrong with the series, and the folder; or what became of the checkpoint if it is over with that.
    Begun { troubles: Vec<Trouble>, begun: Result<Pending, Saved> },
    /// What became of a part, and the room that its copy took.
    Written { part: Part, room: Copied<T> },
    /// What became of the checkpoint, and the seconds that it took.
    Settled(Saved, f64),
}

/// The rank's ends of both channels.
type Ends<T> = (Sender<Order<T>>, Receiver<News<T>>);

/// Starts the thread, which ends once nobody holds the other ends of its channels.
pub(super) fn start<T: Precise>(saver: Saver) -> io::Result<Ends<T>> {
    let (orders, given) = channel();
    let (done, news) = channel();
    std::thread::Builder::new().name("checkpoint".into()).spawn(move || {
        let mut saver = saver;
        for order in given {
            // A rank that has gone needs no news.
            if done.send(work(&mut saver, order)).is_err() {
                return;
            }
        }
    })?;
    Ok((orders, news))
}

fn work<T: Precise>(saver: &mut Saver, order: Order<T>) -> News<T> {
    let panicked = || "the writer panicked; its words stand above".to_owned();
    match order {
        Order::Room { cells, fields } => {
            let mut room = Copied::new(cells, fields);
            room.touch();
            News::Room(room)
        }
        Order::Begin { meta, series } => {
            let troubles = series.sync();
            let begun = catch_unwind(AssertUnwindSafe(|| saver.begin(&meta)));
            News::Begun { troubles, begun: begun.unwrap_or_else(|_| Err(Saved::Void { words: panicked() })) }
        }
        Order::Write { meta, part, copied, called_off } => {
            let goes_on = || !called_off.load(Ordering::Relaxed);
            let written = catch_unwind(AssertUnwindSafe(|| saver.write_copied(&meta, part, &copied, goes_on)));
            let written = written.unwrap_or_else(|_| Part::failed(part, &panicked()));
            News::Written { part: written, room: copied }
        }
        Order::Commit { meta, pending, parts, since } => {
            let committed = catch_unwind(AssertUnwindSafe(|| saver.commit(&pending, &meta, parts, since)));
            let (saved, seconds) = committed.unwrap_or_else(|_| (Saved::Void { words: panicked() }, 0.0));
            News::Settled(saved, seconds)
        }
    }
}
