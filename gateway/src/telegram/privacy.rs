//! `account.getPrivacy` and `account.setPrivacy` (core.telegram.org/api/privacy): what everybody may do with the account.

use tgtrunk_telegram::{Account, InvokeError, Policy, tl};

/// What a rule of the account is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// Who sees the phone number.
    PhoneNumber,
    /// Who may call.
    PhoneCall,
    /// Whose calls may go on a direct path.
    PhoneP2p,
}

/// Whom a rule lets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    Everybody,
    /// Contacts, or such.
    Some,
    Nobody,
}

/// Whom the rule lets, but for those whom the owner named.
pub(crate) async fn audience(account: &Account, which: Privacy) -> Result<Audience, InvokeError> {
    rules(account, which).await.map(|rules| admitted(&rules.rules))
}

/// Lets everybody, or nobody; whom the owner named as exceptions stay exceptions.
pub(crate) async fn set(account: &Account, which: Privacy, is_open: bool) -> Result<(), InvokeError> {
    let found = rules(account, which).await?;
    let rules = ruled(&found.rules, &found.users, &found.chats, is_open);
    let request = tl::functions::account::SetPrivacy { key: which.into(), rules };
    account.invoke(&request, Policy::call()).await.map(drop)
}

async fn rules(account: &Account, which: Privacy) -> Result<tl::types::account::PrivacyRules, InvokeError> {
    let request = tl::functions::account::GetPrivacy { key: which.into() };
    let tl::enums::account::PrivacyRules::Rules(rules) = account.invoke(&request, Policy::call()).await?;
    Ok(rules)
}

fn admitted(rules: &[tl::enums::PrivacyRule]) -> Audience {
    use tl::enums::PrivacyRule as Rule;
    let shuts =
        |rule: &Rule| matches!(rule, Rule::PrivacyValueDisallowAll | Rule::PrivacyValueDisallowContacts);
    let lets_some = |rule: &Rule| {
        matches!(
            rule,
            Rule::PrivacyValueAllowAll
                | Rule::PrivacyValueAllowContacts
                | Rule::PrivacyValueAllowCloseFriends
                | Rule::PrivacyValueAllowPremium
        )
    };
    if rules.contains(&Rule::PrivacyValueAllowAll) && !rules.iter().any(shuts) {
        Audience::Everybody
    } else if rules.iter().any(lets_some) {
        Audience::Some
    } else {
        Audience::Nobody
    }
}

/// The rules with everybody, or nobody, in the place of whoever was let. Exceptions come first, as Telegram's apps put them.
fn ruled(
    rules: &[tl::enums::PrivacyRule],
    users: &[tl::enums::User],
    chats: &[tl::enums::Chat],
    is_open: bool,
) -> Vec<tl::enums::InputPrivacyRule> {
    use tl::enums::{InputPrivacyRule as Input, PrivacyRule as Rule};
    let named = |ids: &[i64]| ids.iter().map(|id| input_user(*id, users)).collect();
    let exceptions = rules.iter().filter_map(|rule| match rule {
        Rule::PrivacyValueAllowUsers(rule) => {
            Some(tl::types::InputPrivacyValueAllowUsers { users: named(&rule.users) }.into())
        }
        Rule::PrivacyValueDisallowUsers(rule) => {
            Some(tl::types::InputPrivacyValueDisallowUsers { users: named(&rule.users) }.into())
        }
        Rule::PrivacyValueAllowChatParticipants(rule) => Some(
            tl::types::InputPrivacyValueAllowChatParticipants { chats: chat_ids(&rule.chats, chats) }.into(),
        ),
        Rule::PrivacyValueDisallowChatParticipants(rule) => Some(
            tl::types::InputPrivacyValueDisallowChatParticipants { chats: chat_ids(&rule.chats, chats) }
                .into(),
        ),
        Rule::PrivacyValueAllowBots => Some(Input::InputPrivacyValueAllowBots),
        Rule::PrivacyValueDisallowBots => Some(Input::InputPrivacyValueDisallowBots),
        // Who comes in their place.
        Rule::PrivacyValueAllowContacts
        | Rule::PrivacyValueAllowAll
        | Rule::PrivacyValueAllowCloseFriends
        | Rule::PrivacyValueAllowPremium
        | Rule::PrivacyValueDisallowContacts
        | Rule::PrivacyValueDisallowAll => None,
    });
    let others = if is_open { Input::InputPrivacyValueAllowAll } else { Input::InputPrivacyValueDisallowAll };
    exceptions.chain([others]).collect()
}

