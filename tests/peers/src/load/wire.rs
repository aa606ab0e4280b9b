//! A socket that is every address of loopback at once: who is meant stands beside each datagram (`IP_PKTINFO`).

use std::ffi::OsString;
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmsg, setsockopt,
    sockopt,
};

const DATAGRAMS: usize = 32;
/// A DTLS flight's datagram is the longest.
pub(super) const BYTES: usize = 2048;
/// Packets of a second at a thousand calls find room.
const ROOM: usize = 64 << 20;

/// The socket.
pub(super) struct Wire {
    socket: UdpSocket,
    pub(super) port: u16,
}

/// Datagrams that came together.
pub(super) struct Burst {
    pub(super) buffers: Vec<[u8; BYTES]>,
    pub(super) came: Vec<Came>,
    headers: MultiHeaders<SockaddrIn>,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came {
    pub(super) length: usize,
    pub(super) source: SocketAddrV4,
    pub(super) destination: Ipv4Addr,
}

impl Wire {
    /// # Errors
    /// When the port is taken.
    pub(super) fn bind(port: u16) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
        // Nothing but loopback.
        setsockopt(&socket, sockopt::BindToDevice, &OsString::from("lo"))?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        setsockopt(&socket, sockopt::RcvBufForce, &ROOM)
            .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &ROOM))?;
        let port = socket.local_addr()?.port();
        Ok(Self { socket, port })
    }

    /// Sends as one of its addresses; whether the system took it.
    pub(super) fn send(&self, from: Ipv4Addr, to: SocketAddrV4, datagram: &[u8]) -> bool {
        let info = in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr { s_addr: u32::from(from).to_be() },
            ipi_addr: in_addr { s_addr: 0 },
        };
        let beside = [ControlMessage::Ipv4PacketInfo(&info)];
        let to = SockaddrIn::from(to);
        sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(datagram)],
            &beside,
            MsgFlags::MSG_DONTWAIT,
            Some(&to),
        )
        .is_ok()
    }

    /// Takes what waits, up to a burst.
    pub(super) fn receive(&self, burst: &mut Burst) -> nix::Result<()> {
        burst.came.clear();
        let mut slices: Vec<_> = burst.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let flags = MsgFlags::MSG_DONTWAIT;
        match recvmmsg(self.socket.as_raw_fd(), &mut burst.headers, slices.iter_mut(), flags, None) {
            Ok(results) => {
                for result in results {
                    let destination = result.cmsgs()?.find_map(|beside| match beside {
                        ControlMessageOwned::Ipv4PacketInfo(info) => {
                            Some(u32::from_be(info.ipi_addr.s_addr).into())
                        }
                        _ => None,
                    });
                    let (Some(destination), Some(source)) = (destination, result.address) else { continue };
                    burst.came.push(Came { length: result.bytes, source: source.into(), destination });
                }
                Ok(())
            }
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Burst {
    pub(super) fn new() -> Self {
        Self {
            buffers: vec![[0; BYTES]; DATAGRAMS],
            came: Vec::with_capacity(DATAGRAMS),
            headers: MultiHeaders::preallocate(DATAGRAMS, Some(cmsg_space!(in_pktinfo))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_comes_from_and_goes_to_addresses_that_nobody_bound() {
        let (one, other) = (Wire::bind(0).unwrap(), Wire::bind(0).unwrap());
        let [from, to] = [[127, 1, 2, 3], [127, 2, 0, 9]].map(Ipv4Addr::from);
        let mut burst = Burst::new();
        // The buffers for addresses are used again.
        for number in 0..3_u8 {
            assert!(one.send(from, SocketAddrV4::new(to, other.port), &[number; 5]));
            other.receive(&mut burst).unwrap();
            let [came] = burst.came[..] else { panic!("one datagram: {:?}", burst.came) };
            assert_eq!((came.length, came.destination), (5, to));
            assert_eq!(came.source, SocketAddrV4::new(from, one.port));
            assert_eq!(burst.buffers[0][..5], [number; 5]);
        }
    }
}
