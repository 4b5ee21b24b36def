//! Exact sums against whole numbers of any size, in any order, split and grouping.
//!
//! Input: random values, among them the largest, the least and such as cancel. Invariant: sums are compared
//! exactly, never by a tolerance; the oracle shares no code with what it judges.

use num_bigint::{BigInt, Sign};
use proptest::prelude::*;

use super::*;

/// `value` as a multiple of `2^-1074`.
fn whole(value: f64) -> BigInt {
    let bits = value.abs().to_bits();
    let (exponent, stored) = (bits >> 52, bits & ((1 << 52) - 1));
    let size = if exponent == 0 { BigInt::from(stored) } else { BigInt::from(stored | 1 << 52) << (exponent - 1) };
    if value < 0.0 { -size } else { size }
}

/// The exact sum of `values`, rounded as IEEE 754 says: the nearest of neighbours, found by search.
fn oracle(values: &[f64]) -> f64 {
    let sum: BigInt = values.iter().map(|&value| whole(value)).sum();
    let size = sum.magnitude().clone();
    // Bits of finite numbers that are not negative are in their order.
    let (mut low, mut high) = (0_u64, f64::INFINITY.to_bits());
    let number = |bits: u64| match f64::from_bits(bits) {
        // What overflows is as far as the next number would be.
        value if value.is_infinite() => BigInt::from(1) << (1024 + 1074),
        value => whole(value),
    };
    while high - low > 1 {
        let middle = low.midpoint(high);
        if number(middle).magnitude() <= &size { low = middle } else { high = middle }
    }
    let size = BigInt::from(size);
    let (below, above) = (&size - number(low), number(high) - &size);
    let bits = if below < above || (below == above && low % 2 == 0) { low } else { high };
    let value = f64::from_bits(bits);
    if sum.sign() == Sign::Minus { -value } else { value }
}

fn sum(values: &[f64]) -> ExactSum {
    let mut sum = ExactSum::default();
    values.iter().for_each(|value| sum.add(*value));
    sum
}

fn all_at_once(values: &[f64]) -> ExactSum {
    let mut sum = ExactSum::default();
    sum.add_all(values);
    sum
}

/// Any finite number, with more of those that lie at an end of something.
fn number() -> impl Strategy<Value = f64> {
    let bits = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite());
    let near = (-60..60_i32, any::<bool>(), 1.0..2.0_f64).prop_map(|(power, sign, mantissa)| {
        let value = mantissa * 2.0_f64.powi(power);
        if sign { -value } else { value }
    });
    let powers = (-1074..1024_i32, any::<bool>()).prop_map(|(power, sign)| {
        let value = if power < -1022 { f64::from_bits(1 << (power + 1074)) } else { 2.0_f64.powi(power) };
        if sign { -value } else { value }
    });
    let odd = prop::sample::select(vec![
        0.0,
        -0.0,
        f64::MAX,
        -f64::MAX,
        f64::MIN_POSITIVE,
        -f64::MIN_POSITIVE,
        f64::from_bits(1),
        -f64::from_bits(1),
        f64::from_bits((1 << 52) - 1),
        1.0,
        -1.0,
        1.0 + f64::EPSILON,
        1e16,
        -1e16,
    ]);
    prop_oneof![2 => bits, 4 => near, 1 => powers, 2 => odd]
}

