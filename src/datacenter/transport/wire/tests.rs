//! Messages come out as they went in, and what lies about its lengths is refused.
//!
//! Input: one message of each kind, and damaged or random bytes. Invariant: `bodies` holds every kind of body, so a
//! new kind is added there, and to the range that the damage is drawn from. Lengths are refused before a file is
//! opened, and rubbish never panics.

use proptest::prelude::*;

use super::*;

const MOST: u64 = 1 << 20;

fn no_file(_: bool, _: Place) -> io::Result<Bytes> {
    Err(io::ErrorKind::NotFound.into())
}

fn bytes(packed: &Packed) -> Bytes {
    let all: Bytes = packed.chunks.concat().into();
    assert_eq!(all.len() as u64, packed.length);
    all
}

fn shell() -> Shell {
    Shell { block: Block(3), step: 12 }
}

fn handover() -> Handover {
    let value = |text: &'static str| Value::new(text.as_bytes());
    let shells = vec![(4, value("shell four")), (8, value(""))];
    Handover { step: 8, state: value("the state"), shells, snapshots: vec![(8, value("a snapshot"))] }
}

fn bodies() -> Vec<Body> {
    vec![
        Body::Ask(shell(), 4),
        Body::Give(shell(), Value::new(vec![7; 5000])),
        Body::Wait(shell()),
        Body::Later(shell(), 99),
        Body::Elsewhere(shell()),
        Body::Passed(shell(), 16),
        Body::AskBlock(Block(5), Epoch(2), 4),
        Body::GiveBlock(Block(5), handover()),
        Body::LaterBlock(Block(5), 98),
        Body::NoBlock(Block(5)),
    ]
}

/// All that a message says, its values' bytes included.
fn said(message: &Message) -> String {
    let values: Vec<Bytes> = match &message.body {
        Body::Give(_, value) => vec![value.bytes().clone()],
        Body::GiveBlock(_, Handover { state, shells, snapshots, .. }) => [state]
            .into_iter()
            .chain(shells.iter().chain(snapshots).map(|(_, value)| value))
            .map(|v| v.bytes().clone())
            .collect(),
        _ => Vec::new(),
    };
    format!("{message:?} {values:?}")
}

#[test]
fn messages_come_out_as_they_went_in() {
    for (lamport, body) in (1..).zip(bodies()) {
        let message = Message { lamport, body };
        let packed = pack(&message, |_, _| None).unwrap();
        assert_eq!(said(&unpack(&bytes(&packed), MOST, no_file).unwrap()), said(&message));
    }
}

#[test]
fn values_in_files_come_out_too() {
    for body in bodies() {
        let message = Message { lamport: 1, body };
        let mut files = Vec::new();
        let packed = pack(&message, |_, bytes| {
            files.push(bytes.clone());
            Some(Part::File(Place { number: files.len() as u64, turn: 7, length: bytes.len() as u64 }))
        });
        let open = |shell: bool, place: Place| {
            assert_eq!(shell, matches!(message.body, Body::Give(..)));
            let file = &files[usize::try_from(place.number).unwrap() - 1];
            assert_eq!((place.turn, place.length), (7, file.len() as u64));
            Ok(file.clone())
        };
        let packed = packed.unwrap();
        assert_eq!(packed.chunks.len(), 1);
        assert_eq!(said(&unpack(&bytes(&packed), MOST, open).unwrap()), said(&message));
    }
}

#[test]
fn lying_lengths_are_refused() {
    let give = |part, rest: usize| {
        let head = encode(&Head { lamport: 1, says: Says::Give((3, 12), part) }).unwrap();
        let length = u32::try_from(head.len()).unwrap().to_le_bytes();
        Bytes::from([&length[..], &head, &vec![0; rest]].concat())
    };
    assert!(unpack(&give(Part::Body(10), 10), MOST, no_file).is_ok());
    for (length, rest) in [(10, 9), (10, 11), (0, 1), (1, 0), (u64::MAX, 0), (u64::MAX, 10)] {
        assert!(matches!(unpack(&give(Part::Body(length), rest), MOST, no_file), Err(UnpackError::Lengths)));
    }
    let never = |_, _| -> io::Result<Bytes> { panic!("lengths are checked before a file is opened") };
    for length in [MOST + 1, u64::MAX] {
        let file = Part::File(Place { number: 1, turn: 1, length });
        assert!(matches!(unpack(&give(file, 0), MOST, never), Err(UnpackError::Lengths)));
    }
    let all = give(Part::Body(10), 10);
    for cut in 0..all.len() {
        assert!(unpack(&all.slice(..cut), MOST, no_file).is_err(), "cut at {cut}");
    }
    for head in [0, 1, 1 << 20, u32::MAX] {
        let bytes = [&u32::to_le_bytes(head)[..], &all[4..]].concat();
        assert!(unpack(&bytes.into(), MOST, no_file).is_err(), "a head of {head}");
    }
}

#[test]
fn sums_do_not_wrap_and_lists_are_bounded() {
    let block = |shells: Parts| {
        let says = Says::GiveBlock { block: 1, step: 2, state: Part::Body(0), shells, snapshots: Vec::new() };
        let head = encode(&Head { lamport: 1, says }).unwrap();
        Bytes::from([&u32::try_from(head.len()).unwrap().to_le_bytes()[..], &head].concat())
    };
    let half = (0, Part::Body(1 << 63));
    assert!(matches!(unpack(&block(vec![half, half]), u64::MAX, no_file), Err(UnpackError::Lengths)));
    let file = (0, Part::File(Place { number: 1, turn: 1, length: 1 }));
    assert!(matches!(unpack(&block(vec![file; MOST_FILES + 1]), MOST, no_file), Err(UnpackError::Lengths)));
    assert!(matches!(unpack(&block(vec![file; MOST_FILES]), MOST, no_file), Err(UnpackError::File(_))));
}

proptest! {
    #[test]
    fn rubbish_never_panics(rubbish in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = unpack(&rubbish.into(), MOST, no_file);
    }

    #[test]
    fn damage_never_panics_nor_grows(which in 0_usize..10, damage in proptest::collection::vec((0_usize..200, any::<u8>()), 1..6)) {
        let message = Message { lamport: 1, body: bodies().swap_remove(which) };
        let mut all = pack(&message, |_, _| None).unwrap().chunks.concat();
        for (at, byte) in damage {
            let at = at % all.len();
            all[at] = byte;
        }
        let length = all.len();
        if let Ok(message) = unpack(&all.into(), MOST, no_file) {
            prop_assert!(said(&message).len() < 16 * length + 400);
        }
    }
}
