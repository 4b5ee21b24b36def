//! What a checkpoint is measured against: `copy BYTES` copies so many bytes once both places have been written to, `write FOLDER
//! BYTES` writes them to one new file and waits for the disk. Prints seconds. Run by `benches/checkpoint.sh`.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use ringfort::clock;

/// Bytes written at once, as checkpoints are.
const PIECE: usize = 1 << 20;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let seconds = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["copy", bytes] => copy(bytes.parse().expect("a number of bytes")),
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

fn write(folder: &Path, bytes: usize) -> f64 {
    let values: Vec<u8> = (0..bytes).map(|at| at.to_le_bytes()[0]).collect();
    let path = folder.join("plain");
    let began = clock::now();
    let mut file = File::create_new(&path).expect("a new file");
    values.chunks(PIECE).for_each(|piece| file.write_all(piece).expect("written"));
    file.sync_all().expect("on the disk");
    let seconds = clock::now().duration_since(began).as_secs_f64();
    fs::remove_file(&path).expect("removed");
    seconds
}
