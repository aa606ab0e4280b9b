//! Connections over TCP between the ends and servers.

use std::net::SocketAddr;
use std::time::Duration;

use tgcall::{StreamId, StreamOrder};

use super::{What, World};
use crate::network::servers::Hop;

/// How long a kernel waits before it tries a connection again; doubled with each try.
const FIRST_TRY: Duration = Duration::from_secs(1);

impl World {
    /// Ends every stream that is open at one end.
    pub fn cut_streams(&mut self, end: usize) {
        for stream in std::mem::take(&mut self.ends[end].streams).into_keys() {
            self.post(self.now, end, What::StreamClosed(stream));
        }
    }

    /// Every stream that is open at one end carries nothing any more, and neither side is told.
    pub fn freeze_streams(&mut self, end: usize) {
        self.ends[end].streams.clear();
    }

    /// The machine's addresses change, and the call has no sockets at them.
    pub fn change_network(&mut self, end: usize) {
        self.freeze_streams(end);
        let now = self.instant();
        self.ends[end].call.handle_network_change(now);
        self.drain(end);
    }

    pub fn open_streams(&self, end: usize) -> usize {
        self.ends[end].streams.len() + self.ends[end].connecting.len()
    }

    pub(super) fn handle_stream_order(&mut self, at: usize, order: StreamOrder) {
        match order {
            StreamOrder::Open { stream, remote } => {
                self.ends[at].connecting.insert(stream);
                self.try_stream(at, stream, remote, FIRST_TRY);
            }
            StreamOrder::Close(stream) => {
                self.ends[at].connecting.remove(&stream);
                self.ends[at].streams.remove(&stream);
            }
        }
    }

    pub(super) fn try_stream(&mut self, at: usize, stream: StreamId, remote: SocketAddr, wait: Duration) {
        if !self.ends[at].connecting.contains(&stream) {
            return;
        }
        if self.stalls_streams {
            let again = What::StreamOpening { stream, remote, wait: 2 * wait };
            return self.post(self.now + wait, at, again);
        }
        self.ends[at].connecting.remove(&stream);
        let due = self.now + 2 * self.conditions.delay.start;
        if self.refuse_streams || !self.servers.is_stream_server(remote) {
            return self.post(due, at, What::StreamClosed(stream));
        }
        self.next_stream_port += 1;
        let near = SocketAddr::new([10, 0, 9, at as u8].into(), self.next_stream_port);
        self.ends[at].streams.insert(stream, (near, remote));
        self.post(due, at, What::StreamOpened(stream));
    }

    /// Streams lose nothing and keep their order.
    pub(super) fn send_stream(&mut self, from: usize, stream: StreamId, contents: Vec<u8>) {
        let Some((near, server)) = self.ends[from].streams.get(&stream).copied() else { return };
        let due = self.now + self.conditions.delay.start;
        self.post(due, from, What::ToServer(Hop { near, server, is_stream: true, contents }));
    }
}
