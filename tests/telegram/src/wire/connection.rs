//! One TCP connection: its socket, its framing, its key exchange, the sessions that speak on it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info};

use crate::ahead::unix_now;
use crate::wire::envelope::{self, Direction};
use crate::wire::exchange::Exchange;
use crate::wire::hub::{Address, Hub};
use crate::wire::line::{Line, Order};
use crate::wire::transport::{Frame, Transport};

/// A peer that takes nothing for so long is gone.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// A peer that says nothing for so long is gone.
const IDLE_LIMIT: Duration = Duration::from_secs(15 * 60);
/// After FIN the rest is read for so long, lest the kernel turn FIN into RST.
const LINGER: Duration = Duration::from_secs(1);
const MOST_SESSIONS: usize = 64;
/// Unknown key, or a message that does not open under its key.
const UNKNOWN_KEY: i32 = -404;

/// What a connection is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) dc: i32,
    pub(crate) max_frame: usize,
    pub(crate) dh_retries: u32,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Fin,
    Reset,
    Gone,
}

struct Connection {
    stream: TcpStream,
    transport: Transport,
    hub: Arc<Hub>,
    line: Arc<Line>,
    terms: Terms,
    exchange: Option<Exchange>,
    addresses: Vec<Address>,
    last_plain_id: i64,
    black_hole: bool,
    /// From `ping_delay_disconnect`.
    disconnect_at: Option<Instant>,
}

/// Serves a connection to its end.
pub(crate) async fn serve(stream: TcpStream, hub: Arc<Hub>, terms: Terms, mut stop: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let mut connection = Connection {
        stream,
        transport: Transport::new(terms.max_frame),
        hub,
        line: Arc::default(),
        terms,
        exchange: None,
        addresses: Vec::new(),
        last_plain_id: 0,
        black_hole: false,
        disconnect_at: None,
    };
    let end = tokio::select! {
        end = connection.run() => end.unwrap_or_else(|error| {
            debug!(dc = terms.dc, %error, "connection broke");
            End::Gone
        }),
        () = stopped(&mut stop) => End::Gone,
    };
    connection.hub.detach(&connection.line, &connection.addresses);
    connection.close(end).await;
}

/// Waits until the server stops.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

impl Connection {
    async fn run(&mut self) -> io::Result<End> {
        let mut buffer = vec![0; 64 << 10];
        let mut idle_at = Instant::now() + IDLE_LIMIT;
        loop {
            if let Some(end) = self.flush().await? {
                return Ok(end);
            }
            let deadline = self.disconnect_at.map_or(idle_at, |at| at.min(idle_at));
            tokio::select! {
                read = self.stream.read(&mut buffer) => {
                    let read = read?;
                    if read == 0 {
                        return Ok(End::Gone);
                    }
                    idle_at = Instant::now() + IDLE_LIMIT;
                    if self.black_hole {
                        continue;
                    }
                    self.transport.feed(&buffer[..read]);
                    if let Some(end) = self.frames().await? {
                        return Ok(end);
                    }
                }
                () = self.line.woken() => {}
                () = sleep_until(deadline) => return Ok(End::Fin),
            }
        }
    }

