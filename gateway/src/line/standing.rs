//! How a line stands with its PBX: which of its addresses answer, whether it believes us, whether it knows where we are.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use tgtrunk_config::{Lamp, Said, Trouble};
use tgtrunk_sip::{Event, Registration};

/// What the PBX let a line know.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// The user that it is told, when it asks for one.
    user: String,
    /// Whether it answered our latest OPTIONS anywhere; `None` before the first answer or its absence.
    peer: Option<bool>,
    /// Which of several addresses do not answer.
    silent: BTreeSet<SocketAddr>,
    /// It does not believe us: whether there is a password that it does not take.
    doubt: Option<bool>,
    registration: Option<Registration>,
    /// What keeps the line from connecting to it.
    unconnected: Option<Said>,
    /// Its requests come with a wrong user or password.
    guesses: bool,
}

impl Standing {
    /// A line that is `user` to its PBX.
    pub(crate) fn new(user: &str) -> Self {
        Self { user: user.to_owned(), ..Self::default() }
    }

    /// Takes news of the PBX. True when the event was some.
    pub(crate) fn handle(&mut self, event: &Event, is_pbx: impl Fn(IpAddr) -> bool) -> bool {
        match event {
            Event::PeerReachable(reachable) => self.peer = Some(*reachable),
            Event::AddressReachable { address, reachable: true } => drop(self.silent.remove(address)),
            Event::AddressReachable { address, reachable: false } => drop(self.silent.insert(*address)),
            Event::Registration(registration) => {
                tracing::info!(?registration, "the line's registration at the PBX");
                self.registration = Some(registration.clone());
            }
            Event::ProofRefused { realm, known } => {
                tracing::warn!(realm, known, "the PBX does not believe the line");
                self.doubt = Some(*known);
            }
            Event::ProofTaken => self.doubt = None,
            Event::Guessed { source, guesses } => {
                tracing::warn!(guesses, "requests with a wrong user or password were refused");
                tracing::debug!(%source, "who guesses");
                self.guesses |= is_pbx(source.ip());
            }
            Event::Proven { source } => self.guesses &= !is_pbx(source.ip()),
            Event::Incoming { .. }
            | Event::Ringing { .. }
            | Event::EarlyMedia { .. }
            | Event::Answered { .. }
            | Event::Refused { .. }
            | Event::HungUp { .. }
            | Event::Cancelled { .. }
            | Event::MediaChanged { .. }
            | Event::Refer { .. }
            | Event::Replaces { .. }
            | Event::Replaced { .. }
            | Event::Info { .. }
            | Event::InfoRefused { .. }
            | Event::TurnedAway { .. }
            | Event::Stranger { .. } => return false,
        }
        true
    }

    /// Notes what keeps the line from connecting to its PBX; none when it has connected.
    pub(crate) fn cannot_connect(&mut self, why: Option<Said>) {
        self.unconnected = why;
    }

    /// Forgets addresses that are not the PBX's any more.
    pub(crate) fn keep(&mut self, is_pbx: impl Fn(SocketAddr) -> bool) {
        self.silent.retain(|address| is_pbx(*address));
    }

    /// Whether the PBX answered our latest OPTIONS; none while nobody knows.
    pub(crate) fn peer(&self) -> Option<bool> {
        self.peer
    }

