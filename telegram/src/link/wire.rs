//! A connection as packets (core.telegram.org/mtproto/mtproto-transports#full).

use std::io;

use grammers_crypto::DequeBuffer;
use grammers_mtproto::transport::{self, Full, Transport as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::error::LinkError;

/// No packet of Telegram's is larger.
const LARGEST: usize = 4 << 20;
/// What is kept for the next packet after a large one.
const ROOM: usize = 64 << 10;

/// Both directions of a connection.
pub(super) struct Wire {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    framing: Full,
    came: Vec<u8>,
    /// Of what came, so much was taken.
    taken: usize,
    going: Vec<u8>,
    /// Of what goes, so much is gone.
    gone: usize,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        let (came, going) = (Vec::with_capacity(ROOM / 16), Vec::new());
        Self { reader, writer, framing: Full::new(), came, taken: 0, going, gone: 0 }
    }

    /// Whether everything is gone that was to go.
    pub(super) fn is_idle(&self) -> bool {
        self.going.is_empty()
    }

    /// Puts a packet on its way, which [`Self::turn`] takes on.
    pub(super) fn send(&mut self, mut packet: DequeBuffer<u8>) {
        self.framing.pack(&mut packet);
        self.going.extend_from_slice(packet.as_ref());
    }

    /// Reads and writes what goes at once. It may be given up at any point.
    pub(super) async fn turn(&mut self) -> Result<(), LinkError> {
        tokio::select! {
            biased;
            read = self.reader.read_buf(&mut self.came) => match read? {
                0 => Err(io::Error::new(io::ErrorKind::ConnectionReset, "the connection was closed").into()),
                _ => Ok(()),
            },
            written = self.writer.write(&self.going[self.gone..]), if !self.going.is_empty() => {
                self.gone += written?;
                if self.gone == self.going.len() {
                    self.going.clear();
                    self.going.shrink_to(ROOM);
                    self.gone = 0;
                }
                Ok(())
            }
        }
    }

    /// The next packet that is there as a whole.
    pub(super) fn next(&mut self) -> Result<Option<&mut [u8]>, LinkError> {
        match self.framing.unpack(&mut self.came[self.taken..]) {
            Ok(found) => {
                let start = self.taken;
                self.taken += found.next_offset;
                Ok(self.came.get_mut(start + found.data_range.start..start + found.data_range.end))
            }
            Err(transport::Error::MissingBytes) => {
                self.came.drain(..self.taken);
                self.taken = 0;
                if self.came.len() > LARGEST {
                    return Err(LinkError::Garbled("it is too large".to_owned()));
                }
                if self.came.is_empty() {
                    self.came.shrink_to(ROOM);
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}
