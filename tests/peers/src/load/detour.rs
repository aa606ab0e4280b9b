//! A TCP connection that is longer than loopback: what comes goes on a while later, both ways, in its order. It can be cut.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// What becomes of connections on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    Open,
    /// Nothing goes on, and nobody is told; later it does.
    Stalled,
    /// Connections are reset, new ones too.
    Reset,
}

/// A proxy to one address; it ends with the runtime.
#[derive(Debug, Clone)]
pub struct Detour {
    /// Where it listens.
    pub address: SocketAddr,
    one_way_us: Arc<AtomicU64>,
    carried: Arc<AtomicU64>,
    passage: watch::Sender<Passage>,
}

impl Detour {
    /// Starts it, without a delay.
    ///
    /// # Errors
    /// When it gets no port.
    pub async fn start(to: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let detour = Self {
            address: listener.local_addr()?,
            one_way_us: Arc::default(),
            carried: Arc::default(),
            passage: watch::Sender::new(Passage::Open),
        };
        let own = detour.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                near.set_zero_linger().ok();
                if *own.passage.borrow() == Passage::Reset {
                    continue;
                }
                let Ok(far) = TcpStream::connect(to).await else { continue };
                near.set_nodelay(true).ok();
                far.set_nodelay(true).ok();
                let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
                own.carry(from_near, to_far);
                own.carry(from_far, to_near);
            }
        });
        Ok(detour)
    }

    /// The round trip from now on, beside loopback's own.
    pub fn set_round_trip(&self, round_trip: Duration) {
        self.one_way_us.store(round_trip.as_micros() as u64 / 2, Ordering::Relaxed);
    }

    /// What becomes of connections from now on.
    pub fn set_passage(&self, passage: Passage) {
        self.passage.send_replace(passage);
    }

    /// Bytes that went either way.
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }

    fn carry(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (queue, mut waiting) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        let (one_way_us, carried) = (Arc::clone(&self.one_way_us), Arc::clone(&self.carried));
        let (mut cut, mut passage) = (self.passage.subscribe(), self.passage.subscribe());
        tokio::spawn(async move {
            let mut buffer = vec![0; 64 << 10];
            loop {
                let read = tokio::select! {
                    read = from.read(&mut buffer) => read,
                    _ = cut.wait_for(|passage| *passage == Passage::Reset) => return,
                };
                let Ok(length @ 1..) = read else { return };
                carried.fetch_add(length as u64, Ordering::Relaxed);
                let due = Instant::now() + Duration::from_micros(one_way_us.load(Ordering::Relaxed));
                if queue.send((due, buffer[..length].to_vec())).is_err() {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            while let Some((due, bytes)) = waiting.recv().await {
                sleep_until(due).await;
                let goes_on = passage.wait_for(|passage| *passage != Passage::Stalled).await;
                if !goes_on.is_ok_and(|passage| *passage == Passage::Open) {
                    return;
                }
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_comes_a_round_trip_later() {
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let detour = Detour::start(echo.local_addr().unwrap()).await.unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = echo.accept().await.unwrap();
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        });
        let mut near = TcpStream::connect(detour.address).await.unwrap();
        for ms in [0, 100] {
            detour.set_round_trip(Duration::from_millis(ms));
            let began = Instant::now();
            near.write_all(b"word").await.unwrap();
            let mut heard = [0; 4];
            near.read_exact(&mut heard).await.unwrap();
            let took = began.elapsed().as_millis() as u64;
            assert_eq!(&heard, b"word");
            assert!(took >= ms && (ms > 0 || took < 90), "{took} ms for {ms} ms");
        }
        assert_eq!(detour.carried(), 16);
        // What stalls goes on later, what is reset does not.
        detour.set_passage(Passage::Stalled);
        near.write_all(b"late").await.unwrap();
        let mut heard = [0; 4];
        let early = tokio::time::timeout(Duration::from_millis(300), near.read_exact(&mut heard)).await;
        assert!(early.is_err());
        detour.set_passage(Passage::Open);
        near.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"late");
        detour.set_passage(Passage::Reset);
        let end = near.read(&mut heard).await;
        assert!(!matches!(end, Ok(1..)), "{end:?}");
    }
}
