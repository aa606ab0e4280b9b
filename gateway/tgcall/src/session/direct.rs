//! The short way of sound: between the two ends' sockets, on a path that is chosen, with keys that are there. Neither
//! relays nor checks nor DTLS are asked, since nothing of theirs can change by it.

use std::net::SocketAddr;
use std::time::Instant;

use super::Session;
use super::path::Path;
use crate::demux::Kind;
use crate::route::{Detour, Route};

impl Session {
    /// Opens a packet of sound that came the short way; `None` where it does not fit, which is counted.
    pub(crate) fn open<'a>(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &'a mut [u8],
    ) -> Result<Option<&'a [u8]>, Detour> {
        let path = Path { local: destination, remote: source };
        let is_ours = self.network.paths.is_direct(path) && self.liveness.is_steady(now);
        let Some((_, receiver)) = self.srtp.as_mut().filter(|_| is_ours && Kind::of(datagram) == Kind::Rtp)
        else {
            return Err(Detour);
        };
        self.network.check_direct();
        debug_assert!(self.events.is_empty() && self.data.is_empty(), "there is nothing to drain");
        match receiver.open_rtp(datagram) {
            Ok(packet) => {
                self.liveness.hear(now);
                self.network.paths.hear_sound(now);
                Ok(Some(packet))
            }
            Err(error) => {
                self.count_unopened(error);
                Ok(None)
            }
        }
    }

    /// Protects a packet of sound of `length` bytes, with room behind it, that goes the short way; its new length.
    pub(crate) fn seal(&mut self, room: &mut [u8], length: usize) -> Result<Option<(Route, usize)>, Detour> {
        let path = self.network.paths.direct().filter(|_| !self.is_over()).ok_or(Detour)?;
        let (sender, _) = self.srtp.as_mut().ok_or(Detour)?;
        self.network.check_direct();
        match sender.protect_rtp_in(room, length) {
            Ok(length) => {
                self.counters.rtp_out += 1;
                Ok(Some((Route::Datagram { source: path.local, destination: path.remote }, length)))
            }
            Err(error) => {
                self.count_unprotected(error);
                Ok(None)
            }
        }
    }
}
