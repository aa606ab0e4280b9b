//! The sound of a call and the reports about it, under SRTP (RFC 3711).

use std::fmt::Display;
use std::time::Instant;

use dimpl::SrtpProfile;

use super::Session;
use super::path::{Heard, Path};
use crate::route::Route;
use crate::srtp::{OpenError, Profile, Sender};

impl Session {
    /// Protects an RTP packet in place, and wraps it for the relay if there is one.
    pub(crate) fn protect(&mut self, now: Instant, rtp: &mut Vec<u8>) -> Option<Route> {
        let route = self.protect_with(now, rtp, Sender::protect_rtp)?;
        self.counters.rtp_out += 1;
        Some(route)
    }

    /// The same for RTCP packets that stand behind each other.
    pub(crate) fn protect_rtcp(&mut self, now: Instant, rtcp: &mut Vec<u8>) -> Option<Route> {
        let route = self.protect_with(now, rtcp, Sender::protect_rtcp)?;
        self.counters.rtcp_out += 1;
        Some(route)
    }

    fn protect_with<E: Display>(
        &mut self,
        now: Instant,
        packet: &mut Vec<u8>,
        protect: impl FnOnce(&mut Sender, &mut Vec<u8>) -> Result<(), E>,
    ) -> Option<Route> {
        let path = self.network.paths.chosen().filter(|_| !self.is_over())?;
        let (sender, _) = self.srtp.as_mut()?;
        if let Err(error) = protect(sender, packet) {
            self.count_unprotected(error);
            return None;
        }
        self.network.route(now, path, packet)
    }

    pub(super) fn handle_rtp<'a>(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &'a mut [u8],
    ) -> Option<&'a [u8]> {
        let Some((_, receiver)) = &mut self.srtp else {
            self.counters.early += 1;
            return None;
        };
        match receiver.open_rtp(datagram) {
            Ok(packet) => {
                self.hear(now, path, Heard::Media);
                self.settle(now);
                Some(packet)
            }
            Err(error) => {
                self.count_unopened(error);
                None
            }
        }
    }

    pub(super) fn handle_rtcp<'a>(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &'a mut [u8],
    ) -> Option<&'a [u8]> {
        let Some((_, receiver)) = &mut self.srtp else {
            self.counters.early += 1;
            return None;
        };
        match receiver.open_rtcp(datagram) {
            Ok(packets) => {
                self.counters.rtcp_in += 1;
                self.hear(now, path, Heard::Check);
                self.settle(now);
                Some(packets)
            }
            Err(error) => {
                self.count_unopened(error);
                None
            }
        }
    }

    /// Sends an empty receiver report (RFC 3550 section 6.4.2) on a path, ahead of the check that nominates it: libwebrtc's
    /// controlled end only looks at a nomination when it comes, and takes the path that brought data last.
    pub(super) fn show(&mut self, now: Instant, path: Path) {
        let Some((sender, _)) = &mut self.srtp else { return };
        let mut report = vec![0x80, 201, 0, 1];
        report.extend_from_slice(&self.ssrc.to_be_bytes());
        if sender.protect_rtcp(&mut report).is_ok() {
            self.network.send(now, path, report);
        }
    }

    pub(super) fn count_unprotected(&mut self, error: impl Display) {
        self.counters.unprotected += 1;
        tracing::debug!(%error, "outgoing packet dropped");
    }

    pub(super) fn count_unopened(&mut self, error: OpenError) {
        match error {
            OpenError::Packet(_) => self.counters.malformed += 1,
            OpenError::Forged => self.counters.forged += 1,
            OpenError::Replayed => self.counters.replayed += 1,
            OpenError::TooManySources => self.counters.other_source += 1,
        }
    }
}

pub(super) fn own_profile(profile: SrtpProfile) -> Profile {
    match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Profile::Aes128CmSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
        // One that came with a later release of the library: fails on the length of its keys.
        _ => Profile::AeadAes256Gcm,
    }
}
