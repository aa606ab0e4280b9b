//! Numbers of transactions and tags of places, from a secret instead of the system's chance.

use sha2::{Digest, Sha256};

/// Identifiers nobody can foresee, from a secret.
#[derive(Debug, Clone)]
pub(super) struct Identifiers {
    secret: [u8; 32],
    count: u64,
}

impl Identifiers {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Identifiers { secret, count: 0 }
    }

    /// A source of its own for one of many.
    pub(super) fn branch(&mut self) -> Self {
        Identifiers::new(self.block())
    }

    pub(super) fn transaction(&mut self) -> [u8; 12] {
        let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = self.block();
        id
    }

    /// Never 0.
    pub(super) fn tag(&mut self) -> u32 {
        let [a, b, c, d, ..] = self.block();
        u32::from_le_bytes([a, b, c, d]).max(1)
    }

    fn block(&mut self) -> [u8; 32] {
        self.count += 1;
        Sha256::new().chain_update(self.secret).chain_update(self.count.to_be_bytes()).finalize().into()
    }
}