fn numbers() -> impl Strategy<Value = Vec<f64>> {
    let plain = prop::collection::vec(number(), 0..1200);
    // Each with its opposite, but for a few: huge cancellation.
    let cancelled = (prop::collection::vec(number(), 1..300), prop::collection::vec(number(), 0..4))
        .prop_map(|(pairs, rest)| pairs.iter().flat_map(|&value| [value, -value]).chain(rest).collect());
    let alike = (prop::collection::vec(-1.0..1.0_f64, 0..1500), -300..300_i32)
        .prop_map(|(values, power)| values.iter().map(|value| value * 2.0_f64.powi(power)).collect());
    prop_oneof![plain, cancelled, alike]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn sums_are_exact_and_rounded_once(values in numbers()) {
        let own = sum(&values);
        let expected = oracle(&values);
        prop_assert_eq!(own.value().to_bits(), expected.to_bits(), "{} is not {}", own.value(), expected);
        prop_assert_eq!(all_at_once(&values).to_bytes(), own.to_bytes());
    }

    #[test]
    fn any_split_and_order_gives_the_same_bytes(values in numbers(), seed in any::<u64>(), parts in 1..9_usize) {
        let expected = sum(&values).to_bytes();
        let mut state = seed | 1;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let mut values = values;
        for at in (1..values.len()).rev() {
            values.swap(at, random(at + 1));
        }
        let mut all: Vec<ExactSum> = (0..parts).map(|_| ExactSum::default()).collect();
        let mut rest = values.as_slice();
        while !rest.is_empty() {
            let (some, others) = rest.split_at(1 + random(rest.len()));
            rest = others;
            let part = &mut all[random(parts)];
            if random(2) == 0 { part.add_all(some) } else { some.iter().for_each(|value| part.add(*value)) }
        }
        while all.len() > 1 {
            let (one, to) = (all.swap_remove(random(all.len())), random(all.len()));
            let sent = ExactSum::from_bytes(&one.to_bytes()).expect("own bytes");
            all[to].merge(&sent);
        }
        prop_assert_eq!(&all[0].to_bytes()[..], &expected[..]);
    }
}

#[test]
fn special_values_and_zeros() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    for (values, expected) in [
        (vec![], 0.0),
        (vec![-0.0], 0.0),
        (vec![-0.0, -0.0], 0.0),
        (vec![1.0, -1.0], 0.0),
        (vec![1.0, inf], inf),
        (vec![-inf, f64::MAX], -inf),
        (vec![inf, -inf], nan),
        (vec![nan, 1.0], nan),
        (vec![-nan, inf], nan),
        (vec![f64::MAX, f64::MAX], inf),
        (vec![f64::MAX, f64::MAX, -f64::MAX], f64::MAX),
        (vec![f64::from_bits(1); 3], f64::from_bits(3)),
    ] {
        for repeat in [1, 7, 8, 100] {
            // Zeros between fill whole batches, and change nothing.
            let spread: Vec<f64> = values.iter().flat_map(|&value| [vec![value], vec![0.0; repeat]].concat()).collect();
            for got in [sum(&values), all_at_once(&values), all_at_once(&spread), sum(&spread)] {
                assert_eq!(got.value().to_bits(), expected.to_bits(), "{values:?}");
                assert_eq!(got.to_bytes(), sum(&values).to_bytes(), "{values:?}");
            }
        }
    }
}

#[test]
fn many_of_the_largest_add_up_without_overflow() {
    let mut sum = ExactSum::default();
    for _ in 0..10_000 {
        sum.add(f64::MAX);
    }
    // Doubled over and over, as if from 10^4 * 2^40 values.
    for _ in 0..40 {
        let same = sum.clone();
        sum.merge(&same);
    }
    assert_eq!(sum.value(), f64::INFINITY);
    let mut opposite = ExactSum::default();
    for _ in 0..10_000 {
        opposite.add(-f64::MAX);
    }
    for _ in 0..40 {
        let same = opposite.clone();
        opposite.merge(&same);
    }
    assert_eq!(opposite.value(), f64::NEG_INFINITY);
    opposite.add(0.1);
    sum.merge(&opposite);
    assert_eq!(sum.value(), 0.1);
}

#[test]
fn bytes_are_pinned_and_checked() {
    let bytes = sum(&[1.5, -0.25, f64::from_bits(3)]).to_bytes();
    let mut expected = [0_u8; BYTES];
    // 1.25 = 5 * 2^-2: bit 1072 counts 2^-2, so bins 33 and below hold 5 * 2^(1072 - 1056).
    expected[1 + 4 * 33..][..4].copy_from_slice(&(5_u32 << 16).to_le_bytes());
    expected[1] = 3;
    assert_eq!(bytes, expected);
    let negative = sum(&[-f64::from_bits(1)]).to_bytes();
    assert!(negative[0] == 0 && negative[1..].iter().all(|&byte| byte == 0xff));
    assert_eq!(ExactSum::from_bytes(&negative).expect("own bytes").value(), -f64::from_bits(1));
    assert_eq!(sum(&[f64::NAN, f64::INFINITY]).to_bytes()[0], 0b011);
    let mut wrong = bytes;
    wrong[0] = 8;
    assert_eq!(ExactSum::from_bytes(&wrong), Err(NoSum));
}
