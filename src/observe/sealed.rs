//! Bytes of a partial on the way to where all come together: magic, contents and CRC-32C.
//!
//! Input: a magic and contents. Output: sealed bytes; of such bytes the contents, or what is wrong with them.
//! Invariant: contents are given only if magic and checksum fit, and reading neither panics nor takes memory. The
//! magic tells kind and form, so whoever changes a form changes its magic.

/// `content` with its seal.
pub(super) fn seal(magic: [u8; 8], content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(magic.len() + content.len() + 4);
    bytes.extend(magic);
    bytes.extend(content);
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// What was sealed, or what is wrong with `bytes`.
pub(super) fn open(magic: [u8; 8], bytes: &[u8]) -> Result<&[u8], &'static str> {
    let (content, checksum) = bytes.split_last_chunk::<4>().ok_or("it is too short")?;
    let rest = content.strip_prefix(&magic).ok_or("it does not begin as one")?;
    if crc32c::crc32c(content) == u32::from_le_bytes(*checksum) { Ok(rest) } else { Err("its checksum differs") }
}

/// Numbers yet to be read.
pub(super) struct Words<'a>(pub(super) &'a [u8]);

impl Words<'_> {
    pub(super) fn word(&mut self) -> Result<u64, &'static str> {
        let (first, rest) = self.0.split_first_chunk().ok_or("it is too short")?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*first))
    }

    pub(super) fn index(&mut self) -> Result<usize, &'static str> {
        usize::try_from(self.word()?).map_err(|_| "an index is too large")
    }
}
