//! Ways between the two ends, and which of them packets take.
//!
//! Connectivity checks nominate (RFC 8445 section 8). Beyond that the peer is followed: a way that brings its sound
//! while the chosen one is silent is where it wants ours, as libwebrtc's controlled end sees it too.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Ways that the peer was heard on.
const MAX_KNOWN: usize = 64;
/// A chosen way that is silent for longer than a check takes gives way to one that is not.
const STALE_AFTER: Duration = Duration::from_secs(4);
/// The same, for one whose checks are not answered.
const UNANSWERED_AFTER: Duration = Duration::from_secs(6);
/// Sound on another way is followed once the choice is this old: what was under way has arrived.
const FOLLOW_AFTER: Duration = Duration::from_secs(1);
/// And once the chosen way has brought none for some packets.
const QUIET_AFTER: Duration = Duration::from_millis(300);

/// What packets go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    Direct,
    Turn,
    Reflector,
}

/// What carries packets to the first stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathTransport {
    Udp,
    Tcp,
}

/// The way that a call's packets take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathInfo {
    pub kind: PathKind,
    pub transport: PathTransport,
    /// Our socket; none for a stream.
    pub local: Option<SocketAddr>,
    /// Whom our packets go to: the peer, or the relay's server.
    pub remote: SocketAddr,
    /// Of the last answered connectivity check.
    pub round_trip: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

/// What was heard on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// A connectivity check of the peer.
    Check,
    /// Its answer to one of ours.
    Answer,
    Media,
}

/// A path that the peer was heard on: it knew our password.
struct Known {
    path: Path,
    /// Our own check came back, so nobody has repeated the peer's words from an address of theirs.
    is_valid: bool,
    answered: Option<Instant>,
}

struct Chosen {
    path: Path,
    since: Instant,
    heard: Instant,
    answered: Instant,
    media: Option<Instant>,
    /// No server has a part in it.
    is_direct: bool,
}

/// All paths of a call.
pub(super) struct Paths {
    known: Vec<Known>,
    chosen: Option<Chosen>,
    /// Where DTLS goes before anything was chosen.
    early: Option<Path>,
    /// Something was chosen once: after that any valid path does.
    has_chosen: bool,
    /// [`Paths::remotes`] may tell of others.
    is_changed: bool,
}

impl Paths {
    pub(super) fn new() -> Self {
        Paths { known: Vec::new(), chosen: None, early: None, has_chosen: false, is_changed: false }
    }

    /// The path for media.
    pub(super) fn chosen(&self) -> Option<Path> {
        self.chosen.as_ref().map(|chosen| chosen.path)
    }

    /// The same, if packets take it as they are.
    pub(super) fn direct(&self) -> Option<Path> {
        self.chosen.as_ref().filter(|chosen| chosen.is_direct).map(|chosen| chosen.path)
    }

    /// Whether that is this one.
    pub(super) fn is_direct(&self, path: Path) -> bool {
        self.chosen.as_ref().is_some_and(|chosen| chosen.is_direct && chosen.path == path)
    }

    /// Whether the chosen path has brought sound.
    pub(super) fn has_sound(&self) -> bool {
        self.chosen.as_ref().is_some_and(|chosen| chosen.media.is_some())
    }

    /// Takes note of whether packets take the chosen path as they are, which the next choice ends.
    pub(super) fn set_direct(&mut self, is_direct: bool) {
        if let Some(chosen) = &mut self.chosen {
            chosen.is_direct = is_direct;
        }
    }

    /// The path for DTLS.
    pub(super) fn any(&self) -> Option<Path> {
        self.chosen().or(self.early)
    }

    pub(super) fn set_early(&mut self, path: Path) {
        self.early = Some(path);
    }

    pub(super) fn is_known(&self, path: Path) -> bool {
        self.known.iter().any(|known| known.path == path)
    }

    pub(super) fn is_from(&self, remote: SocketAddr) -> bool {
        self.known.iter().any(|known| known.path.remote == remote)
    }

    /// Whether other far ends may be known than before.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// The far ends that were heard on one of our sockets, some perhaps twice.
    pub(super) fn remotes(&self, local: SocketAddr) -> impl Iterator<Item = SocketAddr> {
        let paths = self.known.iter().map(|known| known.path).chain(self.chosen());
        paths.filter(move |path| path.local == local).map(|path| path.remote)
    }

