//! What a checkpoint is measured against: `copy BYTES` copies so many bytes once both places have been written to,
//! `write FOLDER BYTES` writes them to one new file and waits for the disk, `read FOLDER` reads all files in it;
//! `chunk RUN` writes a chunk as large as the first one of its newest checkpoint, and `unchecked RUN` the same without
//! a checksum. And what a restart reads: `restore RUN RANKS` finds the newest checkpoint and reads it on so many
//! threads as a run on so many ranks does. Prints seconds. Run by `benches/checkpoint.sh`.
//!
//! Invariant: the memory of values is made and written to outside the time that is told, and what is written is
//! removed after it. Without one of these words nothing is done, so that running all benches ends.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use ringfort::checkpoint::{Disk, Store, newest_to_read, write_part_copied};
use ringfort::clock;
use ringfort::copied::Copied;
use ringfort::decomp::Cuts;

/// Bytes that a plain program writes or reads at once.
const PIECE: usize = 1 << 20;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let seconds = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["copy", bytes] => copy(bytes.parse().expect("a number of bytes")),
        ["chunk", run] => chunk(Path::new(run), true),
        ["unchecked", run] => chunk(Path::new(run), false),
        ["read", folder] => read(Path::new(folder)),
        ["restore", run, ranks] => restore(Path::new(run), ranks.parse().expect("a number of ranks")),
        ["write", folder, bytes] => write(Path::new(folder), bytes.parse().expect("a number of bytes")),
        // `cargo bench` runs all of them: there is nothing to measure without the script.
        _ => return,
    };
    println!("{seconds}");
}

fn copy(bytes: usize) -> f64 {
    let from = vec![3_u8; bytes];
    let mut to = vec![5_u8; bytes];
    let began = clock::now();
    std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from));
    let seconds = clock::now().duration_since(began).as_secs_f64();
    assert!(to[bytes - 1] == 3, "it is copied");
    seconds
}

/// Writes as many values of type `f64` as the first chunk of the newest checkpoint of `run` has, as checkpoints are written.
fn chunk(run: &Path, checked: bool) -> f64 {
    let checkpoint = newest_to_read(&Disk, run, None, None).expect("listed").checkpoint.expect("a checkpoint");
    let meta = checkpoint.meta();
    let mut copied = Copied::<f64>::new(meta.cuts.block(0).cells(), 1);
    copied.touch();
    let folder = run.join("again");
    let path = folder.join(meta.chunk_name(0, 0));
    fs::create_dir_all(path.parent().expect("a chunk lies in a folder")).expect("folders");
    let began = clock::now();
    if checked {
        write_part_copied(&Disk, &folder, meta, (0, 0), &copied).expect("written");
    } else {
        let mut file = Disk.create(&path).expect("a new file");
        file.write_all(copied.bytes(0).expect("little-endian")).expect("written");
        file.sync().expect("on the disk");
    }
    let seconds = clock::now().duration_since(began).as_secs_f64();
    fs::remove_dir_all(folder).expect("removed");
    seconds
}

/// Reads every file below `folder`, one after the other.
fn read(folder: &Path) -> f64 {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let mut piece = vec![0; PIECE];
    let began = clock::now();
    for path in files {
        let mut file = File::open(path).expect("a file");
        while file.read(&mut piece).expect("read") > 0 {}
    }
    clock::now().duration_since(began).as_secs_f64()
}

/// Finds the newest checkpoint of `run`, whose values are of type `f64`, and reads it on `ranks` threads, each its own block.
fn restore(run: &Path, ranks: usize) -> f64 {
    let began = clock::now();
    let checkpoint = newest_to_read(&Disk, run, None, None).expect("listed").checkpoint.expect("a checkpoint");
    let found = clock::now();
    let meta = checkpoint.meta();
    let cuts = Cuts::new(meta.grid.points, [1, ranks, 1, 1]).expect("cuts");
    let block = |part| vec![vec![f64::NAN; cuts.block(part).cells()]; meta.components.len()];
    let mut blocks: Vec<_> = (0..ranks).map(block).collect();
    let made = clock::now();
    std::thread::scope(|threads| {
        for (part, block) in blocks.iter_mut().enumerate() {
            let (checkpoint, cuts) = (&checkpoint, &cuts);
            threads.spawn(move || {
                for (component, values) in block.iter_mut().enumerate() {
                    checkpoint.read_region::<f64>(component, &cuts.block(part), values).expect("whole");
                }
            });
        }
    });
    let seconds = (clock::now().duration_since(made) + found.duration_since(began)).as_secs_f64();
    assert!(blocks.iter().flatten().flatten().all(|value| value.is_finite()), "all values are there");
    seconds
}

fn write(folder: &Path, bytes: usize) -> f64 {
    let values: Vec<u8> = (0..bytes).map(|at| at.to_le_bytes()[0]).collect();
    let path = folder.join("plain.bytes");
    let began = clock::now();
    let mut file = File::create_new(&path).expect("a new file");
    values.chunks(PIECE).for_each(|piece| file.write_all(piece).expect("written"));
    file.sync_all().expect("on the disk");
    let seconds = clock::now().duration_since(began).as_secs_f64();
    fs::remove_file(&path).expect("removed");
    seconds
}
