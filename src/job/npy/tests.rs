//! Headers of all types, headers that lie, and files cut or changed anywhere.
//!
//! Invariant: every length below the right one is tried and refused; a changed byte gives an error or a header that
//! still accounts for the file to the byte.

use super::*;

fn file(version: u8, header: &str, values: usize) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    let length = u32::try_from(header.len()).unwrap().to_le_bytes();
    bytes.extend(&length[..if version == 1 { 2 } else { 4 }]);
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + values, 0);
    bytes
}

fn dict(descr: &str, order: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}   \n")
}

#[test]
fn both_versions_and_all_types() {
    for version in [1, 2] {
        for (name, kind) in KINDS {
            let bytes = file(version, &dict(&format!("<{name}"), "False", "(2, 3)"), 6 * kind.bytes());
            let read = header(&bytes).unwrap();
            assert_eq!((read.kind, read.shape), (kind, vec![2, 3]));
            assert_eq!(read.start + 6 * kind.bytes(), bytes.len());
        }
    }
    assert_eq!(header(&file(1, &dict("|u1", "False", "(4,)"), 4)).unwrap().shape, [4]);
    assert_eq!(header(&file(1, &dict("<f4", "False", "()"), 4)).unwrap().shape, [0; 0]);
}

#[test]
fn every_cut_is_an_error() {
    for version in [1, 2] {
        let whole = file(version, &dict("<i2", "False", "(2, 2)"), 8);
        for length in 0..whole.len() {
            assert!(header(&whole[..length]).is_err(), "{length} bytes");
        }
        assert!(header(&[whole.as_slice(), &[0]].concat()).is_err());
    }
}

#[test]
fn headers_that_lie_or_ask_too_much() {
    for (text, words) in [
        (dict(">f8", "False", "(1,)"), "big-endian"),
        (dict("<f8", "True", "(1,)"), "Fortran order"),
        (dict("<c16", "False", "(1,)"), "not supported"),
        (dict("", "False", "(1,)"), "not supported"),
        (dict("é8", "False", "(1,)"), "not supported"),
        (dict("<f8", "Perhaps", "(1,)"), "no usable fortran_order"),
        (dict("<f8", "False", "(-1,)"), "no usable shape"),
        (dict("<f8", "False", "1,"), "no usable shape"),
        (dict("<f8", "False", "(99999999999999999999,)"), "no usable shape"),
        (dict("<f8", "False", "(9999999999, 9999999999)"), "impossible shape"),
        (dict("<f8", "False", "(2305843009213693951,)"), "impossible shape"),
        (dict("<f8", "False", "(1000000000,)"), "promises"),
        ("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}".to_owned(), "records"),
        ("{}".to_owned(), "no usable descr"),
        (String::new(), "no usable descr"),
    ] {
        let error = header(&file(1, &text, 8)).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
    assert!(header(&file(3, &dict("<f8", "False", "(1,)"), 8)).unwrap_err().contains("version 3.0"));
    assert!(header(b"PK\x03\x04").unwrap_err().contains("no .npy file"));
}

proptest::proptest! {
    #[test]
    fn no_flip_panics(at in 0..90_usize, byte: u8) {
        let mut bytes = file(1, &dict("<i2", "False", "(2, 2)"), 8);
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(read) = header(&bytes) {
            proptest::prop_assert_eq!(read.shape.iter().product::<usize>() * read.kind.bytes(), bytes.len() - read.start);
        }
    }
}

#[test]
fn values_are_little_endian() {
    assert_eq!(Kind::I16.read(&[0, 0, 0xfe, 0xff], 1), Scalar::Integer(-2));
    assert_eq!(Kind::U64.read(&[0xff; 8], 0), Scalar::Integer(i128::from(u64::MAX)));
    assert_eq!(Kind::Bool.read(&[0, 7], 1), Scalar::Integer(1));
    assert_eq!(Kind::F32.read(&1.5_f32.to_le_bytes(), 0), Scalar::Float(1.5));
    assert_eq!(Kind::F64.read(&(-2.5_f64).to_le_bytes(), 0), Scalar::Float(-2.5));
}