    pub(super) fn is_valid(&self, path: Path) -> bool {
        self.chosen() == Some(path) || self.known.iter().any(|known| known.path == path && known.is_valid)
    }

    /// Whether the chosen path was heard within `limit` before `now`.
    pub(super) fn is_lively(&self, now: Instant, limit: Duration) -> bool {
        self.chosen.as_ref().is_some_and(|chosen| now < chosen.heard + limit)
    }

    /// The peer knew our password on this path.
    pub(super) fn learn(&mut self, path: Path, is_valid: bool) {
        match self.known.iter_mut().find(|known| known.path == path) {
            Some(known) => known.is_valid |= is_valid,
            None => {
                if self.known.len() == MAX_KNOWN {
                    // What packets take stays.
                    let chosen = self.chosen();
                    let oldest = self.known.iter().position(|known| Some(known.path) != chosen);
                    self.known.remove(oldest.unwrap_or(0));
                }
                self.known.push(Known { path, is_valid, answered: None });
                self.is_changed = true;
            }
        }
        if is_valid && self.early.is_none() {
            self.early = Some(path);
        }
    }

    /// Something authentic came on this path.
    pub(super) fn hear(&mut self, now: Instant, path: Path, what: Heard) {
        if what == Heard::Answer
            && let Some(known) = self.known.iter_mut().find(|known| known.path == path)
        {
            known.answered = Some(now);
        }
        let is_better = match &mut self.chosen {
            Some(chosen) if chosen.path == path => {
                chosen.heard = now;
                match what {
                    Heard::Check => {}
                    Heard::Answer => chosen.answered = now,
                    Heard::Media => chosen.media = Some(now),
                }
                return;
            }
            Some(chosen) => {
                let is_quiet = chosen.media.is_none_or(|at| now >= at + QUIET_AFTER);
                let wants_us_here = what == Heard::Media && is_quiet && now >= chosen.since + FOLLOW_AFTER;
                let is_deaf = now >= chosen.answered + UNANSWERED_AFTER && is_proven(&self.known, now, path);
                wants_us_here || is_deaf || now >= chosen.heard + STALE_AFTER
            }
            None => self.has_chosen,
        };
        if is_better && self.is_valid(path) {
            tracing::debug!(remote = %path.remote, "the peer has moved");
            self.choose(now, path);
        }
    }

    /// Sound came on the chosen path.
    pub(super) fn hear_sound(&mut self, now: Instant) {
        if let Some(chosen) = &mut self.chosen {
            (chosen.heard, chosen.media) = (now, Some(now));
        }
    }

    pub(super) fn choose(&mut self, now: Instant, path: Path) {
        if self.chosen() != Some(path) {
            (self.has_chosen, self.is_changed) = (true, true);
            let (media, is_direct) = (None, false);
            self.chosen = Some(Chosen { path, since: now, heard: now, answered: now, media, is_direct });
        }
    }

    /// Gives up every path that `is_gone` names; the liveliest of the others takes over.
    pub(super) fn drop_paths(&mut self, now: Instant, is_gone: impl Fn(Path) -> bool) {
        self.known.retain(|known| !is_gone(known.path));
        self.is_changed = true;
        self.early = self.early.filter(|path| !is_gone(*path));
        self.leave(now, is_gone);
    }

    /// Chooses another path than those that `is_bad` names, if there is any that answers.
    pub(super) fn leave(&mut self, now: Instant, is_bad: impl Fn(Path) -> bool) {
        if self.chosen().is_none_or(|path| !is_bad(path)) {
            return;
        }
        self.chosen = None;
        let next = self
            .known
            .iter()
            .filter(|known| known.is_valid && !is_bad(known.path))
            .filter_map(|known| Some((known.answered.filter(|at| now < *at + UNANSWERED_AFTER)?, known.path)))
            .max_by_key(|(answered, _)| *answered);
        if let Some((_, path)) = next {
            self.choose(now, path);
        }
    }

    pub(super) fn check_invariants(&self) {
        debug_assert!(self.known.len() <= MAX_KNOWN, "what a peer sends is bounded");
    }
}

