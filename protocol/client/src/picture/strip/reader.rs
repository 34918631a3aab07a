//! Reading a picture from front to back, never beyond its end.

use super::Broken;

/// Bytes, and how many of them were read.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next byte stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Reads again from there.
    pub(super) fn back_to(&mut self, at: usize) {
        self.at = at.min(self.at);
    }

    /// What was read since it stood there.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// The next byte, which is not read yet.
    pub(super) fn peek(&self) -> Result<u8, Broken> {
        self.bytes.get(self.at).copied().ok_or(Broken::CutShort)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Broken> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let end = self.at.checked_add(length).ok_or(Broken::CutShort)?;
        let taken = self.bytes.get(self.at..end).ok_or(Broken::CutShort)?;
        self.at = end;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A length in four bytes.
    pub(super) fn length(&mut self, read: fn([u8; 4]) -> u32) -> Result<usize, Broken> {
        usize::try_from(read(self.array()?)).map_err(|_| Broken::CutShort)
    }
}
