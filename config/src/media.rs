//! How the gateway's threads take packets of sound.

/// When a thread looks for packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaTick {
    /// At once when one comes; once in a millisecond where thousands come in a second, which costs far less.
    #[default]
    Auto,
    /// Always at once.
    Never,
}

pub(crate) const MEDIA_TICKS: [(&str, MediaTick); 2] =
    [("auto", MediaTick::Auto), ("never", MediaTick::Never)];
