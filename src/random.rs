//! Random numbers for what may be anything: waits that spread, schedules of kills, draws of tests. No value of a
//! field depends on them.
//!
//! Input: a seed. Output: numbers without end. Invariant: they are a function of the seed alone, the same on every
//! machine, and those of the published generator: the same command meets the same kills because of that. They are no
//! secrets: keys and ids come from the system.

/// A small generator of random numbers: SplitMix64, from G. Steele, D. Lea and C. Flood, *Fast splittable pseudorandom
/// number generators*, OOPSLA 2014.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, or 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.bits() % bound }
    }

    /// Between 0 and 1, neither of them.
    pub fn unit(&mut self) -> f64 {
        // With one bit more the largest would round to 1.
        ((self.bits() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }
}

/// Spreads the bits of `word`.
#[must_use]
pub fn mix(word: u64) -> u64 {
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_were_published() {
        // S. Vigna's splitmix64.c from the seed 1234567.
        let mut rng = Rng::new(1_234_567);
        let found: [u64; 3] = std::array::from_fn(|_| rng.bits());
        assert_eq!(found, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
        assert_eq!(rng.below(0), 0);
        assert!((0..1000).all(|_| rng.below(7) < 7 && (0.0..1.0).contains(&rng.unit())));
    }
}
