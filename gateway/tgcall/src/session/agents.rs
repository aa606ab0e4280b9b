//! The connectivity checks of one call: an ICE agent (RFC 8445) for the internet, and one for every reflector, since a
//! place behind a reflector pairs with places behind the same one and with nothing else. All have the same credentials,
//! so the peer sees one agent.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use is::stun::{StunMessage, StunPacket};
use is::{Candidate, CandidateKind, IceAgent, IceAgentEvent, IceConnectionState, IceCreds, Protocol};

use super::BadAddress;
use super::agent::{agent, set_hurried};
use super::path::Path;
use crate::relay::ReflectorName;

/// Candidates taken from the peer.
const MAX_REMOTE: usize = 64;
/// Pace of an agent's checks while another agent's path works.
const SLOW_PACE: Duration = Duration::from_secs(5);
/// What a candidate that is never signaled would say of itself: a relay's type, and no preference.
const UNSIGNALED_PRIORITY: u32 = 2 << 24 | 255;
/// Above that of every host from the start.
const LATER_HOST_PREFERENCE: u32 = 0x7000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Internet,
    /// Both ends' places have the same number and port.
    Reflector {
        number: u8,
        port: u16,
    },
}

impl Scope {
    fn of(local: SocketAddr) -> Self {
        match ReflectorName::of(local) {
            Some(ReflectorName { number, .. }) => Scope::Reflector { number, port: local.port() },
            None => Scope::Internet,
        }
    }
}

struct Agent {
    scope: Scope,
    ice: IceAgent,
    slow_until: Instant,
}

/// What an agent found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AgentEvent {
    Nominated(Path),
    /// None of the pairs that a path like this one belongs to answers any more; they are tried again.
    Exhausted(Path),
}

/// A peer's candidate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadCandidate {
    #[error("one too many, and all the others work")]
    OneTooMany,
    #[error("an address that no network carries")]
    Reserved,
    #[error("no place behind a reflector")]
    Place,
    #[error(transparent)]
    Text(#[from] is::IceError),
}

pub(super) struct Agents {
    is_caller: bool,
    /// Nothing is connected.
    is_hurried: bool,
    secret: [u8; 32],
    remote: Option<IceCreds>,
    agents: Vec<Agent>,
    /// Our candidates, and the socket that each needs.
    locals: Vec<(Candidate, SocketAddr)>,
    /// The peer's places behind reflectors, also of those that do not answer us yet.
    places: Vec<Candidate>,
    /// Candidates that signaling brought, the oldest first.
    taken: VecDeque<Candidate>,
    later_hosts: u32,
    nominated: Vec<Path>,
}

impl Agents {
    /// `secret` must be unpredictable.
    pub(super) fn new(now: Instant, is_caller: bool, secret: [u8; 32]) -> Self {
        let mut agents = Agents {
            is_caller,
            is_hurried: true,
            secret,
            remote: None,
            // Most calls have one of each.
            agents: Vec::with_capacity(1),
            locals: Vec::with_capacity(1),
            places: Vec::new(),
            taken: VecDeque::new(),
            later_hosts: 0,
            nominated: Vec::new(),
        };
        agents.agent_of(now, Scope::Internet);
        agents
    }

    /// Gives room back that nothing lies in.
    pub(super) fn trim(&mut self) {
        self.locals.shrink_to_fit();
        self.places.shrink_to_fit();
        self.taken.shrink_to_fit();
        self.nominated.shrink_to_fit();
    }

    pub(super) fn credentials(&self) -> &IceCreds {
        self.agents[0].ice.local_credentials()
    }

    pub(super) fn set_remote(&mut self, now: Instant, credentials: IceCreds) {
        for agent in &mut self.agents {
            agent.ice.set_remote_credentials(credentials.clone());
            agent.ice.handle_timeout(now);
        }
        self.remote = Some(credentials);
    }