    async fn frames(&mut self) -> io::Result<Option<End>> {
        loop {
            let fresh = self.transport.framing().is_none();
            let frame = match self.transport.poll_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(None),
                Err(garbage) => {
                    info!(dc = self.terms.dc, %garbage, "connection closed");
                    return Ok(Some(End::Fin));
                }
            };
            if fresh {
                debug!(dc = self.terms.dc, framing = ?self.transport.framing(), wanted_dc = ?self.transport.wanted_dc(), "client");
            }
            if let Some(end) = self.take(frame).await? {
                return Ok(Some(end));
            }
            if let Some(end) = self.flush().await? {
                return Ok(Some(end));
            }
            if self.black_hole {
                return Ok(None);
            }
        }
    }

    async fn take(&mut self, frame: Frame) -> io::Result<Option<End>> {
        match envelope::key_id(&frame.payload) {
            Some(0) => self.take_plain(&frame.payload).await,
            Some(auth_key_id) => self.take_sealed(auth_key_id, &frame).await,
            None => Ok(Some(End::Fin)),
        }
    }

    async fn take_plain(&mut self, payload: &[u8]) -> io::Result<Option<End>> {
        let Some(body) = plain_body(payload) else { return self.fail(UNKNOWN_KEY).await };
        let mut exchange =
            self.exchange.take().unwrap_or_else(|| Exchange::new(self.terms.dc, self.terms.dh_retries));
        let body = body.to_vec();
        let now = unix_now();
        let (exchange, reply) = tokio::task::spawn_blocking(move || {
            let reply = exchange.handle(&body, now);
            (exchange, reply)
        })
        .await
        .map_err(io::Error::other)?;
        self.exchange = Some(exchange);
        let reply = match reply {
            Ok(reply) => reply,
            Err(broken) => {
                info!(dc = self.terms.dc, %broken, "key exchange failed");
                return self.fail(broken.code()).await;
            }
        };
        if let Some(agreed) = reply.agreed {
            self.hub.keys.agree(self.terms.dc, agreed, now);
        }
        if !reply.body.is_empty() {
            let plain = self.plain(&reply.body);
            let bytes = self.transport.frame(&plain);
            self.write(&bytes).await?;
        }
        Ok(None)
    }

    async fn take_sealed(&mut self, auth_key_id: i64, frame: &Frame) -> io::Result<Option<End>> {
        let Some(key) = self.hub.keys.find(self.terms.dc, auth_key_id) else {
            return self.fail(UNKNOWN_KEY).await;
        };
        let packet = match envelope::open(&key, Direction::ToServer, &frame.payload) {
            Ok(packet) => packet,
            Err(unopened) => {
                info!(dc = self.terms.dc, %unopened, "connection closed");
                return self.fail(UNKNOWN_KEY).await;
            }
        };
        if frame.quick_ack {
            let bytes = self.transport.quick_ack(packet.quick_ack);
            self.write(&bytes).await?;
        }
        let address = Address { auth_key_id, dc: self.terms.dc, session_id: packet.session_id };
        if !self.addresses.contains(&address) {
            if self.addresses.len() >= MOST_SESSIONS {
                return Ok(Some(End::Fin));
            }
            self.addresses.push(address);
        }
        if let Some(delay) = self.hub.receive(&self.line, &key, address, packet) {
            self.disconnect_at = Some(Instant::now() + delay);
        }
        Ok(None)
    }

    /// Sends what waits, then obeys an order if there is one.
    async fn flush(&mut self) -> io::Result<Option<End>> {
        for at in 0..self.addresses.len() {
            let address = self.addresses[at];
            while let Some(packet) = self.hub.poll_packet(address, &self.line) {
                if self.black_hole {
                    continue;
                }
                let bytes = self.transport.frame(&packet);
                self.write(&bytes).await?;
            }
            if !self.hub.keys.known(address.auth_key_id) {
                self.hub.forget(address.auth_key_id);
            }
        }
        match self.line.take_order() {
            None => Ok(None),
            Some(Order::Close) => Ok(Some(End::Fin)),
            Some(Order::Reset) => Ok(Some(End::Reset)),
            Some(Order::BlackHole) => {
                self.black_hole = true;
                self.disconnect_at = None;
                Ok(None)
            }
            Some(Order::TransportError(code)) => self.fail(code).await,
        }
    }

    async fn fail(&mut self, code: i32) -> io::Result<Option<End>> {
        let bytes = self.transport.error(code);
        self.write(&bytes).await?;
        Ok(Some(End::Fin))
    }

    /// Key 0, a message identifier, the length, the body.
    fn plain(&mut self, body: &[u8]) -> Vec<u8> {
        let now = unix_now();
        let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
        let clock = (now.as_secs() << 32 | fraction) as i64 & !3 | 1;
        self.last_plain_id = clock.max(self.last_plain_id + 4);
        let mut out = 0i64.to_le_bytes().to_vec();
        out.extend(self.last_plain_id.to_le_bytes());
        out.extend((body.len() as u32).to_le_bytes());
        out.extend(body);
        out
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(WRITE_LIMIT, self.stream.write_all(bytes)).await?
    }

    async fn close(mut self, end: End) {
        match end {
            End::Gone => {}
            End::Reset => {
                let _ = self.stream.set_zero_linger();
            }
            End::Fin => {
                let _ = self.stream.shutdown().await;
                let mut rest = [0; 4096];
                let drained = async { while matches!(self.stream.read(&mut rest).await, Ok(1..)) {} };
                let _ = timeout(LINGER, drained).await;
            }
        }
    }
}

/// The body of an unencrypted message; what the framing added behind it is left out.
fn plain_body(payload: &[u8]) -> Option<&[u8]> {
    let length = u32::from_le_bytes(*payload.get(16..)?.first_chunk()?) as usize;
    payload.get(20..)?.get(..length)
}
