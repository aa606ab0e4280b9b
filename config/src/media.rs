//! How the gateway's threads take packets of sound, and what those come to.

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

/// What calls' packets to and from Telegram users go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaSockets {
    /// What goes straight to the user goes by a socket that calls share; what goes through relays, by the call's own.
    #[default]
    Shared,
    /// Each call has its own.
    Own,
}

pub(crate) const MEDIA_SOCKETS: [(&str, MediaSockets); 2] =
    [("shared", MediaSockets::Shared), ("own", MediaSockets::Own)];
