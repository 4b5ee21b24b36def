//! How fast this machine copies memory: what a stencil that does little arithmetic is measured against.
//!
//! Input: a number of threads, and seconds to spend. Output: bytes per second, read and written, of all threads
//! together. Invariant: each thread makes its own memory and touches it before it is timed; time goes from the first
//! thread to begin to the last to end, so that threads that take turns do not count as if they ran together; each
//! makes at least one copy. All memory is given back.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use crate::clock;

/// Values copied, by all threads together: 64 MiB read and as much written, more than most caches hold.
const VALUES: usize = 8 << 20;
/// Bytes that measuring takes for a moment.
pub const COPIED_BYTES: usize = 2 * VALUES * size_of::<f64>();
/// Fewest values of one thread.
const LEAST: usize = 1 << 16;

/// Bytes per second, read and written, that `threads` threads copy together. Takes about `budget_s` seconds; a few
/// hundredths are enough; at least one copy is timed.
#[must_use]
pub fn copy_bandwidth(threads: usize, budget_s: f64) -> f64 {
    let threads = threads.max(1);
    let values = (VALUES / threads).max(LEAST);
    let start = clock::now();
    let together = Barrier::new(threads);
    let one = || {
        // Written before the copy, so that the memory is there.
        let from = black_box(vec![1.0_f64; values]);
        let mut to = black_box(vec![2.0_f64; values]);
        together.wait();
        let begin = clock::now();
        let mut copies = 0_u32;
        loop {
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
            copies += 1;
            if start.elapsed().as_secs_f64() >= budget_s {
                break;
            }
        }
        (begin, clock::now(), copies)
    };
    let spans: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    // From the first to begin to the last to end: threads that had to take turns are not counted as if they ran together.
    let (first, last) = (spans.iter().map(|span| span.0).min(), spans.iter().map(|span| span.1).max());
    let seconds = first.zip(last).map_or(0.0, |(first, last)| last.duration_since(first).as_secs_f64());
    let copies: f64 = spans.iter().map(|span| f64::from(span.2)).sum();
    #[allow(clippy::cast_precision_loss, reason = "a few million bytes")]
    let bytes = (2 * size_of::<f64>() * values) as f64;
    copies * bytes / seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_neither_still_nor_magic() {
        for threads in [1, 2] {
            let start = clock::now();
            let bandwidth = copy_bandwidth(threads, 0.03);
            println!("{threads}: {} GB/s in {} s", bandwidth / 1e9, start.elapsed().as_secs_f64());
            assert!((1e8..1e13).contains(&bandwidth), "{bandwidth}");
        }
    }
}
