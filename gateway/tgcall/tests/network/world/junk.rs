//! Bytes that nobody asked for.

use super::World;

impl World {
    /// Throws random bytes of every kind at both ends, from the other end's address, on both paths.
    pub fn pour_junk(&mut self, count: usize) {
        let now = self.instant();
        for _ in 0..count {
            let mut junk: Vec<u8> =
                (0..self.random.below(200)).map(|_| self.random.below(256) as u8).collect();
            if let Some(first) = junk.first_mut() {
                *first = [0, 1, 20, 21, 22, 23, 128, 144, *first][self.random.below(9) as usize];
            }
            let to = self.random.below(2) as usize;
            let (source, destination) = (self.address(1 - to), self.address(to));
            self.ends[to].call.handle_signaling(now, &junk);
            self.ends[to].call.handle_datagram(now, source, destination, &mut junk);
            self.drain(to);
        }
    }

    /// Throws random bytes at both ends from a server's address, and into their streams.
    pub fn pour_junk_from(&mut self, server: &str, count: usize) {
        let (now, server) = (self.instant(), server.parse().unwrap());
        for _ in 0..count {
            let mut junk: Vec<u8> =
                (0..self.random.below(80)).map(|_| self.random.below(256) as u8).collect();
            if let Some(first) = junk.first_mut() {
                *first = [0, 1, 0x40, 0x40, 0x41, *first][self.random.below(6) as usize];
            }
            let to = self.random.below(2) as usize;
            let address = self.ends[to].addresses[0];
            self.ends[to].call.handle_datagram(now, server, address, &mut junk);
            for stream in self.ends[to].streams.keys().copied().collect::<Vec<_>>() {
                self.ends[to].call.handle_stream_data(now, stream, &junk);
                while self.ends[to].call.poll_stream_media(now).is_some() {}
            }
            self.drain(to);
        }
    }
}
