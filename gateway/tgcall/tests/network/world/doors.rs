//! How packets enter and leave the two calls: the short way where they may, or never.

use std::net::SocketAddr;

use tgcall::srtp::TAIL_BYTES;
use tgcall::{Detour, Received, Route};

use super::{World, heard};

impl World {
    /// Gives a datagram to a call. What took the short way has to leave it with nothing to say.
    pub(super) fn take(
        &mut self,
        to: usize,
        source: SocketAddr,
        destination: SocketAddr,
        contents: &mut [u8],
    ) {
        let now = self.instant();
        let end = &mut self.ends[to];
        if !self.detours
            && let Ok(sound) = end.call.open(now, source, destination, contents)
        {
            end.received.extend(sound.map(|packet| heard(to, packet)));
            self.short[1] += 1;
            assert_eq!(end.call.poll_event(), None);
            assert_eq!(end.call.poll_transmit(), None);
            assert_eq!(end.call.poll_stream_order(), None);
            assert_eq!(end.call.poll_signaling(), None);
            return;
        }
        match end.call.handle_datagram(now, source, destination, contents) {
            Some(Received::Rtp(packet)) => end.received.push(heard(to, packet)),
            Some(Received::Rtcp(packets)) => end.control.push(packets.to_vec()),
            None => {}
        }
    }

    /// Protects a packet of sound.
    pub(super) fn protect(&mut self, at: usize, packet: &mut Vec<u8>) -> Option<Route> {
        let now = self.instant();
        let call = &mut self.ends[at].call;
        if !self.detours {
            let length = packet.len();
            packet.resize(length + TAIL_BYTES, 0);
            match call.seal(packet, length) {
                Ok(sealed) => {
                    let (route, length) = sealed?;
                    packet.truncate(length);
                    self.short[0] += 1;
                    return Some(route);
                }
                Err(Detour) => packet.truncate(length),
            }
        }
        call.protect(now, packet)
    }
}
