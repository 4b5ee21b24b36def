//! A manifest that does not agree with the receipts: deleted in between, or computed wrong.

use std::collections::BTreeMap;

use ringfort::datacenter::protocol::{
    Action, Blob, BlobOp, BlobReply, Block, Bugs, Ending, Event, Moment, Worker, WorkerId, manifest,
};

use super::scenario::Shape;

/// A worker that is asked nothing, and what it does.
struct Bench {
    worker: Worker,
    now_ms: u64,
    ended: Option<Ending>,
}

impl Bench {
    fn new() -> Self {
        let world = Shape::new([1, 2], (12, 24)).world(Bugs::default(), 1);
        let moment = Moment { now_ms: 0, wall_ms: 0 };
        Self { worker: Worker::new(world.config.clone(), WorkerId(1), 1, moment), now_ms: 0, ended: None }
    }

    /// What it asks the blobs after `event`.
    fn step(&mut self, event: Event) -> Vec<BlobOp> {
        let moment = Moment { now_ms: self.now_ms, wall_ms: self.now_ms };
        let mut asked = Vec::new();
        for action in self.worker.step(moment, event) {
            match action {
                Action::Blob(op) => asked.push(op),
                Action::Exit(ending) => self.ended = Some(ending),
                _ => {}
            }
        }
        asked
    }

    /// Gives the next listing that it asks for, and says whether the manifest is asked for then.
    fn lists(&mut self, names: &[Blob], step: u64) -> bool {
        let mut asked = Vec::new();
        for _ in 0..10_000 {
            self.now_ms += 1;
            asked = self.step(Event::Tick);
            if asked.iter().any(|op| matches!(op, BlobOp::List(_))) {
                break;
            }
        }
        let number = asked.iter().find_map(|op| if let BlobOp::List(number) = op { Some(*number) } else { None });
        self.now_ms += 1;
        let asked = self.step(Event::Blob(BlobReply::Listed(number.expect("it looks now and then"), names.to_vec())));
        asked.iter().any(|op| matches!(op, BlobOp::Get(Blob::Manifest { step: of }) if *of == step))
    }

    fn reads(&mut self, step: u64, digests: &BTreeMap<Block, u64>) {
        self.step(Event::Blob(BlobReply::Got(Blob::Manifest { step }, Some(manifest(step, digests)))));
    }
}

#[test]
fn a_manifest_in_doubt_is_read_again() {
    let step = Shape::new([1, 2], (12, 24)).every;
    let digests = |second| BTreeMap::from([(Block(0), 5), (Block(1), second)]);
    let receipt = |block, digest| Blob::Receipt { step, block: Block(block), digest };
    let all = [Blob::Manifest { step }, receipt(0, 5), receipt(1, 6)];
    for goes in [true, false] {
        let mut bench = Bench::new();
        assert!(bench.lists(&all, step));
        // The chunk of the second block and its receipt are gone by now: what it was, nobody can tell.
        bench.reads(step, &digests(7));
        assert_eq!((bench.ended.as_ref(), bench.worker.newest()), (None, 0));
        let later = if goes { &all[..2] } else { &all[..] };
        assert!(bench.lists(later, step));
        bench.reads(step, &digests(7));
        if goes {
            assert_eq!((bench.ended, bench.worker.newest()), (None, step));
        } else {
            // It is still there, and differs.
            assert!(matches!(bench.ended, Some(Ending::Alarm(words)) if words.contains("computed twice")));
        }
    }
}

#[test]
fn a_doubt_counts_for_the_next_reading_only() {
    let step = Shape::new([1, 2], (12, 24)).every;
    let digests = |second| BTreeMap::from([(Block(0), 5), (Block(1), second)]);
    let blob = Blob::Manifest { step };
    let receipt = |block, digest| Blob::Receipt { step, block: Block(block), digest };
    let all = [blob, receipt(0, 5), receipt(1, 6)];
    let mut bench = Bench::new();
    assert!(bench.lists(&all, step));
    bench.reads(step, &digests(7));
    // Then it is gone; it is written anew, and once more everything is deleted just before it is read.
    assert!(bench.lists(&all[..2], step));
    bench.step(Event::Blob(BlobReply::Got(blob, None)));
    bench.lists(&all, step);
    let asked = bench.step(Event::Blob(BlobReply::Stored(blob)));
    assert!(asked.iter().any(|op| matches!(op, BlobOp::Get(of) if *of == blob)));
    bench.reads(step, &digests(7));
    assert_eq!((bench.ended.as_ref(), bench.worker.newest()), (None, 0));
    // A second doubt in turn counts.
    assert!(bench.lists(&all, step));
    bench.reads(step, &digests(7));
    assert!(matches!(bench.ended, Some(Ending::Alarm(words)) if words.contains("computed twice")));
}