/// A user without a usable hash makes Telegram refuse the rules, which is better than an exception that is lost.
fn input_user(id: i64, users: &[tl::enums::User]) -> tl::enums::InputUser {
    let access_hash = users.iter().find_map(|user| match user {
        tl::enums::User::User(user) if user.id == id => user.access_hash,
        tl::enums::User::User(_) | tl::enums::User::Empty(_) => None,
    });
    tl::types::InputUser { user_id: id, access_hash: access_hash.unwrap_or_default() }.into()
}

/// The rules name chats by their own ids; those that are gone cannot be exceptions any more.
fn chat_ids(ids: &[i64], chats: &[tl::enums::Chat]) -> Vec<i64> {
    let is_gone =
        |id: i64| chats.iter().any(|chat| matches!(chat, tl::enums::Chat::Empty(gone) if gone.id == id));
    ids.iter().copied().filter(|id| !is_gone(*id)).collect()
}

impl From<Privacy> for tl::enums::InputPrivacyKey {
    fn from(which: Privacy) -> Self {
        match which {
            Privacy::PhoneNumber => Self::PhoneNumber,
            Privacy::PhoneCall => Self::PhoneCall,
            Privacy::PhoneP2p => Self::PhoneP2P,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tl::enums::{InputPrivacyRule as Input, PrivacyRule as Rule};

    #[test]
    fn a_rule_lets_everybody_some_or_nobody_whoever_is_an_exception() {
        let but_one: Rule = tl::types::PrivacyValueDisallowUsers { users: vec![5] }.into();
        let and_one: Rule = tl::types::PrivacyValueAllowUsers { users: vec![6] }.into();
        for (rules, wanted) in [
            (vec![Rule::PrivacyValueAllowAll], Audience::Everybody),
            (vec![but_one.clone(), Rule::PrivacyValueAllowAll], Audience::Everybody),
            (vec![Rule::PrivacyValueAllowContacts, Rule::PrivacyValueDisallowAll], Audience::Some),
            (vec![Rule::PrivacyValueDisallowContacts, Rule::PrivacyValueAllowAll], Audience::Some),
            (vec![Rule::PrivacyValueDisallowAll], Audience::Nobody),
            (vec![and_one, Rule::PrivacyValueDisallowAll], Audience::Nobody),
            (vec![but_one], Audience::Nobody),
            (vec![], Audience::Nobody),
        ] {
            assert_eq!(admitted(&rules), wanted, "{rules:?}");
        }
    }

    #[test]
    fn opening_and_shutting_a_rule_keeps_whom_the_owner_named() {
        let rules: Vec<Rule> = vec![
            tl::types::PrivacyValueDisallowUsers { users: vec![5] }.into(),
            tl::types::PrivacyValueAllowUsers { users: vec![6] }.into(),
            tl::types::PrivacyValueDisallowChatParticipants { chats: vec![7] }.into(),
            Rule::PrivacyValueAllowContacts,
            Rule::PrivacyValueDisallowAll,
        ];
        let nobody = |id| tl::types::InputUser { user_id: id, access_hash: 0 }.into();
        let exceptions: [Input; 3] = [
            tl::types::InputPrivacyValueDisallowUsers { users: vec![nobody(5)] }.into(),
            tl::types::InputPrivacyValueAllowUsers { users: vec![nobody(6)] }.into(),
            tl::types::InputPrivacyValueDisallowChatParticipants { chats: vec![7] }.into(),
        ];
        for (is_open, others) in
            [(true, Input::InputPrivacyValueAllowAll), (false, Input::InputPrivacyValueDisallowAll)]
        {
            let wanted: Vec<Input> = exceptions.iter().cloned().chain([others]).collect();
            assert_eq!(ruled(&rules, &[], &[], is_open), wanted);
        }
    }
}
