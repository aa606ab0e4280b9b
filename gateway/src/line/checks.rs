//! What a line needs of its account's privacy settings and of its PBX, and how it stands with that.

use tgtrunk_config::Said;
use tgtrunk_config::control::{Check, CheckName, Found, Refusal, RefusalCode};
use tgtrunk_telegram::{Account, InvokeError};
use tokio::sync::oneshot;

use super::Line;
use super::opus::Opus;
use crate::telegram::{Audience, Privacy, audience, set};

/// The account's own settings that are looked at.
const PRIVACY: [(CheckName, Privacy); 3] = [
    (CheckName::PhoneVisible, Privacy::PhoneNumber),
    (CheckName::CallsFromEverybody, Privacy::PhoneCall),
    (CheckName::PeerToPeer, Privacy::PhoneP2p),
];

/// How the line wants the account to be set.
#[derive(Clone, Copy)]
struct Wants {
    phone_visible: bool,
}

impl Wants {
    /// Whether everybody is to be let; nobody is otherwise.
    fn is_open(self, which: Privacy) -> bool {
        match which {
            Privacy::PhoneNumber => self.phone_visible,
            Privacy::PhoneCall | Privacy::PhoneP2p => true,
        }
    }
}

/// Whoever asked, and waits.
pub(crate) type Answer = oneshot::Sender<Result<Vec<Check>, Refusal>>;

impl Line {
    /// Looks at everything, after mending `fix` where that is wanted; Telegram is asked away from the line.
    pub(super) fn check(&self, fix: Option<CheckName>, answer: Answer) {
        let account = self.account.clone();
        let problem = self.lamps.account_problem();
        let pbx = [self.pbx_answers(), self.opus_allowed()];
        let wants = Wants { phone_visible: self.settings.phone_visible };
        tokio::spawn(async move {
            answer.send(check(&account, wants, problem, pbx, fix).await).ok();
        });
    }

    fn pbx_answers(&self) -> Check {
        let pbx = &self.settings.pbx;
        let trouble = self.lamps.pbx.trouble().map(Said::from);
        let (found, said) = match (trouble, self.lamps.pbx.peer()) {
            (Some(trouble), _) => (
                Found::Bad,
                trouble.within(|en| format!("{}.", capital(en)), |ru| format!("{}.", capital(ru))),
            ),
            (None, Some(true)) => {
                (Found::Good, Said::new("The PBX answers OPTIONS.", "АТС отвечает на OPTIONS."))
            }
            (None, Some(false)) => (
                Found::Bad,
                Said::new(
                    format!(
                        "The PBX at {pbx} does not answer OPTIONS. Is it running, does its trunk name this line's \
                         address, and is there a firewall between both?"
                    ),
                    format!(
                        "АТС {pbx} не отвечает на OPTIONS. Запущена ли она, указан ли в её транке адрес этой линии, \
                         нет ли между ними брандмауэра?"
                    ),
                ),
            ),
            (None, None) => (
                Found::Unknown,
                Said::new(
                    "The PBX has not been asked yet. Look again in a minute.",
                    "АТС ещё не опрошена. Проверьте через минуту.",
                ),
            ),
        };
        Check { check: CheckName::PbxAnswers, found, said, can_fix: false }
    }

    fn opus_allowed(&self) -> Check {
        let codecs = &self.settings.audio.codecs;
        let (found, said) = match self.opus.seen() {
            _ if !Opus::is_among(codecs) => (
                Found::Bad,
                Said::new(
                    "Opus is not among the line's codecs, so every call is recoded. Add \"opus\" to the codecs in the line's settings (codecs in line.toml).",
                    "Opus нет среди кодеков линии, поэтому каждый звонок перекодируется. Добавьте \"opus\" к кодекам в настройках линии (codecs в line.toml).",
                ),
            ),
            Some(true) => (
                Found::Good,
                Said::new(
                    "The PBX takes Opus: sound passes as it is.",
                    "АТС принимает Opus: звук проходит без перекодирования.",
                ),
            ),
            Some(false) => (
                Found::Bad,
                Said::new(
                    "The PBX did not take Opus in its last call: calls are recoded, which costs quality and computing \
                     time. Allow opus in the codecs of the PBX's trunk, before the others.",
                    "В последнем звонке АТС не приняла Opus: звонки перекодируются, это снижает качество и нагружает \
                     процессор. Разрешите opus в кодеках транка на АТС и поставьте его первым.",
                ),
            ),
            None => (
                Found::Unknown,
                Said::new(
                    "No call has shown yet whether the PBX takes Opus. It is known after the first one.",
                    "Ни один звонок ещё не показал, принимает ли АТС Opus. Это станет видно после первого.",
                ),
            ),
        };
        Check { check: CheckName::OpusAllowed, found, said, can_fix: false }
    }
}