    /// Offers a socket of ours; the candidate's line for signaling.
    pub(super) fn add_host(
        &mut self,
        now: Instant,
        address: SocketAddr,
    ) -> Result<Option<String>, BadAddress> {
        let candidate = Candidate::host(address, "udp").map_err(|_| BadAddress(address))?;
        Ok(self.add_local(now, candidate, address))
    }

    /// Offers a socket of a network that came up during the call.
    ///
    /// Its checks name the priority of a host, not of the peer-reflexive candidate that they may make before signaling
    /// tells of it (RFC 8445 section 7.1.1): libwebrtc would put that below the way in use, and drop it.
    pub(super) fn add_later_host(
        &mut self,
        now: Instant,
        address: SocketAddr,
    ) -> Result<Option<String>, BadAddress> {
        Candidate::host(address, "udp").map_err(|_| BadAddress(address))?;
        self.later_hosts += 1;
        let preference = LATER_HOST_PREFERENCE + self.later_hosts.min(0xfff);
        let priority = 126 << 24 | preference << 8 | 255;
        let (foundation, kind) = (format!("later{}", self.later_hosts), CandidateKind::Host);
        let candidate =
            Candidate::from_parts(foundation, 1, Protocol::Udp, priority, address, kind, None, None, None);
        Ok(self.add_local(now, candidate, address))
    }

    /// Offers what one of our sockets looks like from outside.
    pub(super) fn add_reflexive(
        &mut self,
        now: Instant,
        mapped: SocketAddr,
        base: SocketAddr,
    ) -> Option<String> {
        let candidate = Candidate::server_reflexive(mapped, base, "udp").ok()?;
        self.add_local(now, candidate, base)
    }

    /// Offers a relay; `socket` is none of one over a stream.
    pub(super) fn add_relay(
        &mut self,
        now: Instant,
        address: SocketAddr,
        socket: Option<SocketAddr>,
    ) -> Option<String> {
        let nowhere = SocketAddr::new(address.ip(), 0);
        let candidate = Candidate::relayed(address, socket.unwrap_or(nowhere), "udp").ok()?;
        let line = self.add_local(now, candidate, address);
        let scope = Scope::of(address);
        let agent = self.agent_of(now, scope);
        let priority = agent.ice.local_candidates().find(|candidate| candidate.addr() == address)?.prio();
        let ufrag = agent.ice.local_credentials().ufrag.clone();
        for place in self.places.clone() {
            if Scope::of(place.addr()) == scope {
                self.add_place(now, place);
            }
        }
        let Some(name) = ReflectorName::of(address) else { return line };
        Some(format!(
            "candidate:{} 1 udp {priority} {} {} typ relay generation 0 ufrag {ufrag} network-id 1",
            1000 + u16::from(name.number),
            name.host(),
            address.port(),
        ))
    }

    /// Withdraws every candidate that needs this socket or relay.
    pub(super) fn remove(&mut self, now: Instant, address: SocketAddr) {
        let (gone, kept) =
            std::mem::take(&mut self.locals).into_iter().partition(|(_, base)| *base == address);
        self.locals = kept;
        let gone: Vec<(Candidate, SocketAddr)> = gone;
        for (candidate, _) in gone {
            if let Some(agent) = self.agents.iter_mut().find(|agent| agent.scope == Scope::of(address)) {
                agent.ice.invalidate_candidate(&candidate);
                agent.ice.handle_timeout(now);
            }
        }
    }

