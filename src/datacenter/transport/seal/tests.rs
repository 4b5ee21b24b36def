//! Seals open for their own request alone, and counters are heard once.
//!
//! Invariant: no flipped bit, cut or addition leaves a seal that opens, wherever it is; keys and claims are fixed, so
//! each test does the same every time.

use super::*;

fn key() -> Key {
    Key::new(&Secret::of(b"a secret of the tests").unwrap())
}

fn claim() -> Claim {
    let (nonce, digest) = (blake3::hash(b"nonce"), blake3::hash(b"body"));
    Claim { from: WorkerId(0xfedc_ba98_7654_3210), counter: 7, nonce, digest }
}

#[test]
fn a_seal_opens_for_its_own_request_alone() {
    let seal = key().seal(&claim(), &Method::POST, "/message", 4);
    assert_eq!(key().open(&seal, &Method::POST, "/message", 4), Some(claim()));
    assert_eq!(key().open(&seal, &Method::PUT, "/message", 4), None);
    assert_eq!(key().open(&seal, &Method::POST, "/messages", 4), None);
    assert_eq!(key().open(&seal, &Method::POST, "/message?a", 4), None);
    assert_eq!(key().open(&seal, &Method::POST, "/message", 5), None);
    let other = Key::new(&Secret::of(b"another secret of the tests").unwrap());
    assert_eq!(other.open(&seal, &Method::POST, "/message", 4), None);
}

#[test]
fn no_flipped_bit_and_no_cut_goes_through() {
    let seal = key().seal(&claim(), &Method::POST, "/message", 4);
    for at in 0..seal.len() {
        for bit in 0..8 {
            let mut bytes = seal.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            assert_eq!(key().open(&text, &Method::POST, "/message", 4), None, "{text}");
        }
        assert_eq!(key().open(&seal[..at], &Method::POST, "/message", 4), None);
    }
    for longer in [format!("{seal}."), format!("{seal}0"), format!(" {seal}"), format!("+{}", &seal[1..])] {
        assert_eq!(key().open(&longer, &Method::POST, "/message", 4), None);
    }
}

#[test]
fn counters_rise() {
    let counters = Counters::default();
    let at = |counter, from| Claim { counter, from: WorkerId(from), ..claim() };
    assert_eq!(counters.heard(&at(5, 1), false), Heard::New);
    assert_eq!(counters.heard(&at(5, 1), true), Heard::New);
    assert_eq!(counters.heard(&at(5, 1), true), Heard::Before);
    assert_eq!(counters.heard(&at(4, 1), true), Heard::Before);
    assert_eq!(counters.heard(&at(4, 2), true), Heard::New);
    assert_eq!(counters.heard(&at(9, 1), true), Heard::New);
    for sender in 3..=MOST_SENDERS as u64 {
        assert_eq!(counters.heard(&at(1, sender), true), Heard::New);
    }
    assert_eq!(counters.heard(&at(1, u64::MAX), true), Heard::Full);
    assert_eq!(counters.heard(&at(10, 1), true), Heard::New, "those known go on");
}
