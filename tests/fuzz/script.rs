//! A hostile peer's bytes as a row of steps: each begins with a byte that says what to do.

/// Reads steps and their arguments; what is missing at the end is zero or empty.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next step, until nothing is left.
    pub fn step(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub fn byte(&mut self) -> u8 {
        self.step().unwrap_or(0)
    }

    pub fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// All that is left.
    #[allow(dead_code, reason = "not every script ends so")]
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Bytes behind a length of two bytes.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.word()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}
