//! What a world has seen so far.

use std::net::SocketAddr;
use std::time::Duration;

use tgcall::{Call, Event};

use super::World;

impl World {
    pub fn elapsed(&self) -> Duration {
        self.now
    }

    pub fn call(&self, end: usize) -> &Call {
        &self.ends[end].call
    }

    pub fn call_mut(&mut self, end: usize) -> &mut Call {
        &mut self.ends[end].call
    }

    pub fn address(&self, end: usize) -> SocketAddr {
        self.ends[end].addresses[0]
    }

    pub fn sent(&self, end: usize) -> usize {
        self.ends[end].sent
    }

    /// Packets whose payload was what its sequence number demands; none came twice.
    pub fn received(&self, end: usize) -> usize {
        let mut received = self.ends[end].received.clone();
        received.sort_unstable();
        received.dedup();
        assert_eq!(received.len(), self.ends[end].received.len(), "a packet came twice");
        received.len()
    }

    pub fn events(&self, end: usize) -> Vec<Event> {
        let events = self.ends[end].events.iter().map(|(_, event)| event.clone());
        events.filter(|event| !matches!(event, Event::OutgoingFormat(_))).collect()
    }

    pub fn timed_events(&self, end: usize) -> &[(Duration, Event)] {
        &self.ends[end].events
    }

    /// Numbers of the packets that came, in their order.
    pub fn heard(&self, end: usize) -> &[u16] {
        &self.ends[end].received
    }

    pub fn has(&self, end: usize, address: &str) -> bool {
        self.ends[end].addresses.contains(&address.parse().unwrap())
    }

    pub fn when(&self, end: usize, is: impl Fn(&Event) -> bool) -> Option<Duration> {
        self.ends[end].events.iter().find(|(_, event)| is(event)).map(|(at, _)| *at)
    }

    pub fn last(&self, end: usize, is: impl Fn(&Event) -> bool) -> Option<Duration> {
        self.ends[end].events.iter().rev().find(|(_, event)| is(event)).map(|(at, _)| *at)
    }

    /// The latest word of the other end's microphone.
    pub fn last_muted(&self, end: usize) -> Option<bool> {
        self.ends[end].events.iter().rev().find_map(|(_, event)| match event {
            Event::RemoteMuted(muted) => Some(*muted),
            Event::Connected
            | Event::Reconnecting
            | Event::Failed(_)
            | Event::OutgoingFormat(_)
            | Event::Closed => None,
        })
    }

    pub fn connected_after(&self, end: usize) -> Option<Duration> {
        self.when(end, |event| *event == Event::Connected)
    }

    /// Connectivity checks that went to the callee.
    pub fn caught_checks(&self) -> Vec<Vec<u8>> {
        self.checks.clone()
    }

    pub fn assert_nothing_refused(&self) {
        for end in &self.ends {
            let counters = end.call.counters();
            let refused = counters.forged + counters.replayed + counters.other_source + counters.malformed;
            assert_eq!(refused + counters.stray + counters.early, 0, "{counters:?}");
            assert_eq!(counters.rtp_in as usize, end.received.len());
            assert_eq!(counters.rtp_out as usize, end.sent);
        }
    }
}
