//! Privacy rules (core.telegram.org/api/privacy): who may call, be called directly, and see the number.

use std::collections::BTreeMap;

use grammers_tl_types as tl;
use serde::{Deserialize, Serialize};

use super::dispatch::Ctx;
use super::error::RpcError;
use super::state::State;
use tl::enums::{InputPrivacyKey as Input, InputPrivacyRule as InputRule, PrivacyKey, PrivacyRule};

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrivacyKind {
    /// Who may call.
    PhoneCall,
    /// With whom calls may go directly.
    PhoneP2p,
    /// Who sees the phone number.
    PhoneNumber,
    /// Who finds the user by phone number.
    AddedByPhone,
}

/// All of them.
const PRIVACY_KINDS: [PrivacyKind; 4] =
    [PrivacyKind::PhoneCall, PrivacyKind::PhoneP2p, PrivacyKind::PhoneNumber, PrivacyKind::AddedByPhone];

impl PrivacyKind {
    fn key(self) -> PrivacyKey {
        match self {
            Self::PhoneCall => PrivacyKey::PhoneCall,
            Self::PhoneP2p => PrivacyKey::PhoneP2P,
            Self::PhoneNumber => PrivacyKey::PhoneNumber,
            Self::AddedByPhone => PrivacyKey::AddedByPhone,
        }
    }
}

/// The plain answers to "who?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// All users.
    Everybody,
    /// The owner's contacts.
    Contacts,
    /// None.
    Nobody,
}

/// A rule and its exceptions, as a test says and is told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivacyInfo {
    /// What the rule is about.
    pub kind: PrivacyKind,
    /// Who may.
    pub audience: Audience,
    /// Users who may all the same.
    #[serde(default)]
    pub allow: Vec<i64>,
    /// Users who may not.
    #[serde(default)]
    pub disallow: Vec<i64>,
}

impl PrivacyInfo {
    /// A rule without exceptions.
    pub fn plain(kind: PrivacyKind, audience: Audience) -> Self {
        Self { kind, audience, allow: Vec::new(), disallow: Vec::new() }
    }

    /// Exceptions first, as official applications order them.
    pub(crate) fn rules(&self) -> Vec<PrivacyRule> {
        let users = |users: &[i64]| (!users.is_empty()).then(|| users.to_vec());
        let allowed = users(&self.allow).map(|users| tl::types::PrivacyValueAllowUsers { users }.into());
        let refused =
            users(&self.disallow).map(|users| tl::types::PrivacyValueDisallowUsers { users }.into());
        allowed.into_iter().chain(refused).chain(plain(self.audience)).collect()
    }
}

/// One user's rules.
#[derive(Debug, Default)]
pub(crate) struct Privacy {
    rules: BTreeMap<PrivacyKind, Vec<PrivacyRule>>,
}

impl Privacy {
    pub(crate) fn rules(&self, kind: PrivacyKind) -> Vec<PrivacyRule> {
        self.rules.get(&kind).cloned().unwrap_or_else(|| match kind {
            PrivacyKind::PhoneNumber => plain(Audience::Contacts),
            PrivacyKind::PhoneCall | PrivacyKind::PhoneP2p | PrivacyKind::AddedByPhone => {
                plain(Audience::Everybody)
            }
        })
    }

    /// All rules, in few words.
    pub(crate) fn list(&self) -> Vec<PrivacyInfo> {
        let told = |kind| {
            let rules = self.rules(kind);
            let has = |wanted: &PrivacyRule| rules.contains(wanted);
            let audience = if has(&PrivacyRule::PrivacyValueAllowAll) {
                Audience::Everybody
            } else if has(&PrivacyRule::PrivacyValueAllowContacts) {
                Audience::Contacts
            } else {
                Audience::Nobody
            };
            let mut info = PrivacyInfo::plain(kind, audience);
            for rule in &rules {
                match rule {
                    PrivacyRule::PrivacyValueAllowUsers(named) => info.allow.extend(&named.users),
                    PrivacyRule::PrivacyValueDisallowUsers(named) => info.disallow.extend(&named.users),
                    _ => {}
                }
            }
            info
        };
        PRIVACY_KINDS.map(told).to_vec()
    }

