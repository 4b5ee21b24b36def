//! Values at points (`[[probe]]`), in two halves: what lies in a block, and the lines of all blocks together.
//!
//! Input: each block's values at the points it holds. Output: lines of `probes/NAME.csv`. Invariant: partials in any order,
//! repeated or not, cut anywhere, give the same bytes.

use std::collections::BTreeMap;

use super::reduce::shortest;
use super::rows::Reader;
use super::sealed::{self, Words};
use crate::grid::{AXES, Region};
use crate::job::Probe;

/// First line of a probe's file.
pub const HEADER: &str = "step,time,value";
/// First bytes of a partial.
const MAGIC: [u8; 8] = *b"RFPROBE1";

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Bytes that are no partial, or one of something else.
    #[error("a part of the probes is damaged: {problem}; compute it again")]
    Damaged {
        /// What is wrong.
        problem: &'static str,
    },
    /// Two blocks that disagree.
    #[error("two parts give different values for probe {name} at step {step}; compute both again")]
    Conflict {
        /// Name of the probe.
        name: String,
        /// The step.
        step: u64,
    },
    /// A point that no block has.
    #[error("the value of probe {name} at step {step} is missing; wait for the parts of all blocks")]
    Missing {
        /// Name of the probe.
        name: String,
        /// The step.
        step: u64,
    },
}

/// Name of the probe's file within the run's folder.
#[must_use]
pub fn file_name(probe: &Probe) -> String {
    format!("probes/{}.csv", probe.name)
}

/// What `block` gives at `step` for the probes `due`, numbers of `probes`, as bytes: step, then number and value of each
/// that lies in the block.
#[must_use]
pub fn partial(probes: &[Probe], due: &[usize], (step, block): (u64, &Region), read: Reader<'_>) -> Vec<u8> {
    let mut content = step.to_le_bytes().to_vec();
    for &number in due {
        let point = Region { start: probes[number].cell, extent: [1; AXES] };
        if block.intersection(&point).is_some() {
            let mut value = [0.0];
            read(probes[number].slot, &point, &mut value);
            content.extend((number as u64).to_le_bytes());
            content.extend(value[0].to_bits().to_le_bytes());
        }
    }
    sealed::seal(MAGIC, &content)
}

/// Values of the probes `due` at `step`, in their order, from the partials of all blocks.
///
/// # Errors
///
/// [`ProbeError`] if a partial is damaged, a value is missing, or two disagree.
pub fn finish(
    probes: &[Probe],
    (step, due): (u64, &[usize]),
    partials: &[impl AsRef<[u8]>],
) -> Result<Vec<f64>, ProbeError> {
    let mut found: BTreeMap<usize, u64> = BTreeMap::new();
    let name = |number: usize| probes[number].name.clone();
    for bytes in partials {
        for (number, bits) in values(bytes.as_ref(), step).map_err(|problem| ProbeError::Damaged { problem })? {
            if !due.contains(&number) {
                return Err(ProbeError::Damaged { problem: "it holds a probe that is not due" });
            }
            if found.insert(number, bits).is_some_and(|before| before != bits) {
                return Err(ProbeError::Conflict { name: name(number), step });
            }
        }
    }
    let value = |number: &usize| found.get(number).map(|&bits| f64::from_bits(bits));
    due.iter().map(|number| value(number).ok_or_else(|| ProbeError::Missing { name: name(*number), step })).collect()
}

/// Numbers of probes and bits of their values in a partial of `step`.
fn values(bytes: &[u8], step: u64) -> Result<Vec<(usize, u64)>, &'static str> {
    let mut words = Words(sealed::open(MAGIC, bytes)?);
    if words.word()? != step {
        return Err("it is of another step");
    }
    let mut all = Vec::new();
    while !words.0.is_empty() {
        all.push((words.index()?, words.word()?));
    }
    Ok(all)
}

/// The line of a probe's file.
#[must_use]
pub fn line((step, time): (u64, f64), value: f64) -> String {
    format!("{step},{},{}\n", shortest(time), shortest(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(name: &str, cell: usize) -> Probe {
        Probe { name: name.into(), field: "a".into(), slot: 0, cell: [0, 0, 0, cell], every: 1 }
    }

    #[test]
    fn parts_in_any_order_give_the_values_and_flaws_are_named() {
        let probes = [probe("a", 3), probe("b", 0), probe("c", 3)];
        let block = |from: usize, extent| Region { start: [0, 0, 0, from], extent: [1, 1, 1, extent] };
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        let mut read = |_: usize, region: &Region, out: &mut [f64]| out[0] = -0.1 * region.start[3] as f64;
        let mut part = |from, extent| partial(&probes, &[0, 2, 1], (4, &block(from, extent)), &mut read);
        let (low, high, all) = (part(0, 2), part(2, 2), part(0, 4));
        let expected = Ok(vec![-0.1 * 3.0, -0.1 * 3.0, -0.0]);
        for parts in [vec![&low, &high], vec![&high, &low, &high], vec![&all]] {
            assert_eq!(finish(&probes, (4, &[0, 2, 1]), &parts), expected);
        }
        let end = |parts: &[&Vec<u8>]| finish(&probes, (4, &[0, 2, 1]), parts).map_err(|error| error.to_string());
        assert!(end(&[&high]).unwrap_err().contains("probe b at step 4 is missing"));
        let other = partial(&probes, &[1], (4, &block(0, 1)), &mut |_, _, out| out[0] = 7.0);
        assert!(end(&[&all, &other]).unwrap_err().contains("different values for probe b"));
        assert!(finish(&probes, (5, &[0, 2, 1]), &[&all]).is_err());
        assert!(finish(&probes, (4, &[0, 2]), &[&all]).is_err());
        for at in 0..all.len() {
            let mut damaged = all.clone();
            damaged[at] ^= 0x10;
            assert!(end(&[&damaged]).is_err() && end(&[&all[..at].to_vec()]).is_err(), "{at}");
        }
        assert_eq!(line((3, 0.1 + 0.2), -0.0), "3,0.30000000000000004,-0\n");
    }
}
