//! Header of a NumPy array file (`.npy`, versions 1 and 2), read without trusting it.
//!
//! Source: NumPy enhancement proposal 1, "A simple file format for NumPy arrays".
//!
//! Input: the bytes of a file. Output: type, shape and where the values begin, or what is wrong. Invariant: a header
//! that is returned accounts for the file to the byte, so that every value of its shape can be read; no bytes make it
//! panic or take more memory than their length calls for.

/// Type of the values in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

/// What the header says, checked against the file's length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) shape: Vec<usize>,
    /// Where the values begin, in bytes.
    pub(super) start: usize,
}

/// One value of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar {
    Integer(i128),
    Float(f64),
}

const KINDS: [(&str, Kind); 11] = [
    ("b1", Kind::Bool),
    ("u1", Kind::U8),
    ("i1", Kind::I8),
    ("u2", Kind::U16),
    ("i2", Kind::I16),
    ("u4", Kind::U32),
    ("i4", Kind::I32),
    ("u8", Kind::U64),
    ("i8", Kind::I64),
    ("f4", Kind::F32),
    ("f8", Kind::F64),
];

impl Kind {
    /// Bytes of one value.
    pub(super) fn bytes(self) -> usize {
        match self {
            Kind::Bool | Kind::U8 | Kind::I8 => 1,
            Kind::U16 | Kind::I16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 => 8,
        }
    }

    /// True for whole numbers, which may be labels.
    pub(super) fn whole(self) -> bool {
        !matches!(self, Kind::F32 | Kind::F64)
    }

    /// Value number `index` of the little-endian `values`.
    pub(super) fn read(self, values: &[u8], index: usize) -> Scalar {
        fn at<const N: usize>(values: &[u8], index: usize) -> [u8; N] {
            let mut bytes = [0; N];
            bytes.copy_from_slice(&values[index * N..][..N]);
            bytes
        }
        match self {
            Kind::Bool => Scalar::Integer(i128::from(values[index] != 0)),
            Kind::U8 => Scalar::Integer(values[index].into()),
            Kind::I8 => Scalar::Integer(i8::from_le_bytes(at(values, index)).into()),
            Kind::U16 => Scalar::Integer(u16::from_le_bytes(at(values, index)).into()),
            Kind::I16 => Scalar::Integer(i16::from_le_bytes(at(values, index)).into()),
            Kind::U32 => Scalar::Integer(u32::from_le_bytes(at(values, index)).into()),
            Kind::I32 => Scalar::Integer(i32::from_le_bytes(at(values, index)).into()),
            Kind::U64 => Scalar::Integer(u64::from_le_bytes(at(values, index)).into()),
            Kind::I64 => Scalar::Integer(i64::from_le_bytes(at(values, index)).into()),
            Kind::F32 => Scalar::Float(f32::from_le_bytes(at(values, index)).into()),
            Kind::F64 => Scalar::Float(f64::from_le_bytes(at(values, index))),
        }
    }
}

/// Header of the file whose bytes are `file`, or what is wrong with it.
pub(super) fn header(file: &[u8]) -> Result<Header, String> {
    if !file.starts_with(b"\x93NUMPY") {
        return Err("it is no .npy file (it does not begin with \\x93NUMPY)".to_owned());
    }
    let short = || "the header is cut off; write the file again".to_owned();
    let (length, begin) = match file.get(6..8).ok_or_else(short)? {
        [1, _] => match file.get(8..10) {
            Some(&[a, b]) => (usize::from(u16::from_le_bytes([a, b])), 10),
            _ => return Err(short()),
        },
        [2, _] => match file.get(8..12) {
            Some(&[a, b, c, d]) => (usize::try_from(u32::from_le_bytes([a, b, c, d])).map_err(|_| short())?, 12),
            _ => return Err(short()),
        },
        other => return Err(format!("version {}.{} of .npy is not supported; use 1.0 or 2.0", other[0], other[1])),
    };
    let start = begin + length;
    let text = std::str::from_utf8(file.get(begin..start).ok_or_else(short)?);
    let text = text.map_err(|_| "the header is not text; write the file again".to_owned())?;
    let (kind, shape) = dictionary(text)?;
    let values = shape.iter().try_fold(kind.bytes(), |bytes, &extent| bytes.checked_mul(extent));
    let Some(wanted) = values.and_then(|bytes| bytes.checked_add(start)) else {
        return Err(format!("the header claims an impossible shape {shape:?}"));
    };
    if wanted != file.len() {
        let problem = format!("the header promises {wanted} bytes, shape {shape:?}, but the file has {}", file.len());
        return Err(format!("{problem}; it is cut short or damaged, write it again"));
    }
    Ok(Header { kind, shape, start })
}

fn dictionary(text: &str) -> Result<(Kind, Vec<usize>), String> {
    let lacks = |key: &str| format!("the header has no usable {key}; write the file again");
    let after = |key: &str| {
        let at = text.find(&format!("'{key}':"));
        at.map(|at| text[at + key.len() + 3..].trim_start()).ok_or_else(|| lacks(key))
    };
    let descr = after("descr")?.strip_prefix('\'').and_then(|rest| rest.split('\'').next());
    let descr =
        descr.ok_or_else(|| "records of several values are not supported; use one number per point".to_owned())?;
    let kind = kind(descr)?;
    match after("fortran_order")? {
        order if order.starts_with("False") => {}
        order if order.starts_with("True") => {
            return Err("it is in Fortran order; write numpy.ascontiguousarray(array)".to_owned());
        }
        _ => return Err(lacks("fortran_order")),
    }
    let inside = after("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (inside, _) = inside.ok_or_else(|| lacks("shape"))?;
    let entries: Vec<&str> = inside.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    if entries.len() > 32 {
        return Err(lacks("shape"));
    }
    let shape = entries.iter().map(|entry| entry.parse::<usize>().map_err(|_| lacks("shape")));
    Ok((kind, shape.collect::<Result<_, _>>()?))
}

fn kind(descr: &str) -> Result<Kind, String> {
    let known = || KINDS.map(|(name, _)| name).join(", ");
    let unsupported = || format!("values of type `{descr}` are not supported; use little-endian {}", known());
    let (order, name) = descr.split_at_checked(1).ok_or_else(unsupported)?;
    let kind = KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind).ok_or_else(unsupported)?;
    match order {
        "<" => Ok(kind),
        "|" if kind.bytes() == 1 => Ok(kind),
        ">" => Err(format!("values of type `{descr}` are big-endian; write array.astype('<{name}')")),
        _ => Err(unsupported()),
    }
}

#[cfg(test)]
mod tests;
