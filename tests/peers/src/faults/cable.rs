//! The way of one account to Telegram's data centres: TCP that comes late from one piece on, or ends before it. What passes is
//! encrypted, so it is counted by the pieces in which it is read.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{DELAY_MS, Fault, Sender};

const PIECE_BYTES: usize = 64 << 10;
/// Pieces on their way at once; who sends more waits.
const UNDER_WAY: usize = 1024;

/// A way to each data centre; it ends with the runtime.
#[derive(Clone)]
pub struct Cable {
    /// Where each data centre is reached.
    pub ends: Vec<(i32, SocketAddr)>,
    count: Arc<Mutex<Count>>,
    cuts: watch::Sender<u32>,
}

#[derive(Default)]
struct Count {
    pieces: [u32; 2],
    plan: Option<(Sender, u32, Fault)>,
    is_met: bool,
}

enum Fate {
    Sent(Duration),
    Cut,
}

impl Cable {
    /// Lays it to these data centres.
    ///
    /// # Errors
    /// When it gets no ports.
    pub async fn lay(dcs: Vec<(i32, SocketAddr)>) -> anyhow::Result<Self> {
        let mut cable = Self { ends: Vec::new(), count: Arc::default(), cuts: watch::Sender::new(0) };
        for (dc, to) in dcs {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            cable.ends.push((dc, listener.local_addr()?));
            tokio::spawn(Self::listen(listener, to, Arc::clone(&cable.count), cable.cuts.clone()));
        }
        Ok(cable)
    }

    /// Counts anew; the n-th piece, from 1, of this sender meets this fault.
    pub(super) fn order(&self, plan: Option<(Sender, u32, Fault)>) {
        *lock(&self.count) = Count { plan, ..Count::default() };
    }

    /// Pieces of each sender, and whether the one that was meant came.
    pub(super) fn passed(&self) -> ([u32; 2], bool) {
        let count = lock(&self.count);
        (count.pieces, count.is_met)
    }

    async fn listen(
        listener: TcpListener,
        to: SocketAddr,
        count: Arc<Mutex<Count>>,
        cuts: watch::Sender<u32>,
    ) {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(to).await else { continue };
            for stream in [&near, &far] {
                stream.set_nodelay(true).ok();
                stream.set_zero_linger().ok();
            }
            let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
            carry(Sender::Gateway, from_near, to_far, &count, &cuts);
            carry(Sender::Other, from_far, to_near, &count, &cuts);
        }
    }
}

impl Count {
    fn fate(&mut self, sender: Sender) -> Fate {
        self.pieces[sender as usize] += 1;
        let number = self.pieces[sender as usize];
        let Some((_, wanted, fault)) = self.plan.filter(|(of, ..)| *of == sender) else {
            return Fate::Sent(Duration::ZERO);
        };
        self.is_met |= number >= wanted;
        match fault {
            Fault::Cut if number == wanted => Fate::Cut,
            Fault::Delay if number >= wanted => Fate::Sent(Duration::from_millis(DELAY_MS)),
            // TCP neither loses nor repeats nor reorders.
            Fault::Cut | Fault::Delay | Fault::Drop | Fault::Duplicate | Fault::Reorder => {
                Fate::Sent(Duration::ZERO)
            }
        }
    }
}

fn carry(
    sender: Sender,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    count: &Arc<Mutex<Count>>,
    cuts: &watch::Sender<u32>,
) {
    let (queue, mut waiting) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let (count, cutter) = (Arc::clone(count), cuts.clone());
    let (mut cut_reader, mut cut_writer) = (cuts.subscribe(), cuts.subscribe());
    tokio::spawn(async move {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let read = tokio::select! {
                read = from.read(&mut buffer) => read,
                _ = cut_reader.changed() => return,
            };
            let Ok(length @ 1..) = read else { return };
            let fate = lock(&count).fate(sender);
            let delay = match fate {
                Fate::Sent(delay) => delay,
                Fate::Cut => {
                    cutter.send_modify(|cuts| *cuts += 1);
                    return;
                }
            };
            if queue.send((Instant::now() + delay, buffer[..length].to_vec())).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((due, bytes)) = waiting.recv().await {
            tokio::select! {
                () = sleep_until(due) => {}
                _ = cut_writer.changed() => return,
            }
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
}

fn lock(count: &Mutex<Count>) -> MutexGuard<'_, Count> {
    count.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_from_the_second_piece_on_is_late_or_never_comes() {
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let cable = Cable::lay(vec![(2, echo.local_addr().unwrap())]).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    tokio::io::copy(&mut reader, &mut writer).await.ok();
                });
            }
        });
        let mut near = TcpStream::connect(cable.ends[0].1).await.unwrap();
        let mut heard = [0; 4];
        cable.order(Some((Sender::Gateway, 2, Fault::Delay)));
        for is_late in [false, true, true] {
            let began = Instant::now();
            near.write_all(b"word").await.unwrap();
            near.read_exact(&mut heard).await.unwrap();
            assert_eq!(began.elapsed() >= Duration::from_millis(DELAY_MS), is_late);
        }
        assert_eq!(cable.passed(), ([3, 3], true));
        cable.order(Some((Sender::Other, 1, Fault::Cut)));
        near.write_all(b"word").await.unwrap();
        assert!(!matches!(near.read(&mut heard).await, Ok(1..)));
        let mut near = TcpStream::connect(cable.ends[0].1).await.unwrap();
        near.write_all(b"word").await.unwrap();
        near.read_exact(&mut heard).await.unwrap();
    }
}
