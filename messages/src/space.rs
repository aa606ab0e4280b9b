//! Room on the disk. Below a reserve no bodies of files are kept, below half of it no text of the journal either; the queues
//! have the rest to the end.

use std::path::Path;

use nix::sys::statvfs::statvfs;

use crate::content::{Attachment, Content};
use crate::record::Record;

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// Enough.
    Plenty,
    /// Too little for bodies of files.
    Scarce,
    /// Too little for what people wrote, too.
    Gone,
}

impl Space {
    /// The room of a folder's file system. One that cannot be asked has some.
    pub(crate) fn of(folder: &Path, reserve_bytes: u64) -> Self {
        let Ok(found) = statvfs(folder) else { return Self::Plenty };
        Self::with(found.blocks_available().saturating_mul(found.fragment_size()), reserve_bytes)
    }

    fn with(free_bytes: u64, reserve_bytes: u64) -> Self {
        if free_bytes >= reserve_bytes {
            Self::Plenty
        } else if free_bytes >= reserve_bytes / 2 {
            Self::Scarce
        } else {
            Self::Gone
        }
    }
}

/// A record without what was written.
pub(crate) fn bare(record: &Record) -> Record {
    let content = match &record.content {
        Content::Text { .. } => Content::plain(""),
        Content::File { file, .. } => {
            let file = Attachment { thumbnail: None, ..file.clone() };
            Content::file(file, "")
        }
        content @ (Content::Location(_) | Content::Contact(_) | Content::Poll(_) | Content::Other { .. }) => {
            content.clone()
        }
    };
    Record { content, quoted: None, ..record.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_give_way_first_and_then_texts() {
        for (free, space) in [
            (201, Space::Plenty),
            (200, Space::Plenty),
            (199, Space::Scarce),
            (100, Space::Scarce),
            (99, Space::Gone),
            (0, Space::Gone),
        ] {
            assert_eq!(Space::with(free, 200), space, "{free}");
        }
        assert_eq!(Space::with(0, 0), Space::Plenty);
    }
}
