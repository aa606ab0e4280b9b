//! Faults a test asks for: rules that match requests or pushes and say what becomes of them.

use std::collections::BTreeMap;
use std::time::Duration;

use grammers_tl_types as tl;
use serde::{Deserialize, Serialize};

use crate::bad_path::Dice;
use crate::link::Answer;

/// Which requests or pushes a rule is about; what is left out matches all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// The user logged in.
    pub user: Option<i64>,
    /// The key.
    pub auth_key_id: Option<i64>,
    /// A method (`phone.requestCall`), or for pushes an update (`updatePhoneCall`) or the call's state in it
    /// (`phoneCallAccepted`).
    pub method: Option<String>,
    /// From the n-th match on, counted from 1.
    pub nth: Option<u32>,
    /// For so many matches; for ever without it.
    pub times: Option<u32>,
    /// For this share of the matches alone, from 0 to 1, picked by chance.
    pub share: Option<f64>,
    /// Which chance: the same matches again for the same seed.
    pub seed: u64,
}

impl Match {
    /// Any user's use of one method, or any push of one kind.
    pub fn method(name: impl Into<String>) -> Self {
        Self { method: Some(name.into()), ..Self::default() }
    }

    /// Of this user alone.
    #[must_use]
    pub fn user(mut self, user: i64) -> Self {
        self.user = Some(user);
        self
    }

    /// A share of them by chance that comes again with its seed.
    #[must_use]
    pub fn share(mut self, share: f64, seed: u64) -> Self {
        (self.share, self.seed) = (Some(share), seed);
        self
    }

    /// The next one alone.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.times = Some(1);
        self
    }
}

/// What becomes of a match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// The request is refused so, unseen.
    Error {
        /// 420.
        code: i32,
        /// `FLOOD_WAIT_31`.
        message: String,
    },
    /// The request is served at once and answered late.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// The request is neither served nor answered.
    Silence,
    /// The request is served and not answered.
    LoseAnswer,
    /// The connection closes with FIN, the request unseen.
    Close,
    /// The connection closes with RST, the request unseen.
    Reset,
    /// Nothing is answered on this connection any more.
    BlackHole,
    /// A transport error: -404, -429, -444.
    TransportError {
        /// The number.
        code: i32,
    },
    /// `bad_msg_notification`.
    BadMsg {
        /// 16, 17, 20, 32, 33, 64.
        code: i32,
    },
    /// `bad_server_salt`.
    BadServerSalt,
    /// A push never arrives; if it had a `seq`, there is a gap.
    DropPush,
    /// A push arrives twice.
    DuplicatePush,
    /// A push arrives after the next one for the same key, or a second later.
    ReorderPush,
    /// A push arrives late.
    DelayPush {
        /// Milliseconds.
        ms: u64,
    },
}

impl Action {
    fn is_about_pushes(&self) -> bool {
        match self {
            Self::DropPush | Self::DuplicatePush | Self::ReorderPush | Self::DelayPush { .. } => true,
            Self::Error { .. }
            | Self::Delay { .. }
            | Self::Silence
            | Self::LoseAnswer
            | Self::Close
            | Self::Reset
            | Self::BlackHole
            | Self::TransportError { .. }
            | Self::BadMsg { .. }
            | Self::BadServerSalt => false,
        }
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it is about.
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// What it does.
    pub action: Action,
}

/// A rule in force, told to a test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleInfo {
    /// Number, to take it away by.
    pub id: u64,
    /// What it says.
    pub rule: Rule,
    /// How often it matched.
    pub matched: u32,
    /// How often it acted.
    pub acted: u32,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Served as ever.
    Serve,
    /// This instead.
    Instead(Answer, String),
    /// Served, answered late.
    Late(Duration),
    /// Served, not answered.
    Unanswered,
}

/// What becomes of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PushFate {
    Send,
    Drop,
    Twice,
    Late(Duration),
    Overtaken,
}