/// Whether our checks were answered on a path lately.
fn is_proven(known: &[Known], now: Instant, path: Path) -> bool {
    known
        .iter()
        .any(|known| known.path == path && known.answered.is_some_and(|at| now < at + UNANSWERED_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn sound_on_another_way_is_followed_when_the_chosen_one_is_quiet() {
        let start = Instant::now();
        let (mut paths, [first, second]) = two_valid();
        paths.choose(start, first);
        paths.hear(start + 990 * MS, first, Heard::Media);
        paths.hear(start + 1010 * MS, second, Heard::Media);
        assert_eq!(paths.chosen(), Some(first), "both bring sound");
        paths.hear(start + 1290 * MS, second, Heard::Media);
        assert_eq!(paths.chosen(), Some(second));
        paths.hear(start + 1300 * MS, first, Heard::Media);
        assert_eq!(paths.chosen(), Some(second), "what was under way changes nothing");
    }

    #[test]
    fn a_way_that_only_a_stranger_repeats_is_never_taken() {
        let start = Instant::now();
        let (mut paths, [first, _]) = two_valid();
        let repeated = Path { remote: "203.0.113.6:6".parse().unwrap(), ..first };
        paths.choose(start, first);
        paths.learn(repeated, false);
        for second in 0..30 {
            paths.hear(start + second * 1000 * MS, repeated, Heard::Media);
        }
        assert_eq!(paths.chosen(), Some(first));
        paths.drop_paths(start, |path| path == first);
        paths.hear(start, repeated, Heard::Check);
        assert_ne!(paths.chosen(), Some(repeated));
    }

    #[test]
    fn a_way_that_is_heard_but_never_answers_gives_way_to_one_that_does() {
        let start = Instant::now();
        let (mut paths, [first, second]) = two_valid();
        paths.choose(start, first);
        for at in (0..=6000).step_by(500) {
            paths.hear(start + at * MS, first, Heard::Check);
            paths.hear(start + at * MS, second, Heard::Answer);
            assert_eq!(paths.chosen() == Some(second), at == 6000, "{at} ms");
        }
    }

    #[test]
    fn another_way_takes_over_when_the_chosen_one_is_gone() {
        let start = Instant::now();
        let (mut paths, [first, second]) = two_valid();
        paths.choose(start, first);
        paths.hear(start, second, Heard::Answer);
        paths.drop_paths(start, |path| path.local == first.local);
        assert_eq!(paths.chosen(), Some(second));
        paths.drop_paths(start, |path| path.local == second.local);
        assert_eq!(paths.any(), None);
        paths.learn(first, true);
        paths.hear(start, first, Heard::Check);
        assert_eq!(paths.chosen(), Some(first), "any way will do by then");
    }

    #[test]
    fn far_ends_are_told_until_they_are_given_up_and_the_chosen_one_is_never_forgotten() {
        let start = Instant::now();
        let (mut paths, [first, second]) = two_valid();
        assert!(paths.take_changed() && !paths.take_changed());
        paths.choose(start, first);
        paths.learn(first, true);
        for port in 1..=2 * MAX_KNOWN as u16 {
            paths.learn(Path { remote: SocketAddr::new([192, 0, 2, 9].into(), port), ..first }, false);
        }
        assert!(paths.take_changed());
        let known = |paths: &Paths, local| paths.remotes(local).collect::<Vec<_>>();
        let here = known(&paths, first.local);
        assert!(here.contains(&first.remote) && here.len() <= MAX_KNOWN + 1);
        assert!(here.contains(&"192.0.2.9:128".parse().unwrap()));
        assert!(!here.contains(&"192.0.2.9:1".parse().unwrap()), "the oldest goes");
        assert_eq!(known(&paths, second.local), []);
        paths.drop_paths(start, |path| path.local == first.local);
        assert!(paths.take_changed() && known(&paths, first.local).is_empty());
    }

    fn two_valid() -> (Paths, [Path; 2]) {
        let both = ["10.0.0.1:1", "10.0.1.1:1"]
            .map(|local| Path { local: local.parse().unwrap(), remote: "10.0.0.2:2".parse().unwrap() });
        let mut paths = Paths::new();
        both.iter().for_each(|path| paths.learn(*path, true));
        (paths, both)
    }
}
