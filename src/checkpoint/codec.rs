//! Plain structs to bytes and back, for the manifest and for messages between ranks or workers.
//!
//! The bytes are those of bincode 1: little-endian, numbers of fixed width, lengths as `u64`. Field values never pass
//! through here. Decoding takes no more memory than a small multiple of [`LIMIT`]. Invariant: what is more than
//! [`LIMIT`] bytes is refused in both directions, and so are bytes that go on after the value. Manifests on disk have
//! this encoding: another `config`, or another order of a struct's fields, needs a new version of theirs.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Most bytes that one value may take.
pub const LIMIT: usize = 16 << 20;

fn config() -> impl bincode::config::Config {
    bincode::config::legacy().with_limit::<LIMIT>()
}

/// Bytes of `value`.
///
/// # Errors
///
/// [`CodecError`] if they would be more than [`LIMIT`].
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let bytes = bincode::serde::encode_to_vec(value, config()).map_err(|error| CodecError::Encode(Box::new(error)))?;
    if bytes.len() > LIMIT { Err(CodecError::Large { bytes: bytes.len() }) } else { Ok(bytes) }
}

/// Value of `bytes`.
///
/// # Errors
///
/// [`CodecError`] if `bytes` are not exactly one value of this type.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() > LIMIT {
        return Err(CodecError::Large { bytes: bytes.len() });
    }
    let (value, used) =
        bincode::serde::decode_from_slice(bytes, config()).map_err(|error| CodecError::Decode(Box::new(error)))?;
    if used == bytes.len() { Ok(value) } else { Err(CodecError::Trailing { bytes: bytes.len() - used }) }
}

/// A value that does not fit, or bytes that are none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// More bytes than [`LIMIT`].
    #[error("a value of {bytes} bytes is too large, the limit is {LIMIT}")]
    Large {
        /// Bytes of the value.
        bytes: usize,
    },
    /// The value has no encoding.
    #[error("a value cannot be encoded")]
    Encode(#[source] Box<bincode::error::EncodeError>),
    /// The bytes are not a value of the type.
    #[error("bytes cannot be decoded")]
    Decode(#[source] Box<bincode::error::DecodeError>),
    /// The bytes go on after the value.
    #[error("{bytes} bytes follow the value")]
    Trailing {
        /// Bytes too many.
        bytes: usize,
    },
}