    pub(crate) fn set(&mut self, kind: PrivacyKind, rules: Vec<PrivacyRule>) {
        self.rules.insert(kind, rules);
    }

    /// Named users first, then contacts, then everybody; none of them means no.
    pub(crate) fn allows(&self, kind: PrivacyKind, viewer: i64, is_contact: bool) -> bool {
        let rules = self.rules(kind);
        let weight = |rule: &PrivacyRule| match rule {
            PrivacyRule::PrivacyValueDisallowUsers(named) if named.users.contains(&viewer) => {
                Some((3, false))
            }
            PrivacyRule::PrivacyValueAllowUsers(named) if named.users.contains(&viewer) => Some((3, true)),
            PrivacyRule::PrivacyValueDisallowContacts if is_contact => Some((2, false)),
            PrivacyRule::PrivacyValueAllowContacts if is_contact => Some((2, true)),
            PrivacyRule::PrivacyValueDisallowAll => Some((1, false)),
            PrivacyRule::PrivacyValueAllowAll => Some((1, true)),
            _ => None,
        };
        let strongest = rules.iter().filter_map(weight).max_by_key(|(weight, allow)| (*weight, !*allow));
        strongest.is_some_and(|(_, allow)| allow)
    }
}

/// The rules that say just this.
pub(crate) fn plain(audience: Audience) -> Vec<PrivacyRule> {
    match audience {
        Audience::Everybody => vec![PrivacyRule::PrivacyValueAllowAll],
        Audience::Contacts => {
            vec![PrivacyRule::PrivacyValueAllowContacts, PrivacyRule::PrivacyValueDisallowAll]
        }
        Audience::Nobody => vec![PrivacyRule::PrivacyValueDisallowAll],
    }
}

/// `account.getPrivacy`.
pub(crate) fn get_privacy(
    ctx: &mut Ctx<'_>,
    request: tl::functions::account::GetPrivacy,
) -> Result<tl::enums::account::PrivacyRules, RpcError> {
    let kind = kind(&request.key)?;
    Ok(rules_of(ctx, kind))
}

/// `account.setPrivacy`.
pub(crate) fn set_privacy(
    ctx: &mut Ctx<'_>,
    request: tl::functions::account::SetPrivacy,
) -> Result<tl::enums::account::PrivacyRules, RpcError> {
    let kind = kind(&request.key)?;
    let rules = request.rules.iter().map(|rule| checked(ctx, rule)).collect::<Result<Vec<_>, _>>()?;
    ctx.state.set_privacy(ctx.user, kind, rules, Some(ctx.caller.auth_key_id));
    Ok(rules_of(ctx, kind))
}

impl State {
    /// Sets a rule and tells the user's devices, but the one that set it.
    pub(crate) fn set_privacy(
        &mut self,
        user: i64,
        kind: PrivacyKind,
        rules: Vec<PrivacyRule>,
        by: Option<i64>,
    ) {
        if let Some(user) = self.users.user_mut(user) {
            user.privacy.set(kind, rules.clone());
        }
        let named = named(&rules);
        let update: tl::enums::Update = tl::types::UpdatePrivacy { key: kind.key(), rules }.into();
        self.push_to_others(user, by.unwrap_or(0), update, &named);
    }
}

/// The users that rules name.
fn named(rules: &[PrivacyRule]) -> Vec<i64> {
    let of = |rule: &PrivacyRule| match rule {
        PrivacyRule::PrivacyValueAllowUsers(named) => named.users.clone(),
        PrivacyRule::PrivacyValueDisallowUsers(named) => named.users.clone(),
        _ => Vec::new(),
    };
    rules.iter().flat_map(of).collect()
}

