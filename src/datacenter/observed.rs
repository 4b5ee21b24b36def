//! What observers saw of one block at one step: named by both, made any number of times, put together by whoever has
//! all.
//!
//! Input: a block's state. Output: bytes that are a function of it alone. Invariant: for one block and step all
//! workers make the same bytes, so it does not matter whose are kept; reading bytes never panics, whatever they are.

use bytes::Bytes;

use super::part::{Part, Whole};
use crate::advance::library::Precise;
use crate::grid::Region;
use crate::observe::output::{self, Layout};
use crate::observe::{image, probe, reduce};
use crate::plan::Due;

/// What was seen of one block at one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Parts of images that are due, by their number in the job.
    pub images: Vec<(usize, Vec<u8>)>,
    /// What the block gives for the reduces that are due; empty if none is.
    pub sums: Vec<u8>,
    /// What the block gives for the probes that are due; empty if none is.
    pub probes: Vec<u8>,
    /// Parts of the fields of outputs that are due, output after output.
    pub fields: Vec<Vec<u8>>,
}

/// Stand for sums, probes and fields where images have their numbers.
const SUMS: u64 = u64::MAX;
const PROBES: u64 = u64::MAX - 1;
const FIELD: u64 = u64::MAX - 2;

impl Observed {
    /// What is due of `part` at `step`; none if nothing is.
    #[must_use]
    pub fn of<T: Precise>(whole: &Whole, part: &Part<T>, (step, due): (u64, &Due)) -> Option<Self> {
        if due.images.is_empty() && !due.appends() {
            return None;
        }
        let job = &whole.job;
        let block = part.block();
        let mut read = |slot: usize, region: &Region, out: &mut [f64]| part.read(slot, region, out);
        let mut seen = Self::default();
        for &number in &due.images {
            let partial = image::partial(&job.images[number], &job.grid, &block, &mut read);
            seen.images.push((number, partial.map(|partial| partial.to_bytes()).unwrap_or_default()));
        }
        if !due.reduces.is_empty() {
            seen.sums = reduce::partial(&job.grid, &job.reduces, &due.reduces, (step, &block), &mut read).to_bytes();
        }
        if !due.probes.is_empty() {
            seen.probes = probe::partial(&job.probes, &due.probes, (step, &block), &mut read);
        }
        for &number in &due.outputs {
            let layout = Layout::new(job, &job.outputs[number], whole.dt);
            let fields = 0..layout.fields.len();
            seen.fields.extend(fields.map(|field| output::partial(&layout, field, (step, &block), &mut read)));
        }
        Some(seen)
    }

    /// As bytes: number, length and bytes of each image, of the sums, of the probes, and of each field.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = Vec::new();
        let images = self.images.iter().map(|(number, partial)| (*number as u64, partial));
        let fields = self.fields.iter().map(|partial| (FIELD, partial));
        for (number, partial) in images.chain([(SUMS, &self.sums), (PROBES, &self.probes)]).chain(fields) {
            bytes.extend(number.to_le_bytes());
            bytes.extend((partial.len() as u64).to_le_bytes());
            bytes.extend(partial);
        }
        bytes.into()
    }

    /// From bytes; none if they are no such thing.
    #[must_use]
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut observed = Self::default();
        while !bytes.is_empty() {
            let (number, rest) = bytes.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let number = u64::from_le_bytes(*number);
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (partial, rest) = rest.split_at_checked(length)?;
            match number {
                SUMS => observed.sums = partial.to_vec(),
                PROBES => observed.probes = partial.to_vec(),
                FIELD => observed.fields.push(partial.to_vec()),
                number => observed.images.push((usize::try_from(number).ok()?, partial.to_vec())),
            }
            bytes = rest;
        }
        Some(observed)
    }
}