    /// Takes a candidate line of the peer.
    pub(super) fn add_remote(&mut self, now: Instant, line: &str) -> Result<(), BadCandidate> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let place = words.get(4).and_then(|host| ReflectorName::parse(host));
        let candidate = match place {
            Some(name) => {
                let number = |at: usize| words.get(at).and_then(|word: &&str| word.parse().ok());
                let port = number(5).and_then(|port: u32| u16::try_from(port).ok());
                let (Some(priority), Some(port)) = (number(3), port) else { return Err(BadCandidate::Place) };
                place_candidate(name.address(port), priority)
            }
            None => Candidate::from_sdp_string(line)?,
        };
        if place.is_none() && ReflectorName::is_reserved(candidate.addr()) {
            return Err(BadCandidate::Reserved);
        }
        if self.taken.len() == MAX_REMOTE {
            self.forget_oldest(now)?;
        }
        self.taken.push_back(candidate.clone());
        if place.is_some() {
            self.places.push(candidate.clone());
            self.add_place(now, candidate);
        } else {
            let agent = self.agent_of(now, Scope::Internet);
            agent.ice.add_remote_candidate(candidate);
            agent.ice.handle_timeout(now);
        }
        Ok(())
    }

    /// Takes a place of the peer behind a standalone reflector, which nobody signals.
    pub(super) fn add_unsignaled(&mut self, place: SocketAddr) {
        self.places.push(place_candidate(place, UNSIGNALED_PRIORITY));
    }

    /// Takes a connectivity check or an answer to one; whether it was meant for us.
    pub(super) fn handle_stun(&mut self, now: Instant, path: Path, message: StunMessage<'_>) -> bool {
        if !self.locals.iter().any(|(candidate, _)| candidate.addr() == path.local) {
            return false;
        }
        let Some(agent) = self.agents.iter_mut().find(|agent| agent.scope == Scope::of(path.local)) else {
            return false;
        };
        let (source, destination) = (path.remote, path.local);
        let is_ours =
            agent.ice.handle_packet(now, StunPacket { proto: Protocol::Udp, source, destination, message });
        agent.slow_until = agent.slow_until.min(now + SLOW_PACE);
        is_ours
    }

    pub(super) fn accepts(&self, message: &StunMessage<'_>) -> bool {
        self.agents.iter().any(|agent| agent.ice.accepts_message(message))
    }

    /// Whether a check of ours to the path's far end was answered, while that counts.
    pub(super) fn is_viable(&self, path: Path) -> bool {
        let agent = self.agents.iter().find(|agent| agent.scope == Scope::of(path.local));
        agent.is_some_and(|agent| agent.ice.has_viable_remote_candidate(path.remote))
    }

    /// Of the agent that `path` belongs to.
    pub(super) fn round_trip(&self, path: Path) -> Option<Duration> {
        let agent = self.agents.iter().find(|agent| agent.scope == Scope::of(path.local))?;
        agent.ice.nominated_pair_rtt()
    }

    /// Whether a nomination should replace the path in use.
    pub(super) fn is_preferred(nominated: Path, to: Path) -> bool {
        let (new, old) = (Scope::of(nominated.local), Scope::of(to.local));
        new == old || new == Scope::Internet
    }

    pub(super) fn is_alike(a: Path, b: Path) -> bool {
        Scope::of(a.local) == Scope::of(b.local)
    }

    /// Whether checks are at the pace of a call that is not connected.
    pub(super) fn is_hurried(&self) -> bool {
        self.is_hurried
    }

    /// Checks at the pace of a call that is not connected, or at that of one that is.
    pub(super) fn set_hurried(&mut self, is_hurried: bool) {
        self.is_hurried = is_hurried;
        self.agents.iter_mut().for_each(|agent| set_hurried(&mut agent.ice, is_hurried));
    }

    /// Runs the checks at once, for what was learnt to be used without waiting.
    pub(super) fn hasten(&mut self, now: Instant, path: Path) {
        if let Some(agent) = self.agents.iter_mut().find(|agent| agent.scope == Scope::of(path.local)) {
            agent.ice.handle_timeout(now);
        }
    }

    /// Runs the checks that are due. Agents other than that of `calm`, a path that works well, take their time.
    pub(super) fn handle_timeout(&mut self, now: Instant, calm: Option<Path>) {
        for agent in &mut self.agents {
            if due(agent, calm).is_none_or(|due| due <= now) {
                agent.ice.handle_timeout(now);
                agent.slow_until = now + SLOW_PACE;
            }
        }
    }

    pub(super) fn poll_timeout(&mut self, calm: Option<Path>) -> Option<Instant> {
        self.agents.iter_mut().filter_map(|agent| due(agent, calm)).min()
    }

    pub(super) fn poll_event(&mut self) -> Option<AgentEvent> {
        for agent in &mut self.agents {
            while let Some(event) = agent.ice.poll_event() {
                match event {
                    IceAgentEvent::NominatedSend { source, destination, .. } => {
                        let path = Path { local: source, remote: destination };
                        self.nominated.retain(|other| Scope::of(other.local) != agent.scope);
                        self.nominated.push(path);
                        return Some(AgentEvent::Nominated(path));
                    }
                    IceAgentEvent::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                        agent.ice.recreate_candidate_pairs();
                        let at = self.nominated.iter().position(|path| Scope::of(path.local) == agent.scope);
                        if let Some(at) = at {
                            return Some(AgentEvent::Exhausted(self.nominated.swap_remove(at)));
                        }
                    }
                    IceAgentEvent::IceConnectionStateChange(_)
                    | IceAgentEvent::IceRestart(_)
                    | IceAgentEvent::DiscoveredRecv { .. } => {}
                }
            }
        }
        None
    }

    /// The next check or answer, from one of our candidates' addresses.
    pub(super) fn poll_transmit(&mut self) -> Option<(Path, Vec<u8>)> {
        let transmit = self.agents.iter_mut().find_map(|agent| agent.ice.poll_transmit())?;
        Some((Path { local: transmit.source, remote: transmit.destination }, transmit.contents.into()))
    }

    fn add_local(&mut self, now: Instant, candidate: Candidate, socket: SocketAddr) -> Option<String> {
        let agent = self.agent_of(now, Scope::of(candidate.addr()));
        let added = agent.ice.add_local_candidate(candidate)?.clone();
        agent.ice.handle_timeout(now);
        let line = added.to_sdp_string();
        self.locals.push((added, socket));
        Some(line)
    }

    /// Makes room for another candidate of the peer, which may have gone through many networks and relays by now.
    fn forget_oldest(&mut self, now: Instant) -> Result<(), BadCandidate> {
        let is_used = |candidate: &Candidate| {
            let mut agents = self.agents.iter().filter(|agent| agent.scope == Scope::of(candidate.addr()));
            agents.any(|agent| agent.ice.has_viable_remote_candidate(candidate.addr()))
        };
        let at = self.taken.iter().position(|candidate| !is_used(candidate));
        let oldest = at.and_then(|at| self.taken.remove(at)).ok_or(BadCandidate::OneTooMany)?;
        self.places.retain(|place| *place != oldest);
        let scope = Scope::of(oldest.addr());
        if let Some(agent) = self.agents.iter_mut().find(|agent| agent.scope == scope) {
            agent.ice.invalidate_candidate(&oldest);
            agent.ice.handle_timeout(now);
        }
        Ok(())
    }

    fn add_place(&mut self, now: Instant, place: Candidate) {
        if let Some(agent) = self.agents.iter_mut().find(|agent| agent.scope == Scope::of(place.addr())) {
            agent.ice.add_remote_candidate(place);
            agent.ice.handle_timeout(now);
        }
    }

    fn agent_of(&mut self, now: Instant, scope: Scope) -> &mut Agent {
        let at = self.agents.iter().position(|agent| agent.scope == scope).unwrap_or_else(|| {
            let mut ice = agent(self.is_caller, self.is_hurried, self.secret);
            if let Some(credentials) = &self.remote {
                ice.set_remote_credentials(credentials.clone());
            }
            // An agent names no deadline before its first.
            ice.handle_timeout(now);
            self.agents.push(Agent { scope, ice, slow_until: now });
            self.agents.len() - 1
        });
        &mut self.agents[at]
    }
}