fn rules_of(ctx: &Ctx<'_>, kind: PrivacyKind) -> tl::enums::account::PrivacyRules {
    let rules = ctx.state.users.user(ctx.user).map(|user| user.privacy.rules(kind)).unwrap_or_default();
    let users = ctx.state.users.many_seen_by(ctx.user, named(&rules));
    tl::types::account::PrivacyRules { rules, chats: Vec::new(), users }.into()
}

fn kind(input: &Input) -> Result<PrivacyKind, RpcError> {
    match input {
        Input::PhoneCall => Ok(PrivacyKind::PhoneCall),
        Input::PhoneP2P => Ok(PrivacyKind::PhoneP2p),
        Input::PhoneNumber => Ok(PrivacyKind::PhoneNumber),
        Input::AddedByPhone => Ok(PrivacyKind::AddedByPhone),
        _ => Err(RpcError::bad_request("PRIVACY_KEY_INVALID")),
    }
}

fn checked(ctx: &Ctx<'_>, rule: &InputRule) -> Result<PrivacyRule, RpcError> {
    let named = |users: &[tl::enums::InputUser]| {
        users.iter().map(|user| ctx.state.input_user(ctx.user, user)).collect::<Result<Vec<i64>, _>>()
    };
    Ok(match rule {
        InputRule::InputPrivacyValueAllowContacts => PrivacyRule::PrivacyValueAllowContacts,
        InputRule::InputPrivacyValueAllowAll => PrivacyRule::PrivacyValueAllowAll,
        InputRule::InputPrivacyValueDisallowContacts => PrivacyRule::PrivacyValueDisallowContacts,
        InputRule::InputPrivacyValueDisallowAll => PrivacyRule::PrivacyValueDisallowAll,
        InputRule::InputPrivacyValueAllowUsers(rule) => {
            tl::types::PrivacyValueAllowUsers { users: named(&rule.users)? }.into()
        }
        InputRule::InputPrivacyValueDisallowUsers(rule) => {
            tl::types::PrivacyValueDisallowUsers { users: named(&rule.users)? }.into()
        }
        _ => return Err(RpcError::bad_request("PRIVACY_VALUE_INVALID")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_user_weighs_more_than_contacts_and_those_more_than_everybody() {
        let mut privacy = Privacy::default();
        let named =
            PrivacyRule::PrivacyValueDisallowUsers(tl::types::PrivacyValueDisallowUsers { users: vec![7] });
        let rules = vec![named, PrivacyRule::PrivacyValueAllowContacts, PrivacyRule::PrivacyValueDisallowAll];
        privacy.set(PrivacyKind::PhoneCall, rules);
        assert!(!privacy.allows(PrivacyKind::PhoneCall, 7, true));
        assert!(privacy.allows(PrivacyKind::PhoneCall, 8, true));
        assert!(!privacy.allows(PrivacyKind::PhoneCall, 8, false));
    }

    #[test]
    fn a_rule_said_in_few_words_is_told_in_the_same() {
        let mut privacy = Privacy::default();
        let rule = PrivacyInfo {
            kind: PrivacyKind::PhoneP2p,
            audience: Audience::Contacts,
            allow: vec![7],
            disallow: vec![8, 9],
        };
        privacy.set(rule.kind, rule.rules());
        assert_eq!(privacy.list()[1], rule);
        assert!(privacy.allows(PrivacyKind::PhoneP2p, 7, false));
        assert!(!privacy.allows(PrivacyKind::PhoneP2p, 8, true));
    }

    #[test]
    fn calls_are_open_to_everybody_at_first() {
        assert!(Privacy::default().allows(PrivacyKind::PhoneCall, 7, false));
        assert!(!Privacy::default().allows(PrivacyKind::PhoneNumber, 7, false));
    }
}
