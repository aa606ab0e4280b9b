//! Section `[transfer]` of `line.toml`: whether the PBX may send a call on.

use crate::keys::Section;

/// How a line takes transfers of its PBX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Whether REFER is taken (RFC 3515): the line then calls whom the PBX names, at the PBX and nowhere else.
    pub refer: bool,
}

/// Takes the section's keys.
pub(crate) fn read(mut section: Section<'_, '_>) -> Transfer {
    let refer = section.switch("refer", true);
    section.finish();
    Transfer { refer }
}
