//! The account: how it logs in, how it stands, its settings, its picture, its token.

use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::error::Failed;
use crate::chat::Address;
use crate::messenger::{Failure, LoginStep, Signin};
use crate::standing::Standing;

const ALREADY: &str = "instance account already authorized";

/// A QR code to be scanned, or why there is none.
pub(super) async fn qr(call: Call) -> Answer {
    let step = step(&call, Signin::Qr).await;
    let (kind, message) = match step {
        LoginStep::Scan(picture) => ("qrCode", picture.png),
        LoginStep::Done => ("alreadyLogged", ALREADY.to_owned()),
        LoginStep::Code => {
            ("error", "Telegram has sent a code: it is to be given to sendAuthorizationCode".to_owned())
        }
        LoginStep::Password => (
            "pending_password",
            "the account has a password: it is to be given to sendAuthorizationPassword".to_owned(),
        ),
        LoginStep::Failed { sentence, .. } => ("error", sentence),
    };
    Ok(json!({"type": kind, "message": message}))
}

/// Has Telegram send a code.
pub(super) async fn start_authorization(call: Call) -> Answer {
    let phone = call.arguments.phone("phoneNumber")?;
    sign_in(&call, Signin::Phone(phone)).await
}

/// The code, and perhaps the password. An empty code with a password is a password.
pub(super) async fn send_authorization_code(call: Call) -> Answer {
    let code = call.arguments.secret("code")?.map(|code| code.trim().to_owned());
    let password = call.arguments.secret("password")?;
    let word = match (code.filter(|code| !code.is_empty()), password) {
        (Some(code), password) => Signin::Code { code, password },
        (None, Some(password)) => Signin::Password(password),
        (None, None) => return Err(Failed::wrong_secret("code", "must be the code that Telegram sent")),
    };
    sign_in(&call, word).await
}

/// The password.
pub(super) async fn send_authorization_password(call: Call) -> Answer {
    match call.arguments.secret("password")? {
        Some(password) => sign_in(&call, Signin::Password(password)).await,
        None => Err(Failed::wrong_secret("password", "must be the account's password")),
    }
}

async fn sign_in(call: &Call, word: Signin) -> Answer {
    if call.instance.standing() == Standing::Authorized {
        return Ok(failed("already_registered", ALREADY));
    }
    Ok(match step(call, word).await {
        LoginStep::Code | LoginStep::Done | LoginStep::Scan(_) => {
            json!({"status": true, "data": {"status": "success", "reason": ""}})
        }
        LoginStep::Password => {
            json!({"status": true, "data": {"status": "success", "reason": "pending_password"}})
        }
        LoginStep::Failed { word, sentence, .. } => failed(word, &sentence),
    })
}

fn failed(word: &str, sentence: &str) -> Value {
    json!({"status": false, "data": {"status": "fail", "reason": word, "message": sentence}})
}

async fn step(call: &Call, word: Signin) -> LoginStep {
    if call.instance.standing() == Standing::Authorized && word != Signin::LogOut {
        return LoginStep::Done;
    }
    call.instance.messenger().door().sign_in(word).await
}

/// All settings.
pub(super) async fn settings(call: Call) -> Answer {
    Ok(call.instance.settings().shown(&call.instance.wid()))
}

/// Changes the settings that are named.
pub(super) async fn set_settings(call: Call) -> Answer {
    call.instance.change_settings(call.arguments.named()).await?;
    Ok(json!({"saveSettings": true}))
}

/// How the instance stands.
pub(super) async fn state_instance(call: Call) -> Answer {
    Ok(state(call.instance.standing()))
}

pub(super) fn state(standing: Standing) -> Value {
    json!({"stateInstance": standing.as_str()})
}

/// Opens the connection to Telegram anew.
pub(super) async fn reboot(call: Call) -> Answer {
    call.house.office().reboot(call.instance.id()).await?;
    Ok(json!({"isReboot": true}))
}

/// Ends the session.
pub(super) async fn logout(call: Call) -> Answer {
    Ok(match step(&call, Signin::LogOut).await {
        LoginStep::Failed { sentence, .. } => json!({"isLogout": false, "reason": sentence}),
        LoginStep::Scan(_) | LoginStep::Code | LoginStep::Password | LoginStep::Done => {
            json!({"isLogout": true})
        }
    })
}

/// The account's own card.
pub(super) async fn account_settings(call: Call) -> Answer {
    let (instance, standing) = (&call.instance, call.instance.standing());
    let account = instance.messenger().account();
    let is_in = matches!(standing, Standing::Authorized | Standing::Suspended);
    let id = account.id.filter(|_| is_in);
    let avatar = match id {
        Some(id) => instance.avatar_link(&Address::Chat(id)).await.unwrap_or_default(),
        None => String::new(),
    };
    // No "suspendedUntil": Telegram tells no end of it, and when it is tried again is none.
    Ok(json!({
        "avatar": avatar,
        "phone": if is_in { account.phone } else { String::new() },
        "stateInstance": standing.as_str(),
        "chatId": id.map(|id| id.to_string()).unwrap_or_default(),
    }))
}

/// Changes the account's own picture.
pub(super) async fn set_profile_picture(mut call: Call) -> Answer {
    let upload = call.upload.take().ok_or_else(|| Failed::wrong("file", "must be a picture", None))?;
    let file = upload.finish().await?;
    let messenger = call.instance.messenger();
    let done = messenger.set_avatar(&call.instance.body_of(&file).await?).await;
    let reason = soft(done)?;
    let url = match (&reason, messenger.account().id) {
        (None, Some(id)) => call.instance.avatar_link(&Address::Chat(id)).await.unwrap_or_default(),
        _ => String::new(),
    };
    Ok(json!({"setProfilePicture": reason.is_none(), "urlAvatar": url, "reason": reason}))
}

/// Gives the instance another token; the old one is dead.
pub(super) async fn update_api_token(call: Call) -> Answer {
    let token = call.instance.renew_token().await?;
    Ok(json!({"apiTokenInstance": token.reveal()}))
}

/// What clients of other messengers ask of the telephone that they take the instance for.
pub(super) async fn device_info(_call: Call) -> Answer {
    Ok(json!({
        "platform": "linux",
        "deviceManufacturer": "tgtrunk",
        "deviceModel": "tgtrunk",
        "osVersion": "",
        "waVersion": env!("CARGO_PKG_VERSION"),
        "battery": 100,
    }))
}

/// What Telegram refuses is told in the answer, with code 200; other failures are errors.
pub(super) fn soft(done: Result<(), Failure>) -> Result<Option<String>, Failed> {
    match done {
        Ok(()) => Ok(None),
        Err(Failure::Refused { sentence, .. }) => Ok(Some(sentence)),
        Err(failure) => Err(failure.into()),
    }
}
