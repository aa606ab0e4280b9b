//! Privacy rules (core.telegram.org/api/privacy): who may call, be called directly, and see the number.

use std::collections::BTreeMap;

use grammers_tl_types as tl;
use serde::{Deserialize, Serialize};

use super::dispatch::Ctx;
use super::error::RpcError;
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
    let (kind, _) = kind(&request.key)?;
    Ok(rules_of(ctx, kind))
}

/// `account.setPrivacy`.
pub(crate) fn set_privacy(
    ctx: &mut Ctx<'_>,
    request: tl::functions::account::SetPrivacy,
) -> Result<tl::enums::account::PrivacyRules, RpcError> {
    let (kind, key) = kind(&request.key)?;
    let viewer = ctx.user;
    let rules = request.rules.iter().map(|rule| checked(ctx, rule)).collect::<Result<Vec<_>, _>>()?;
    if let Some(user) = ctx.state.users.user_mut(viewer) {
        user.privacy.set(kind, rules.clone());
    }
    let update: tl::enums::Update = tl::types::UpdatePrivacy { key, rules }.into();
    ctx.state.push_to_others(viewer, ctx.caller.auth_key_id, update, &[]);
    Ok(rules_of(ctx, kind))
}

fn rules_of(ctx: &Ctx<'_>, kind: PrivacyKind) -> tl::enums::account::PrivacyRules {
    let rules = ctx.state.users.user(ctx.user).map(|user| user.privacy.rules(kind)).unwrap_or_default();
    let named = rules.iter().flat_map(|rule| match rule {
        PrivacyRule::PrivacyValueAllowUsers(named) => named.users.clone(),
        PrivacyRule::PrivacyValueDisallowUsers(named) => named.users.clone(),
        _ => Vec::new(),
    });
    let users = ctx.state.users.many_seen_by(ctx.user, named);
    tl::types::account::PrivacyRules { rules, chats: Vec::new(), users }.into()
}

fn kind(input: &Input) -> Result<(PrivacyKind, PrivacyKey), RpcError> {
    match input {
        Input::PhoneCall => Ok((PrivacyKind::PhoneCall, PrivacyKey::PhoneCall)),
        Input::PhoneP2P => Ok((PrivacyKind::PhoneP2p, PrivacyKey::PhoneP2P)),
        Input::PhoneNumber => Ok((PrivacyKind::PhoneNumber, PrivacyKey::PhoneNumber)),
        Input::AddedByPhone => Ok((PrivacyKind::AddedByPhone, PrivacyKey::AddedByPhone)),
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
    fn calls_are_open_to_everybody_at_first() {
        assert!(Privacy::default().allows(PrivacyKind::PhoneCall, 7, false));
        assert!(!Privacy::default().allows(PrivacyKind::PhoneNumber, 7, false));
    }
}
