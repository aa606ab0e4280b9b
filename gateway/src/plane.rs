//! Threads that carry media: each has calls of its own, whose sockets it alone waits for.
//!
//! A thread with few packets takes each when it comes. One with many looks for them once in a tick and takes what came
//! for all its calls in one turn, since waking up costs more than a packet does.

mod desk;
mod flood;
mod group;
mod hub;
mod inbox;
mod outbox;
mod pace;
mod seat;

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Instant;

use tgtrunk_config::MediaTick;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use desk::Desk;
pub(crate) use hub::{Ear, Hears, Listener};
pub(crate) use seat::Seat;

use crate::clock;

/// So many tasks run in a row before it is looked for packets: together they take longer than a tick.
const EVENTS: u32 = 256;

/// The media threads of the gateway. They end with the last clone of it.
#[derive(Debug, Clone)]
pub(crate) struct Plane(Arc<[Thread]>);

#[derive(Debug)]
struct Thread {
    runtime: Handle,
    calls: Arc<AtomicUsize>,
    /// Dropped, it ends the thread.
    _end: oneshot::Sender<()>,
}

/// A call that counts; dropped, it counts no more.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A moment of the beat on which all calls encode, so that a thread wakes up for all of its own at once.
pub(crate) fn beat() -> Instant {
    static MOMENT: LazyLock<Instant> = LazyLock::new(clock::now);
    *MOMENT
}

impl Plane {
    /// Starts a thread for each processor that the program may use.
    ///
    /// # Errors
    /// When the system gives no thread, or no file descriptor for what it waits by.
    pub(crate) fn start(tick: MediaTick) -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, NonZero::get);
        (0..count).map(|_| Thread::start(tick)).collect::<io::Result<_>>().map(Self)
    }

    /// How many threads there are.
    pub(crate) fn threads(&self) -> usize {
        self.0.len()
    }

    /// Tasks that live on its threads.
    pub(crate) fn tasks(&self) -> usize {
        self.0.iter().map(|thread| thread.runtime.metrics().num_alive_tasks()).sum()
    }

    /// Does on one thread what is no call's.
    pub(crate) fn attend(&self, number: usize, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(thread) = self.0.get(number) {
            thread.runtime.spawn(work);
        }
    }

    /// Does a call's work on the thread that has the fewest calls.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let calls = |thread: &&Thread| thread.calls.load(Ordering::Relaxed);
        let Some(thread) = self.0.iter().min_by_key(calls) else { return tokio::spawn(work) };
        thread.calls.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&thread.calls));
        // Else there would be room for it twice: where it is kept, and where it is awaited.
        let work = Box::pin(work);
        thread.runtime.spawn(async move {
            let _place = place;
            work.await;
        })
    }
}