/// The rules in force; the first that matches acts.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<RuleInfo>,
    /// One for each rule.
    dice: BTreeMap<u64, Dice>,
    last_id: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, rule: Rule) -> u64 {
        self.last_id += 1;
        self.dice.insert(self.last_id, Dice::new(rule.matches.seed));
        self.rules.push(RuleInfo { id: self.last_id, rule, matched: 0, acted: 0 });
        self.last_id
    }

    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id != id);
        self.dice.remove(&id);
        before != self.rules.len()
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
        self.dice.clear();
    }

    pub(crate) fn list(&self) -> Vec<RuleInfo> {
        self.rules.clone()
    }

    /// What becomes of a request.
    pub(crate) fn fate(&mut self, user: Option<i64>, key: i64, method: &str) -> Fate {
        let Some(action) = self.take(user, key, &[method], false) else { return Fate::Serve };
        let instead = |answer, name: &str| Fate::Instead(answer, format!("fault: {name}"));
        match action {
            Action::Error { code, message } => {
                let told = format!("fault: {code} {message}");
                Fate::Instead(Answer::Error { code, message }, told)
            }
            Action::Delay { ms } => Fate::Late(Duration::from_millis(ms)),
            Action::LoseAnswer => Fate::Unanswered,
            Action::Silence => instead(Answer::Silence, "silence"),
            Action::Close => instead(Answer::CloseConnection, "close"),
            Action::Reset => instead(Answer::ResetConnection, "reset"),
            Action::BlackHole => instead(Answer::BlackHole, "black hole"),
            Action::TransportError { code } => instead(Answer::TransportError(code), "transport error"),
            Action::BadMsg { code } => instead(Answer::BadMsg(code), "bad message"),
            Action::BadServerSalt => instead(Answer::BadServerSalt, "bad salt"),
            Action::DropPush | Action::DuplicatePush | Action::ReorderPush | Action::DelayPush { .. } => {
                Fate::Serve
            }
        }
    }

    /// What becomes of a push.
    pub(crate) fn fate_of_push(
        &mut self,
        user: Option<i64>,
        key: i64,
        update: &tl::enums::Update,
    ) -> PushFate {
        if self.rules.is_empty() {
            return PushFate::Send;
        }
        match self.take(user, key, &names(update), true) {
            Some(Action::DropPush) => PushFate::Drop,
            Some(Action::DuplicatePush) => PushFate::Twice,
            Some(Action::ReorderPush) => PushFate::Overtaken,
            Some(Action::DelayPush { ms }) => PushFate::Late(Duration::from_millis(ms)),
            _ => PushFate::Send,
        }
    }

    fn take(&mut self, user: Option<i64>, key: i64, names: &[&str], push: bool) -> Option<Action> {
        for info in &mut self.rules {
            let matches = &info.rule.matches;
            let fits = info.rule.action.is_about_pushes() == push
                && matches.user.is_none_or(|wanted| Some(wanted) == user)
                && matches.auth_key_id.is_none_or(|wanted| wanted == key)
                && matches.method.as_deref().is_none_or(|wanted| names.contains(&wanted))
                && matches.times.is_none_or(|times| info.acted < times);
            if fits {
                info.matched += 1;
                let dice = self.dice.get_mut(&info.id);
                let falls = |share| dice.is_some_and(|dice| dice.falls(share));
                if info.matched >= matches.nth.unwrap_or(1) && matches.share.is_none_or(falls) {
                    info.acted += 1;
                    return Some(info.rule.action.clone());
                }
            }
        }
        None
    }
}

/// The names under which a rule may mean this update.
fn names(update: &tl::enums::Update) -> Vec<&'static str> {
    use tl::Serializable;
    let mut names = vec![constructor(&update.to_bytes())];
    if let tl::enums::Update::PhoneCall(call) = update {
        names.push(constructor(&call.phone_call.to_bytes()));
    }
    names
}

fn constructor(bytes: &[u8]) -> &'static str {
    bytes.first_chunk::<4>().map_or("", |id| tl::name_for_id(u32::from_le_bytes(*id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_acts_from_its_nth_match_on_and_so_many_times() {
        let mut faults = Faults::default();
        let matches = Match { nth: Some(2), times: Some(2), ..Match::method("phone.requestCall") };
        faults.add(Rule { matches, action: Action::Silence });
        let mut acts = || matches!(faults.fate(Some(1), 9, "phone.requestCall"), Fate::Instead(..));
        assert_eq!([acts(), acts(), acts(), acts()], [false, true, true, false]);
    }

    #[test]
    fn a_rule_for_one_user_leaves_others_alone() {
        let mut faults = Faults::default();
        faults.add(Rule { matches: Match::default().user(5), action: Action::Silence });
        assert!(matches!(faults.fate(Some(4), 9, "help.getConfig"), Fate::Serve));
        assert!(matches!(faults.fate(None, 9, "help.getConfig"), Fate::Serve));
        assert!(matches!(faults.fate(Some(5), 9, "help.getConfig"), Fate::Instead(..)));
    }

    #[test]
    fn a_push_may_be_meant_by_the_state_of_its_call() {
        let mut faults = Faults::default();
        faults.add(Rule { matches: Match::method("phoneCallEmpty"), action: Action::DropPush });
        let update =
            tl::types::UpdatePhoneCall { phone_call: tl::types::PhoneCallEmpty { id: 1 }.into() }.into();
        assert_eq!(faults.fate_of_push(None, 9, &update), PushFate::Drop);
        assert_eq!(faults.fate_of_push(None, 9, &tl::enums::Update::LoginToken), PushFate::Send);
    }

    #[test]
    fn a_rule_for_a_share_picks_the_same_ones_again_with_the_same_seed() {
        let picked = |seed| {
            let mut faults = Faults::default();
            let matches = Match::method("phone.sendSignalingData").share(0.2, seed);
            faults.add(Rule { matches, action: Action::Silence });
            let acts = |faults: &mut Faults| {
                matches!(faults.fate(Some(1), 9, "phone.sendSignalingData"), Fate::Instead(..))
            };
            (0..1000).map(|_| acts(&mut faults)).collect::<Vec<_>>()
        };
        let first = picked(1);
        assert!((150..=250).contains(&first.iter().filter(|acts| **acts).count()));
        assert_eq!(first, picked(1));
        assert_ne!(first, picked(2));
    }

    #[test]
    fn a_rule_reads_as_json() {
        let text = r#"{"match": {"method": "phone.requestCall", "times": 1},
                       "action": {"do": "error", "code": 420, "message": "FLOOD_WAIT_31"}}"#;
        let rule: Rule = serde_json::from_str(text).unwrap();
        let action = Action::Error { code: 420, message: "FLOOD_WAIT_31".to_owned() };
        assert_eq!(rule, Rule { matches: Match::method("phone.requestCall").once(), action });
    }
}
