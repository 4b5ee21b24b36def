//! Blobs, and generations as checkpoints: the folders of torus mode to the byte, whatever is damaged, deleted or raced for.

#![cfg(feature = "datacenter")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

mod checkpoint_common;

#[path = "blobs/damage.rs"]
mod damage;
#[path = "blobs/delete.rs"]
mod delete;
#[path = "blobs/others.rs"]
mod others;
#[path = "blobs/plain.rs"]
mod plain;
#[path = "blobs/same.rs"]
mod same;

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use checkpoint_common::{Quick, values};
use ringfort::checkpoint::{self, Meta, Precision};
use ringfort::datacenter::blobs::{Blobs, Generations, Put};
use ringfort::datacenter::protocol::{Blob, Block, Value, manifest};
use ringfort::grid::Extents;

pub(crate) const STEP: u64 = 20;

pub(crate) fn run<V>(test: impl Future<Output = V>) -> V {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}

/// Description of the state after [`STEP`] steps.
pub(crate) fn meta(axes: usize, points: Extents, parts: Extents, precision: Precision) -> Meta {
    Meta { precision, ..checkpoint_common::meta(axes, points, parts, STEP) }
}

/// Three by two blocks, uneven along both axes.
pub(crate) fn small() -> Meta {
    meta(2, [1, 1, 7, 9], [1, 1, 3, 2], Precision::Float64)
}

pub(crate) fn at(meta: &Meta, step: u64) -> Meta {
    Meta { step, time: step as f64 * meta.dt, ..meta.clone() }
}

/// Generations in `dir` of the run that `of` describes.
pub(crate) fn generations(dir: &Path, of: &Meta) -> Generations {
    let of = of.clone();
    Generations::new(Blobs::local(dir).unwrap(), move |step| at(&of, step)).unwrap()
}

/// The protocol's value of the chunk of `block`.
pub(crate) fn chunk(meta: &Meta, block: usize) -> Bytes {
    let region = meta.cuts.block(block);
    let mut all = Vec::new();
    for component in 0..meta.components.len() {
        match meta.precision {
            Precision::Float32 => {
                all.extend(values::<f32>(meta, component, &region).into_iter().flat_map(f32::to_le_bytes));
            }
            Precision::Float64 => {
                all.extend(values::<f64>(meta, component, &region).into_iter().flat_map(f64::to_le_bytes));
            }
        }
    }
    all.into()
}

/// The protocol's manifest.
pub(crate) fn expected(meta: &Meta) -> Value {
    let digest = |block| (Block(block), Value::new(chunk(meta, block)).digest());
    manifest(meta.step, &(0..meta.cuts.count()).map(digest).collect())
}

/// Writes, reads back and confirms one block.
pub(crate) async fn put_block(generations: &Generations, meta: &Meta, block: usize) {
    let value = Value::new(chunk(meta, block));
    generations.put_chunk(meta.step, Block(block), value.bytes().clone(), false).await.unwrap();
    let read = generations.get_chunk(meta.step, Block(block)).await.unwrap().unwrap();
    assert!(read.intact() && read == value);
    let records = generations.records(meta.step, Block(block), read.bytes()).await.unwrap();
    generations.put_receipt(meta.step, Block(block), read.digest(), &records).await.unwrap();
}

/// Writes a whole generation.
pub(crate) async fn put_all(generations: &Generations, meta: &Meta) {
    for block in (0..meta.cuts.count()).rev() {
        put_block(generations, meta, block).await;
    }
    assert_eq!(generations.put_manifest(meta.step, false).await.unwrap(), Put::Stored);
}

/// What torus mode writes.
pub(crate) fn torus(dir: &Path, meta: &Meta) {
    match meta.precision {
        Precision::Float32 => checkpoint_common::write::<f32>(&Quick, dir, meta).unwrap(),
        Precision::Float64 => checkpoint_common::write::<f64>(&Quick, dir, meta).unwrap(),
    };
}

/// All files below `folder` but owner records, with their contents.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = checkpoint_common::files(folder).into_iter().filter(|name| !name.ends_with("OWNER"));
    files.map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

pub(crate) fn folder(dir: &Path) -> PathBuf {
    checkpoint::folder(dir, STEP)
}

/// Names in the listing: blocks with a chunk and with a receipt, and whether there is a manifest, all of [`STEP`].
pub(crate) async fn listed(generations: &Generations) -> (Vec<usize>, Vec<usize>, bool) {
    let mut all = (Vec::new(), Vec::new(), false);
    for blob in generations.list().await.unwrap() {
        assert_eq!(blob.step(), STEP);
        match blob {
            Blob::Chunk { block, .. } => all.0.push(block.0),
            Blob::Receipt { block, .. } => all.1.push(block.0),
            Blob::Manifest { .. } => all.2 = true,
        }
    }
    all.0.sort_unstable();
    all.1.sort_unstable();
    all
}