    /// What an operator has to mend.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        let user = || self.user.clone();
        match (&self.doubt, &self.registration) {
            (Some(true), _) => Some(Trouble::PbxDoubtsPassword { user: user() }),
            (Some(false), _) => Some(Trouble::PbxWantsPassword),
            (None, Some(Registration::Refused { status, phrase })) => {
                Some(Trouble::NotRegistered { user: user(), status: *status, phrase: phrase.clone() })
            }
            (None, _) if self.guesses => Some(Trouble::PbxGuesses),
            (None, _) => None,
        }
    }

    /// The lamp, and why.
    pub(crate) fn light(&self) -> (Lamp, Said) {
        if let Some(trouble) = self.trouble() {
            return (Lamp::Orange, Said::from(trouble));
        }
        let unanswered = matches!(self.registration, Some(Registration::Unanswered));
        match self.peer {
            Some(true) if unanswered => {
                (Lamp::Orange, Said::new("the PBX does not answer REGISTER", "АТС не отвечает на REGISTER"))
            }
            Some(true) => (Lamp::Green, self.answers()),
            Some(false) | None if let Some(why) = &self.unconnected => (Lamp::Orange, why.clone()),
            Some(false) => {
                (Lamp::Orange, Said::new("the PBX does not answer OPTIONS", "АТС не отвечает на OPTIONS"))
            }
            None => {
                let waiting = ("waiting for the PBX's answer to OPTIONS", "ожидается ответ АТС на OPTIONS");
                (Lamp::Orange, Said::new(waiting.0, waiting.1))
            }
        }
    }

    fn answers(&self) -> Said {
        let registered = matches!(self.registration, Some(Registration::Held { .. }));
        let (en, ru) = if registered {
            ("the PBX answers, the line is registered there", "АТС отвечает, линия на ней зарегистрирована")
        } else {
            ("the PBX answers", "АТС отвечает")
        };
        if self.silent.is_empty() {
            return Said::new(en, ru);
        }
        let silent: Vec<String> = self.silent.iter().map(SocketAddr::to_string).collect();
        let silent = silent.join(", ");
        Said::new(
            format!("{en}; there is no answer from {silent}, calls go to its other address"),
            format!("{ru}; нет ответа от {silent}, звонки идут на другой её адрес"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lamp_is_green_while_an_address_answers_and_names_those_that_do_not() {
        let mut standing = Standing::new("line1");
        assert_eq!(standing.light().0, Lamp::Orange);
        let dead: SocketAddr = "10.0.0.1:5060".parse().unwrap();
        tell(&mut standing, Event::AddressReachable { address: dead, reachable: false });
        tell(&mut standing, Event::PeerReachable(true));
        let (lamp, said) = standing.light();
        assert_eq!(lamp, Lamp::Green);
        assert_eq!(
            said.en,
            "the PBX answers; there is no answer from 10.0.0.1:5060, calls go to its other address"
        );
        assert!(said.ru.contains("нет ответа от 10.0.0.1:5060"));
        standing.keep(|_| false);
        assert_eq!(standing.light().1.en, "the PBX answers");
        tell(&mut standing, Event::PeerReachable(false));
        assert_eq!(standing.light().0, Lamp::Orange);
    }

    #[test]
    fn what_a_person_has_to_mend_is_told_before_all_else_until_it_is_mended() {
        let mut standing = Standing::new("line1");
        tell(&mut standing, Event::PeerReachable(true));
        let refused = Registration::Refused { status: 403, phrase: "Forbidden".to_owned() };
        tell(&mut standing, Event::Registration(refused));
        let (lamp, said) = standing.light();
        assert!(
            lamp == Lamp::Orange && said.en.contains("line1") && said.en.contains("403 Forbidden"),
            "{said:?}"
        );
        tell(&mut standing, Event::ProofRefused { realm: "pbx".to_owned(), known: true });
        let said = standing.light().1;
        assert_eq!(
            said.en,
            "the PBX does not know user line1, or the password is wrong: see digest_user and digest_password in the line's settings"
        );
        tell(&mut standing, Event::ProofTaken);
        tell(&mut standing, Event::Registration(Registration::Held { expires_s: 600 }));
        assert_eq!(standing.light().1.en, "the PBX answers, the line is registered there");
        tell(&mut standing, Event::Guessed { source: "192.0.2.9:5060".parse().unwrap(), guesses: 3 });
        assert_eq!(standing.light().0, Lamp::Green, "somebody else guesses");
        tell(&mut standing, Event::Guessed { source: "10.0.0.1:5060".parse().unwrap(), guesses: 3 });
        assert_eq!(standing.light().0, Lamp::Orange);
        tell(&mut standing, Event::Proven { source: "10.0.0.1:5060".parse().unwrap() });
        assert_eq!(standing.light().0, Lamp::Green);
    }

    fn tell(standing: &mut Standing, event: Event) {
        let pbx: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(standing.handle(&event, |ip| ip == pbx));
    }
}