fn due(agent: &mut Agent, calm: Option<Path>) -> Option<Instant> {
    let due = agent.ice.poll_timeout()?;
    let is_slow = calm.is_some_and(|path| Scope::of(path.local) != agent.scope);
    Some(if is_slow { due.max(agent.slow_until) } else { due })
}

fn place_candidate(address: SocketAddr, priority: u32) -> Candidate {
    let foundation = "reflector".to_owned();
    let kind = CandidateKind::Relayed;
    Candidate::from_parts(foundation, 1, Protocol::Udp, priority, address, kind, None, None, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Candidates of ntgcalls 3.0.5 that may use relays alone, `testdata/signaling`.
    const TURN: &str = "candidate:116940803 1 udp 58597632 192.0.2.2 50013 typ relay raddr 0.0.0.0 rport 0 \
                        generation 0 ufrag QlIs network-id 1";
    const REFLECTOR: &str = "candidate:116940803 1 udp 58589952 reflector-1-3279881773.reflector 34599 typ relay \
                             generation 0 ufrag c2sq network-id 1";

    #[test]
    fn candidates_of_each_kind_meet_their_own_kind_only() {
        let now = Instant::now();
        for (line, ufrag, meets) in
            [(TURN, "QlIs", [true, false, false, false]), (REFLECTOR, "c2sq", [false, true, false, false])]
        {
            let own = |number, port| ReflectorName { number, tag: 7 }.address(port);
            let locals = ["192.0.2.1:50000".parse().unwrap(), own(1, 34_599), own(2, 34_599), own(1, 599)];
            let mut agents = Agents::new(now, true, [1; 32]);
            // One is there before the peer's, the others come later.
            agents.add_relay(now, locals[0], None);
            agents.add_remote(now, line).unwrap();
            locals[1..].iter().for_each(|local| drop(agents.add_relay(now, *local, None)));
            agents.set_remote(now, IceCreds { ufrag: ufrag.to_owned(), pass: "p".repeat(24) });
            agents.handle_timeout(now + Duration::from_secs(1), None);
            let mut met = [false; 4];
            while let Some((path, _)) = agents.poll_transmit() {
                met[locals.iter().position(|local| *local == path.local).unwrap()] = true;
            }
            assert_eq!(met, meets, "{line}");
        }
    }

    #[test]
    fn what_signaling_says_of_a_relay_is_what_ntgcalls_says() {
        let now = Instant::now();
        let mut agents = Agents::new(now, true, [1; 32]);
        let ufrag = agents.credentials().ufrag.clone();
        let place = ReflectorName::parse("reflector-1-3279881773.reflector").unwrap().address(34_599);
        let line = agents.add_relay(now, place, None).unwrap();
        let rest = " reflector-1-3279881773.reflector 34599 typ relay generation 0 ufrag";
        assert!(line.ends_with(&format!("{rest} {ufrag} network-id 1")), "{line}");
        let line = agents.add_relay(now, "192.0.2.2:50013".parse().unwrap(), None).unwrap();
        assert!(line.contains(" 192.0.2.2 50013 typ relay raddr 0.0.0.0 rport 0"), "{line}");
    }

    #[test]
    fn candidates_that_cannot_be_are_refused() {
        let now = Instant::now();
        let mut agents = Agents::new(now, true, [1; 32]);
        for line in [
            "",
            "candidate:1 1 udp 5 100::1:0:7 599 typ host",
            "candidate:1 1 udp x reflector-1-7.reflector 599 typ relay",
            "candidate:1 1 udp 5 reflector-1-7.reflector 70000 typ relay",
            "candidate:1 1 udp 5 reflector-1-7.reflector",
            "candidate:1 1 udp 5 somewhere.example 599 typ relay",
        ] {
            assert!(agents.add_remote(now, line).is_err(), "{line}");
        }
        for tag in 0..1000 {
            let line = format!("candidate:1 1 udp 5 reflector-1-{tag}.reflector 599 typ relay");
            agents.add_remote(now, &line).unwrap();
        }
        assert!(agents.taken.len() == MAX_REMOTE && agents.places.len() == MAX_REMOTE);
        agents.add_remote(now, TURN).unwrap();
        assert!(agents.taken.len() == MAX_REMOTE && agents.places.len() == MAX_REMOTE - 1);
    }
}