async fn check(
    account: &Account,
    wants: Wants,
    problem: Option<Refusal>,
    pbx: [Check; 2],
    fix: Option<CheckName>,
) -> Result<Vec<Check>, Refusal> {
    if let Some(name) = fix {
        let Some((_, which)) = PRIVACY.iter().find(|(of, _)| *of == name) else {
            let message = "only a person can mend that: the check says how".to_owned();
            return Err(Refusal { code: RefusalCode::BadRequest, message });
        };
        if let Some(problem) = problem {
            return Err(problem);
        }
        let is_open = wants.is_open(*which);
        set(account, *which, is_open).await.map_err(refused)?;
        tracing::info!(check = ?name, is_open, "a privacy setting of the account was changed");
    }
    let mut checks = Vec::with_capacity(PRIVACY.len() + pbx.len());
    for (name, which) in PRIVACY {
        let found = match &problem {
            Some(problem) => Err(problem.message.clone()),
            None => audience(account, which).await.map_err(|error| error.to_string()),
        };
        checks.push(privacy(name, which, wants.is_open(which), found));
    }
    checks.extend(pbx);
    Ok(checks)
}

/// A sentence that begins with a capital letter.
fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn refused(error: InvokeError) -> Refusal {
    let is_fresh = matches!(&error, InvokeError::Rpc { name, .. } if name.starts_with("FRESH_"));
    let message = if is_fresh {
        "Telegram lets a session change this a day after its login: try again then, or change it on another device of \
         the account"
            .to_owned()
    } else {
        error.to_string()
    };
    Refusal { code: RefusalCode::Telegram, message }
}

/// A privacy setting as it was found, or why it was not.
/// What is found of a setting, which is to be open or shut.
fn privacy(check: CheckName, which: Privacy, is_open: bool, found: Result<Audience, String>) -> Check {
    let wanted = if is_open { Audience::Everybody } else { Audience::Nobody };
    let (found, said) = match found {
        Ok(audience) if audience == wanted => (Found::Good, well(which, is_open)),
        Ok(_) => (Found::Bad, amiss(which, is_open)),
        Err(cause) => (
            Found::Unknown,
            Said::new(
                format!("Telegram does not tell this setting now: {cause}"),
                format!("Telegram сейчас не сообщает эту настройку: {cause}"),
            ),
        ),
    };
    Check { check, found, said, can_fix: found == Found::Bad }
}

fn well(which: Privacy, is_open: bool) -> Said {
    match which {
        Privacy::PhoneNumber if !is_open => Said::new(
            "Nobody sees the account's phone number, as the line's settings want it (phone_visible = false).",
            "Номер телефона аккаунта не виден никому, как и сказано в настройках линии (phone_visible = false).",
        ),
        Privacy::PhoneNumber => {
            Said::new("Everybody sees the account's phone number.", "Номер телефона аккаунта виден всем.")
        }
        Privacy::PhoneCall => Said::new("Everybody may call the account.", "Звонить аккаунту могут все."),
        Privacy::PhoneP2p => Said::new("Calls may take the direct path.", "Звонки могут идти напрямую."),
    }
}

fn amiss(which: Privacy, is_open: bool) -> Said {
    match which {
        Privacy::PhoneNumber if !is_open => Said::new(
            "People see the account's phone number, which the line's settings want hidden (phone_visible = false). In \
             Telegram: Settings, Privacy and Security, Phone Number, Nobody.",
            "Номер телефона аккаунта виден, а по настройкам линии его не должен видеть никто (phone_visible = false). В \
             Telegram: Настройки, Конфиденциальность, Номер телефона, Никто.",
        ),
        Privacy::PhoneNumber => Said::new(
            "Not everybody sees the account's phone number, so people do not recognize the company. In Telegram: \
             Settings, Privacy and Security, Phone Number, Everybody.",
            "Номер телефона аккаунта виден не всем, и люди не узнают компанию. В Telegram: Настройки, \
             Конфиденциальность, Номер телефона, Все.",
        ),
        Privacy::PhoneCall => Said::new(
            "Not everybody may call the account: calls of the others never reach the PBX. In Telegram: Settings, \
             Privacy and Security, Calls, Everybody.",
            "Звонить аккаунту могут не все: звонки остальных не дойдут до АТС. В Telegram: Настройки, \
             Конфиденциальность, Звонки, Все.",
        ),
        Privacy::PhoneP2p => Said::new(
            "Calls take the longer path through Telegram's servers. On the direct one they sound better, and the other \
             side may see this server's address. In Telegram: Settings, Privacy and Security, Calls, Peer-to-Peer, \
             Everybody.",
            "Звонки идут длинным путём через серверы Telegram. Напрямую слышно лучше, но собеседник может увидеть \
             адрес этого сервера. В Telegram: Настройки, Конфиденциальность, Звонки, Peer-to-Peer, Все.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_not_as_wanted_can_be_mended_and_one_that_is_not_told_cannot() {
        for (name, which) in PRIVACY {
            for (is_open, wanted, other) in [
                (true, Audience::Everybody, Audience::Nobody),
                (false, Audience::Nobody, Audience::Everybody),
            ] {
                let good = privacy(name, which, is_open, Ok(wanted));
                assert!(good.found == Found::Good && !good.can_fix, "{good:?}");
                for amiss in [other, Audience::Some] {
                    let amiss = privacy(name, which, is_open, Ok(amiss));
                    assert!(
                        amiss.found == Found::Bad && amiss.can_fix && !amiss.said.ru.is_empty(),
                        "{amiss:?}"
                    );
                }
            }
            let untold = privacy(name, which, true, Err("Telegram is not reached".to_owned()));
            assert!(untold.found == Found::Unknown && !untold.can_fix, "{untold:?}");
        }
    }
}
