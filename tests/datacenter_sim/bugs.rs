//! Tests of the tests: each planted mistake must be caught.

use ringfort::datacenter::protocol::Bugs;

use super::scenario::run_of;

/// Worlds in which a mistake must be caught.
const SEEDS: u64 = 10_000;

macro_rules! bugs {
    ($($name:ident),+ $(,)?) => { [$((stringify!($name), Bugs { $name: true, ..Bugs::default() })),+] };
}

#[test]
fn planted_mistakes_are_caught() {
    let all = bugs![
        shells_go_once_read,
        shells_go_next_round,
        no_fence,
        wildcard_fence,
        uncommon_steps,
        stale_reads,
        no_read_back,
        wall_clock_lease,
        manifest_before_chunks,
        epoch_not_raised,
        damage_trusted,
        ledger_ack_trusted,
        blob_ack_trusted,
        own_outage_counts,
        lead_unbounded,
        chunks_overwritten,
        one_generation_kept,
        manifest_deleted_last,
        asked_only_once,
        budget_ignored,
        busy_spends_budget,
        late_reader_served,
        side_line_not_restarted,
        handover_without_snapshots,
        poison_not_counted,
        snapshots_go_once_listed,
        alone_among_others,
        stolen_from_the_forgetful,
    ];
    let mut missed = Vec::new();
    for (name, bugs) in all {
        let one_worker = bugs.stolen_from_the_forgetful;
        match (0..SEEDS).find_map(|seed| Some((seed, run_of(seed, bugs, one_worker).failed?))) {
            Some((seed, what)) => println!("{name}: seed {seed}: {}", what.chars().take(150).collect::<String>()),
            None => missed.push(name),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
