//! The kernel computes the same bits on one rank and on four, and what it computes is there.
//!
//! Input: `job.toml`. Output: checkpoints of both runs, compared bit by bit. Invariant: all that is written lies in a
//! folder that is gone after the test.

use std::process::Command;

#[test]
fn same_bits_on_one_rank_and_on_four() {
    let ringfort = |args: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_new-kernel")).args(args).status().expect("the program starts");
        assert!(run.success(), "{args:?}: {run}");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    for ranks in ["1", "4"] {
        ringfort(&["run", "job.toml", "--steps", "50", "--local-ranks", ranks, "--out", &at(ranks)]);
    }
    ringfort(&["checkpoint", "diff", &at("1"), &at("4")]);
    ringfort(&["checkpoint", "verify", &at("4")]);
}
