//! What sound takes from the heap on its way through two connected calls: nothing, whichever way it goes; and what a connected
//! call keeps of it.
//!
//! One test in one process, because the counter counts for the whole of it.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tgcall::srtp::TAIL_BYTES;
use tgcall::{Call, Certificate, Parameters, Received, Route, SharedKey, Version};

#[global_allocator]
static COUNTED: dhat::Alloc = dhat::Alloc;

/// Of a connected call with its whole transport: 40 kB with a relay that passes Opus, which has less than 4,096 bytes. What AWS-LC
/// keeps behind its own back, some hundred bytes for each key, is not counted.
const MOST_KEPT: usize = 36_000;
const ADDRESSES: [&str; 2] = ["10.0.0.1:4000", "10.0.0.2:5000"];

#[test]
fn sound_takes_nothing_from_the_heap() {
    let _profiler = dhat::Profiler::builder().testing().build();
    assert!(allocations(|| drop(std::hint::black_box(Box::new(1)))) > 0, "the counter counts");
    let mut now = Instant::now();
    let certificate = Arc::new(Certificate::generate().unwrap());
    // What threads keep for all calls is there by then.
    connected(&mut now, &certificate);
    let before = dhat::HeapStats::get().curr_bytes;
    let mut calls = connected(&mut now, &certificate);
    // Long enough for what only set-up needs to be gone.
    for _ in 0..6000 {
        now += Duration::from_millis(5);
        settle(now, &mut calls);
    }
    let kept = (dhat::HeapStats::get().curr_bytes - before) / 2 + size_of::<Call>();
    println!("a connected call keeps {kept} bytes, {} of them in place", size_of::<Call>());
    assert!(kept <= MOST_KEPT, "{kept} bytes");
    let mut room = vec![0; 200];
    let mut sequence = 0_u16;
    for is_short in [true, false] {
        let mut packet = || {
            now += Duration::from_micros(100);
            sequence = sequence.wrapping_add(1);
            for from in [0, 1] {
                pass(now, &mut calls, from, sequence, &mut room, is_short);
            }
        };
        (0..100).for_each(|_| packet());
        let taken = allocations(|| (0..2000).for_each(|_| packet()));
        assert_eq!(taken, 0, "the short way: {is_short}");
    }
    for call in calls {
        let counters = call.counters();
        assert_eq!((counters.rtp_in, counters.rtp_out), (4200, 4200));
    }
}

/// A call as both of its ends see it.
fn connected(now: &mut Instant, certificate: &Arc<Certificate>) -> [Call; 2] {
    let mut calls = [0, 1].map(|at| call(*now, at, certificate));
    while !calls.iter().all(|call| call.is_connected() && call.outgoing().is_some()) {
        *now += Duration::from_millis(5);
        settle(*now, &mut calls);
    }
    calls
}

fn pass(
    now: Instant,
    calls: &mut [Call; 2],
    from: usize,
    sequence: u16,
    packet: &mut Vec<u8>,
    is_short: bool,
) {
    let format = calls[from].outgoing().unwrap();
    packet.clear();
    packet.extend_from_slice(&[0x80, format.payload_type]);
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence) * 960).to_be_bytes());
    packet.extend_from_slice(&format.ssrc.to_be_bytes());
    packet.extend_from_slice(&[7; 80]);
    let length = packet.len();
    let route = if is_short {
        packet.resize(length + TAIL_BYTES, 0);
        let (route, length) = calls[from].seal(packet, length).unwrap().unwrap();
        packet.truncate(length);
        route
    } else {
        calls[from].protect(now, packet).unwrap()
    };
    let Route::Datagram { source, destination } = route else { panic!("no straight way") };
    let to = &mut calls[1 - from];
    let heard = if is_short {
        to.open(now, source, destination, packet).unwrap()
    } else {
        match to.handle_datagram(now, source, destination, packet) {
            Some(Received::Rtp(packet)) => Some(packet),
            Some(Received::Rtcp(_)) | None => None,
        }
    };
    assert_eq!(heard.unwrap()[12..], [7; 80]);
}

/// Carries all that two calls have to say.
fn settle(now: Instant, calls: &mut [Call; 2]) {
    for call in &mut *calls {
        if call.poll_timeout().is_some_and(|due| due <= now) {
            call.handle_timeout(now);
        }
    }
    loop {
        let mut is_quiet = true;
        for from in [0, 1] {
            while let Some(packet) = calls[from].poll_signaling() {
                calls[1 - from].handle_signaling(now, &packet);
                is_quiet = false;
            }
            while let Some(mut transmit) = calls[from].poll_transmit() {
                let Route::Datagram { source, destination } = transmit.route else { continue };
                calls[1 - from].handle_datagram(now, source, destination, &mut transmit.contents);
                is_quiet = false;
            }
            while calls[from].poll_event().is_some() {}
        }
        if is_quiet {
            return;
        }
    }
}

fn call(now: Instant, at: usize, certificate: &Arc<Certificate>) -> Call {
    let address: SocketAddr = ADDRESSES[at].parse().unwrap();
    let parameters = Parameters {
        key: SharedKey::from_bytes(std::array::from_fn(|at| (7 * at + 3) as u8)),
        is_caller: at == 0,
        version: Version::V13,
        p2p_allowed: true,
        servers: Vec::new(),
        only_streams: false,
        custom_parameters: None,
        local_addresses: vec![address.into()],
        certificate: Arc::clone(certificate),
        seed: [at as u8 + 1; 32],
    };
    Call::new(now, parameters).unwrap()
}

fn allocations(work: impl FnOnce()) -> u64 {
    let before = dhat::HeapStats::get().total_blocks;
    work();
    dhat::HeapStats::get().total_blocks - before
}