impl Thread {
    fn start(tick: MediaTick) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().event_interval(EVENTS).build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let epoll = hub::open()?;
        let may_tick = match tick {
            MediaTick::Auto => true,
            MediaTick::Never => false,
        };
        thread::Builder::new().name("media".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    () = hub::attend(epoll, may_tick) => {}
                }
            });
        })?;
        Ok(Self { runtime: handle, calls: Arc::default(), _end: end })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::SocketAddr;
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::net::MediaSocket;

    #[tokio::test]
    async fn calls_are_spread_evenly_and_a_thread_is_free_again_when_one_ends() {
        let plane = Plane((0..3).map(|_| Thread::start(MediaTick::Auto)).collect::<io::Result<_>>().unwrap());
        let (tell, mut told) = tokio::sync::mpsc::channel(16);
        let mut calls = Vec::new();
        let begin = || {
            let (tell, (end, ended)) = (tell.clone(), oneshot::channel::<()>());
            let call = plane.spawn(async move {
                tell.send(thread::current().id()).await.unwrap();
                ended.await.ok();
            });
            (call, end)
        };
        let mut on = HashMap::new();
        for _ in 0..6 {
            calls.push(begin());
            *on.entry(told.recv().await.unwrap()).or_insert(0) += 1;
        }
        assert_eq!(on.into_values().collect::<Vec<_>>(), [2, 2, 2]);
        let (call, end) = calls.remove(1);
        drop(end);
        call.await.unwrap();
        let _one = begin();
        let before = told.recv().await.unwrap();
        let _other = begin();
        assert_ne!(told.recv().await.unwrap(), before, "the free one was taken first");
        assert!(plane.0.iter().all(|thread| thread.calls.load(Ordering::Relaxed) >= 2));
    }

    #[tokio::test]
    async fn a_call_that_breaks_leaves_its_thread_to_the_others() {
        let plane = Plane([Thread::start(MediaTick::Auto).unwrap()].into());
        assert!(plane.spawn(async { panic!("broken") }).await.unwrap_err().is_panic());
        plane.spawn(async {}).await.unwrap();
        assert_eq!(plane.0[0].calls.load(Ordering::Relaxed), 0);
    }

    const SOCKETS: usize = 150;
    const ROUNDS: usize = 50;

    #[tokio::test]
    async fn a_thread_with_many_packets_takes_them_in_ticks_and_loses_none() {
        assert!(ticks_with_many(MediaTick::Auto).await);
    }

    #[tokio::test]
    async fn a_thread_that_is_to_take_each_at_once_never_ticks() {
        assert!(!ticks_with_many(MediaTick::Never).await);
    }

    /// Whether a thread looks for packets in ticks after it was given many, of which it loses none.
    async fn ticks_with_many(tick: MediaTick) -> bool {
        let plane = Plane([Thread::start(tick).unwrap()].into());
        let mut places = Vec::new();
        for _ in 0..SOCKETS {
            places.push(repeat(&plane).await);
        }
        let socket = speaker();
        let listener = socket.try_clone().unwrap();
        let heard = thread::spawn(move || {
            let (mut count, mut packet) = (0, [0; 64]);
            while count < SOCKETS * ROUNDS && listener.recv_from(&mut packet).is_ok() {
                count += 1;
            }
            count
        });
        // So many packets in each 20 ms are 7,500 in a second.
        let speaker = thread::spawn(move || {
            for _ in 0..ROUNDS {
                for part in places.chunks(SOCKETS / 10) {
                    for place in part {
                        socket.send_to(b"sound", place).unwrap();
                    }
                    thread::sleep(Duration::from_millis(2));
                }
            }
        });
        speaker.join().unwrap();
        let ticks = is_ticking(&plane).await;
        assert_eq!(heard.join().unwrap(), SOCKETS * ROUNDS);
        ticks
    }

    #[tokio::test]
    async fn no_packet_is_missed_where_ticks_begin_or_end() {
        let plane = Plane([Thread::start(MediaTick::Auto).unwrap()].into());
        let place = repeat(&plane).await;
        let socket = Arc::new(speaker());
        for _ in 0..20 {
            let speaker = Arc::clone(&socket);
            // Many packets for longer than a window, then one after the other until that is over and after.
            let many = move || {
                let mut packet = [0; 64];
                let until = clock::now() + Duration::from_millis(45);
                while clock::now() < until {
                    (0..10).for_each(|_| assert!(speaker.send_to(b"sound", place).is_ok()));
                    (0..10).for_each(|_| assert!(speaker.recv(&mut packet).is_ok()));
                }
            };
            tokio::task::spawn_blocking(many).await.unwrap();
            assert!(is_ticking(&plane).await);
            let speaker = Arc::clone(&socket);
            let few = move || {
                let mut packet = [0; 64];
                let until = clock::now() + Duration::from_millis(60);
                while clock::now() < until {
                    speaker.send_to(b"ping", place).unwrap();
                    speaker.recv(&mut packet).unwrap();
                    thread::sleep(Duration::from_millis(3));
                }
            };
            tokio::task::spawn_blocking(few).await.unwrap();
            assert!(!is_ticking(&plane).await);
        }
    }

    async fn is_ticking(plane: &Plane) -> bool {
        let (say, said) = oneshot::channel();
        plane.spawn(async move { say.send(hub::is_ticking()).unwrap() }).await.unwrap();
        said.await.unwrap()
    }

    #[tokio::test]
    async fn what_a_timer_or_another_thread_wakes_runs_before_the_next_rest() {
        let plane = Plane([Thread::start(MediaTick::Auto).unwrap()].into());
        let place = repeat(&plane).await;
        let socket = speaker();
        let stop = Arc::new(AtomicUsize::new(0));
        let stopped = Arc::clone(&stop);
        let talk = thread::spawn(move || {
            while stopped.load(Ordering::Relaxed) == 0 {
                socket.send_to(b"sound", place).unwrap();
                thread::sleep(Duration::from_micros(100));
            }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (say, said) = oneshot::channel();
        plane.spawn(async move {
            let mut late = Vec::new();
            for _ in 0..100 {
                let due = tokio::time::Instant::now() + Duration::from_millis(5);
                tokio::time::sleep_until(due).await;
                late.push(tokio::time::Instant::now() - due);
            }
            late.sort_unstable();
            say.send((hub::is_ticking(), late[50])).unwrap();
        });
        let (ticks, late) = said.await.unwrap();
        stop.store(1, Ordering::Relaxed);
        talk.join().unwrap();
        assert!(ticks);
        // The runtime's clock has whole milliseconds; one tick comes on top of them.
        assert!(late < Duration::from_micros(2_300), "{late:?}");
    }

    #[tokio::test]
    async fn a_flood_of_one_call_keeps_no_other_waiting() {
        let plane = Plane([Thread::start(MediaTick::Auto).unwrap()].into());
        let (flooded, other) = (repeat(&plane).await, repeat(&plane).await);
        let socket = speaker();
        let stop = Arc::new(AtomicUsize::new(0));
        let floods = (0..2).map(|_| {
            let stopped = Arc::clone(&stop);
            thread::spawn(move || {
                let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                while stopped.load(Ordering::Relaxed) == 0 {
                    socket.send_to(b"junk", flooded).ok();
                }
            })
        });
        let floods: Vec<_> = floods.collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let answered = tokio::task::spawn_blocking(move || {
            let mut packet = [0; 64];
            let mut answer = |_| {
                let asked = clock::now();
                let is_heard = socket.send_to(b"ping", other).is_ok() && socket.recv(&mut packet).is_ok();
                is_heard.then(|| asked.elapsed())
            };
            let mut delays: Vec<_> = (0..50).map(|number| answer(number).unwrap()).collect();
            delays.sort_unstable();
            let is_alive = socket.send_to(b"ping", flooded).is_ok();
            (delays[25], is_alive)
        });
        let (delay, is_alive) = answered.await.unwrap();
        stop.store(1, Ordering::Relaxed);
        floods.into_iter().for_each(|flood| flood.join().unwrap());
        assert!(is_alive && delay < Duration::from_millis(10), "{delay:?}");
    }

    #[tokio::test]
    async fn a_call_that_breaks_while_it_hears_is_told_of_and_leaves_the_others() {
        let plane = Plane([Thread::start(MediaTick::Auto).unwrap()].into());
        let (broken, other) = (repeat(&plane).await, repeat(&plane).await);
        let socket = speaker();
        let talk = move || {
            let mut packet = [0; 64];
            socket.send_to(b"break", broken).unwrap();
            let told = socket.recv(&mut packet).unwrap();
            socket.send_to(b"more", broken).unwrap();
            let echo = socket.recv(&mut packet).is_ok();
            socket.send_to(b"well", other).unwrap();
            (told, echo, socket.recv(&mut packet).is_ok())
        };
        assert_eq!(tokio::task::spawn_blocking(talk).await.unwrap(), (6, false, true));
    }

    #[tokio::test]
    async fn whoever_floods_a_shared_socket_by_one_calls_name_keeps_no_other_waiting() {
        let plane = Plane([Thread::start(MediaTick::Auto).unwrap()].into());
        let socket = speaker();
        let ours = socket.local_addr().unwrap();
        share(&plane, "flooded", None).await;
        let place = share(&plane, "other", Some(ours)).await;
        let own = repeat(&plane).await;
        let stop = Arc::new(AtomicUsize::new(0));
        let stopped = Arc::clone(&stop);
        let flood = thread::spawn(move || {
            let (socket, check) = (speaker(), check_for("flooded"));
            while stopped.load(Ordering::Relaxed) == 0 {
                socket.send_to(&check, place).ok();
            }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        let ask = move || {
            let mut packet = [0; 64];
            let mut delays = Vec::new();
            for number in 0..60 {
                let (asked, place) = (clock::now(), if number % 2 == 0 { place } else { own });
                socket.send_to(b"ping", place).unwrap();
                // One that finds the socket's buffer full is lost.
                if socket.recv(&mut packet).is_ok() {
                    delays.push(asked.elapsed());
                }
            }
            delays.sort_unstable();
            delays
        };
        let delays = tokio::task::spawn_blocking(ask).await.unwrap();
        stop.store(1, Ordering::Relaxed);
        flood.join().unwrap();
        assert!(delays.len() > 45 && delays[30] < Duration::from_millis(10), "{delays:?}");
    }

    #[tokio::test]
    async fn a_call_that_breaks_on_a_shared_socket_leaves_the_others_there() {
        let plane = Plane([Thread::start(MediaTick::Auto).unwrap()].into());
        let (socket, others) = (speaker(), speaker());
        // A call that breaks is told of at length first.
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        others.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let place = share(&plane, "broken", Some(socket.local_addr().unwrap())).await;
        assert_eq!(share(&plane, "other", Some(others.local_addr().unwrap())).await, place);
        let talk = move || {
            let mut packet = [0; 64];
            socket.send_to(b"break", place).unwrap();
            others.send_to(b"well", place).unwrap();
            let told = socket.recv(&mut packet).unwrap();
            (told, others.recv(&mut packet).unwrap())
        };
        assert_eq!(tokio::task::spawn_blocking(talk).await.unwrap(), (6, 4));
    }

    #[tokio::test]
    async fn a_shared_socket_with_many_packets_loses_none() {
        let plane = Plane([Thread::start(MediaTick::Auto).unwrap()].into());
        let speakers: Vec<_> = (0..100).map(|_| speaker()).collect();
        let mut places = Vec::new();
        for (number, speaker) in speakers.iter().enumerate() {
            let name = format!("call{number}");
            places.push(share(&plane, &name, Some(speaker.local_addr().unwrap())).await);
        }
        assert!(places.iter().all(|place| *place == places[0]));
        let talk = move || {
            let mut packet = [0; 64];
            for round in 0..200_usize {
                // From one packet to more than are taken at once, and than wait to leave.
                let together = 1 + round * 7 % 100;
                for (speaker, place) in speakers.iter().zip(&places).take(together) {
                    speaker.send_to(&vec![b's'; 1 + round % 50], place).unwrap();
                }
                for speaker in &speakers[..together] {
                    assert_eq!(speaker.recv(&mut packet).unwrap(), 1 + round % 50, "round {round}");
                }
            }
        };
        tokio::task::spawn_blocking(talk).await.unwrap();
    }

    /// A check that names a call, as far as it is looked at before the call judges it.
    fn check_for(name: &str) -> Vec<u8> {
        let name = format!("{name}:peer");
        let header = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        [&header[..], &[0, 6, 0, name.len() as u8], name.as_bytes()].concat()
    }

    /// Sends sound back from a shared socket, and judges checks for a while; breaks where it is told to.
    struct Sharer {
        seat: Seat,
        last: Option<SocketAddr>,
    }

    impl Hears for Sharer {
        fn hear(&mut self, _: usize, _: usize, _: &mut Desk) {}

        fn hear_shared(&mut self, _: SocketAddr, source: SocketAddr, datagram: &mut [u8], _: &mut Desk) {
            self.last = Some(source);
            assert_ne!(datagram, b"break");
            if datagram.starts_with(&[0, 1]) {
                let until = clock::now() + Duration::from_micros(20);
                while clock::now() < until {}
            } else {
                self.seat.send(datagram, source).unwrap();
            }
        }

        fn clash(&mut self, _: SocketAddr, _: &mut Desk) {}

        fn broke(&mut self) {
            self.seat.send(b"broken", self.last.unwrap()).unwrap();
        }
    }

    async fn share(plane: &Plane, name: &str, peer: Option<SocketAddr>) -> SocketAddr {
        let (tell, told) = oneshot::channel();
        let name = name.to_owned();
        plane.spawn(async move {
            let seat = Seat::take(std::net::Ipv4Addr::LOCALHOST.into(), 0).unwrap();
            let place = seat.local();
            assert!(seat.name(&name) && seat.own(peer.as_slice()));
            let call = Arc::new_cyclic(|me: &std::sync::Weak<Mutex<Sharer>>| {
                let me: Listener = me.clone();
                seat.listen(&me);
                Mutex::new(Sharer { seat, last: None })
            });
            tell.send(place).unwrap();
            std::future::pending::<()>().await;
            drop(call);
        });
        told.await.unwrap()
    }

    fn speaker() -> std::net::UdpSocket {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        socket
    }

    /// Sends what comes back to where it came from, as a call takes packets; breaks where it is told to.
    struct Repeat {
        socket: MediaSocket,
        last: Option<SocketAddr>,
    }

    impl Hears for Repeat {
        fn hear(&mut self, socket: usize, came: usize, desk: &mut Desk) {
            assert!(self.socket.is(socket));
            for number in 0..came {
                let (source, packet) = desk.inbox.datagram(number).unwrap();
                self.last = Some(source);
                assert_ne!(packet, b"break");
                self.socket.send(packet, source).ok();
            }
        }

        fn hear_shared(&mut self, _: SocketAddr, _: SocketAddr, _: &mut [u8], _: &mut Desk) {}

        fn clash(&mut self, _: SocketAddr, _: &mut Desk) {}

        fn broke(&mut self) {
            self.socket.send(b"broken", self.last.unwrap()).unwrap();
        }
    }

    async fn repeat(plane: &Plane) -> SocketAddr {
        let (tell, told) = oneshot::channel();
        plane.spawn(async move {
            let mut socket = MediaSocket::bind("127.0.0.1:0".parse().unwrap(), 0).unwrap();
            let place = socket.local();
            let call = Arc::new_cyclic(|me: &std::sync::Weak<Mutex<Repeat>>| {
                let me: Listener = me.clone();
                socket.listen(&me);
                Mutex::new(Repeat { socket, last: None })
            });
            tell.send(place).unwrap();
            std::future::pending::<()>().await;
            drop(call);
        });
        told.await.unwrap()
    }
}
