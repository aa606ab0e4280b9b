//! Logging in by phone code (core.telegram.org/api/auth), out, and over to another data centre.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use grammers_tl_types as tl;

use super::clock::{Due, unix_now};
use super::dispatch::Ctx;
use super::error::RpcError;
use super::prime::random;
use super::settings::{CodeWay, Settings, Unregistered};
use super::state::State;
use super::users::{NewUser, digits};

/// A login code on its way to one phone.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) hash: String,
    pub(crate) code: String,
    /// Wrong ones left.
    attempts: u32,
    /// The ways by which it was not sent yet, the next one first.
    ways: VecDeque<CodeWay>,
    /// It was typed right by this key, which may now sign up.
    right_at: Option<i64>,
}

/// Codes under way, and authorizations exported to other data centres.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    codes: BTreeMap<String, Code>,
    exported: BTreeMap<Vec<u8>, (i64, i32)>,
}

impl Logins {
    /// The code last sent to a phone, as digits.
    pub(crate) fn pending(&self, phone: &str) -> Option<&str> {
        self.codes.get(phone).map(|code| code.code.as_str())
    }

    /// Lets a code grow old at once.
    pub(crate) fn expire(&mut self, phone: &str) -> bool {
        self.codes.remove(phone).is_some()
    }

    fn expire_hash(&mut self, hash: &str) {
        self.codes.retain(|_, code| code.hash != hash);
    }
}

impl State {
    pub(crate) fn code_due(&mut self, hash: &str) {
        self.logins.expire_hash(hash);
    }
}

/// `auth.sendCode`.
pub(crate) fn send_code(
    ctx: &mut Ctx<'_>,
    request: tl::functions::auth::SendCode,
) -> Result<tl::enums::auth::SentCode, RpcError> {
    check_app(ctx, request.api_id, &request.api_hash)?;
    let settings = &ctx.state.settings;
    let phone = phone(ctx, &request.phone_number)?;
    let user = ctx.state.users.by_phone(&phone);
    let at_home = user.map_or(ctx.state.home_dc, |user| user.dc);
    if at_home != ctx.caller.dc {
        return Err(RpcError::new(303, format!("PHONE_MIGRATE_{at_home}")));
    }
    let owner = user.map(|user| user.id);
    let email = user.and_then(|user| user.email.clone());
    let mut code: String =
        random::<16>().iter().take(settings.code_length).map(|byte| char::from(b'0' + byte % 10)).collect();
    let hash = hex::encode(random::<9>());
    let attempts = settings.code_attempts;
    let life = Duration::from_secs(u64::from(settings.code_life_s));
    let devices = owner.map(|owner| ctx.state.keys.main_of(owner)).unwrap_or_default();
    let open = |way: &CodeWay| *way != CodeWay::App || !devices.is_empty();
    let mut ways: VecDeque<CodeWay> = settings.code_ways.iter().copied().filter(open).collect();
    if email.is_some() {
        ways.clear();
    }
    let by_email = email.as_deref().map(|email| sent_by_email(&hash, settings, email));
    let way = ways.pop_front();
    let answer = match (by_email, way) {
        (Some(answer), _) => answer,
        (None, Some(way)) => sent(&hash, settings, way, ways.front().copied()),
        (None, None) => return Err(RpcError::new(406, "SEND_CODE_UNAVAILABLE")),
    };
    if way == Some(CodeWay::Phrase) {
        code = format!("Sun {code} over Minsk");
    }
    ctx.state.clock.after_scaled(life, Due::CodeExpires(hash.clone()));
    let entry = Code { hash, code: code.clone(), attempts, ways, right_at: None };
    ctx.state.logins.codes.insert(phone, entry);
    if let Some(owner) = owner.filter(|_| way == Some(CodeWay::App)) {
        tell_devices(ctx, owner, &code);
    }
    Ok(answer)
}

/// `auth.resendCode`: the same code, by the next way.
pub(crate) fn resend_code(
    ctx: &mut Ctx<'_>,
    request: tl::functions::auth::ResendCode,
) -> Result<tl::enums::auth::SentCode, RpcError> {
    let phone = phone(ctx, &request.phone_number)?;
    let settings = ctx.state.settings.clone();
    let code = known_code(ctx, &phone, &request.phone_code_hash)?;
    let way = code.ways.pop_front().ok_or_else(|| RpcError::new(406, "SEND_CODE_UNAVAILABLE"))?;
    Ok(sent(&code.hash, &settings, way, code.ways.front().copied()))
}

/// `auth.cancelCode`.
pub(crate) fn cancel_code(
    ctx: &mut Ctx<'_>,
    request: tl::functions::auth::CancelCode,
) -> Result<bool, RpcError> {
    let phone = phone(ctx, &request.phone_number)?;
    known_code(ctx, &phone, &request.phone_code_hash)?;
    ctx.state.logins.expire(&phone);
    Ok(true)
}

/// `auth.signIn`.
pub(crate) fn sign_in(
    ctx: &mut Ctx<'_>,
    request: tl::functions::auth::SignIn,
) -> Result<tl::enums::auth::Authorization, RpcError> {
    let phone = phone(ctx, &request.phone_number)?;
    let by_email = ctx.state.users.by_phone(&phone).is_some_and(|user| user.email.is_some());
    let typed = match (by_email, request.email_verification, request.phone_code) {
        (true, Some(tl::enums::EmailVerification::Code(typed)), None) => Some(typed.code),
        (false, None, typed) => typed,
        _ => None,
    };
    let typed = typed.filter(|code| !code.is_empty());
    let typed = typed.ok_or_else(|| RpcError::bad_request("PHONE_CODE_EMPTY"))?;
    let this_key = ctx.caller.auth_key_id;
    let unregistered = ctx.state.settings.unregistered;
    let code = known_code(ctx, &phone, &request.phone_code_hash)?;
    if code.code != typed {
        code.attempts = code.attempts.saturating_sub(1);
        if code.attempts == 0 {
            ctx.state.logins.expire(&phone);
        }
        return Err(RpcError::bad_request("PHONE_CODE_INVALID"));
    }
    code.right_at = Some(this_key);
    let Some(user) = ctx.state.users.by_phone(&phone) else {
        return match unregistered {
            Unregistered::Unoccupied => Err(RpcError::bad_request("PHONE_NUMBER_UNOCCUPIED")),
            Unregistered::SignUpRequired => {
                Ok(tl::types::auth::AuthorizationSignUpRequired { terms_of_service: None }.into())
            }
        };
    };
    let (id, locked, deactivated) = (user.id, user.lock.is_some(), user.deactivated);
    if deactivated {
        return Err(RpcError::unauthorized("USER_DEACTIVATED"));
    }
    ctx.state.logins.expire(&phone);
    if locked {
        if let Some(key) = ctx.state.keys.key_mut(this_key) {
            key.awaits_password = Some(id);
        }
        return Err(RpcError::unauthorized("SESSION_PASSWORD_NEEDED"));
    }
    Ok(complete(ctx, id))
}

/// `auth.signUp`, after the right code for a number without account.
pub(crate) fn sign_up(
    ctx: &mut Ctx<'_>,
    request: tl::functions::auth::SignUp,
) -> Result<tl::enums::auth::Authorization, RpcError> {
    let phone = phone(ctx, &request.phone_number)?;
    if request.first_name.trim().is_empty() {
        return Err(RpcError::bad_request("FIRSTNAME_INVALID"));
    }
    let this_key = ctx.caller.auth_key_id;
    let code = known_code(ctx, &phone, &request.phone_code_hash)?;
    if code.right_at != Some(this_key) {
        return Err(RpcError::bad_request("PHONE_CODE_INVALID"));
    }
    let mut new = NewUser::new(phone.clone(), request.first_name);
    new.last_name = Some(request.last_name).filter(|name| !name.is_empty());
    new.dc = Some(ctx.caller.dc);
    let home_dc = ctx.state.home_dc;
    let added = ctx.state.users.add(new, None, home_dc);
    let id = added.map_err(|_| RpcError::bad_request("PHONE_NUMBER_OCCUPIED"))?;
    ctx.state.logins.expire(&phone);
    Ok(complete(ctx, id))
}

/// `auth.logOut`.
pub(crate) fn log_out(
    ctx: &mut Ctx<'_>,
    _: tl::functions::auth::LogOut,
) -> Result<tl::enums::auth::LoggedOut, RpcError> {
    ctx.state.keys.log_out(ctx.caller.auth_key_id, None);
    Ok(tl::types::auth::LoggedOut { future_auth_token: None }.into())
}

/// `auth.exportAuthorization`, for a key of another data centre.
pub(crate) fn export_authorization(
    ctx: &mut Ctx<'_>,
    request: tl::functions::auth::ExportAuthorization,
) -> Result<tl::enums::auth::ExportedAuthorization, RpcError> {
    let known = ctx.state.addresses.iter().any(|(dc, _)| *dc == request.dc_id);
    if !known || request.dc_id == ctx.caller.dc {
        return Err(RpcError::bad_request("DC_ID_INVALID"));
    }
    let bytes = random::<64>().to_vec();
    ctx.state.logins.exported.insert(bytes.clone(), (ctx.user, request.dc_id));
    Ok(tl::types::auth::ExportedAuthorization { id: ctx.user, bytes }.into())
}

/// `auth.importAuthorization`: a key that only moves data, and gets no updates.
pub(crate) fn import_authorization(
    ctx: &mut Ctx<'_>,
    request: tl::functions::auth::ImportAuthorization,
) -> Result<tl::enums::auth::Authorization, RpcError> {
    let exported = ctx.state.logins.exported.remove(&request.bytes);
    if exported != Some((request.id, ctx.caller.dc)) {
        return Err(RpcError::bad_request("AUTH_BYTES_INVALID"));
    }
    ctx.state.keys.log_in(ctx.caller.auth_key_id, request.id, false);
    Ok(authorization(ctx, request.id))
}

/// The key is the user's from now on; the user's other devices are told.
pub(crate) fn complete(ctx: &mut Ctx<'_>, user: i64) -> tl::enums::auth::Authorization {
    let this_key = ctx.caller.auth_key_id;
    ctx.state.keys.log_in(this_key, user, true);
    ctx.state.login_tokens.served(this_key);
    let update: tl::enums::Update = tl::types::UpdateNewAuthorization {
        unconfirmed: false,
        hash: ctx.state.authorization_hash(this_key),
        date: Some(unix_now()),
        device: Some(ctx.caller.device.clone()),
        location: Some("loopback".to_owned()),
    }
    .into();
    ctx.state.push_to_others(user, this_key, update, &[]);
    authorization(ctx, user)
}

pub(crate) fn authorization(ctx: &Ctx<'_>, user: i64) -> tl::enums::auth::Authorization {
    tl::types::auth::Authorization {
        setup_password_required: false,
        otherwise_relogin_days: None,
        tmp_sessions: None,
        future_auth_token: None,
        user: ctx.state.users.seen_by(user, user),
    }
    .into()
}

/// Refuses an application other than the settings', if they name one.
pub(crate) fn check_app(ctx: &Ctx<'_>, api_id: i32, api_hash: &str) -> Result<(), RpcError> {
    match &ctx.state.settings.app {
        Some((id, hash)) if *id != api_id || hash != api_hash => Err(RpcError::bad_request("API_ID_INVALID")),
        Some(_) | None => Ok(()),
    }
}

fn phone(ctx: &Ctx<'_>, text: &str) -> Result<String, RpcError> {
    let phone = digits(text).ok_or_else(|| RpcError::bad_request("PHONE_NUMBER_INVALID"))?;
    if ctx.state.users.banned_phones.contains(&phone) {
        return Err(RpcError::bad_request("PHONE_NUMBER_BANNED"));
    }
    Ok(phone)
}

/// A code that is gone has expired, whatever the hash said.
fn known_code<'a>(ctx: &'a mut Ctx<'_>, phone: &str, hash: &str) -> Result<&'a mut Code, RpcError> {
    if hash.is_empty() {
        return Err(RpcError::bad_request("PHONE_CODE_HASH_EMPTY"));
    }
    let code = ctx.state.logins.codes.get_mut(phone).filter(|code| code.hash == hash);
    code.ok_or_else(|| RpcError::bad_request("PHONE_CODE_EXPIRED"))
}

fn sent(hash: &str, settings: &Settings, way: CodeWay, next: Option<CodeWay>) -> tl::enums::auth::SentCode {
    let length = i32::try_from(settings.code_length).unwrap_or(i32::MAX);
    let r#type = match way {
        CodeWay::App => tl::types::auth::SentCodeTypeApp { length }.into(),
        CodeWay::Sms => tl::types::auth::SentCodeTypeSms { length }.into(),
        CodeWay::Phrase => {
            tl::types::auth::SentCodeTypeSmsPhrase { beginning: Some("Sun".to_owned()) }.into()
        }
        CodeWay::Call => tl::types::auth::SentCodeTypeCall { length }.into(),
        CodeWay::MissedCall => {
            tl::types::auth::SentCodeTypeMissedCall { prefix: "7495".to_owned(), length }.into()
        }
    };
    let next_type = next.map(|next| match next {
        // There is no such next way: a code goes to the application first or not at all.
        CodeWay::App | CodeWay::Sms | CodeWay::Phrase => tl::enums::auth::CodeType::Sms,
        CodeWay::Call => tl::enums::auth::CodeType::Call,
        CodeWay::MissedCall => tl::enums::auth::CodeType::MissedCall,
    });
    let timeout = next.map(|_| settings.code_timeout_s);
    tl::types::auth::SentCode { r#type, phone_code_hash: hash.to_owned(), next_type, timeout }.into()
}

/// Nothing but e-mail is open to whoever has a login e-mail.
fn sent_by_email(hash: &str, settings: &Settings, email: &str) -> tl::enums::auth::SentCode {
    let (name, host) = email.split_once('@').unwrap_or((email, ""));
    let first: String = name.chars().take(1).collect();
    let r#type = tl::types::auth::SentCodeTypeEmailCode {
        apple_signin_allowed: false,
        google_signin_allowed: false,
        email_pattern: format!("{first}***@{host}"),
        length: i32::try_from(settings.code_length).unwrap_or(i32::MAX),
        reset_available_period: None,
        reset_pending_date: None,
    }
    .into();
    tl::types::auth::SentCode { r#type, phone_code_hash: hash.to_owned(), next_type: None, timeout: None }
        .into()
}

/// The code arrives in the chat of user 777000 on devices that are logged in already.
fn tell_devices(ctx: &mut Ctx<'_>, user: i64, code: &str) {
    let update: tl::enums::Update = tl::types::UpdateServiceNotification {
        popup: false,
        invert_media: false,
        inbox_date: Some(unix_now()),
        r#type: format!("auth_code_{}", hex::encode(random::<4>())),
        message: format!("Login code: {code}. Do not give this code to anyone."),
        media: tl::enums::MessageMedia::Empty,
        entities: Vec::new(),
    }
    .into();
    ctx.state.push_to_others(user, ctx.caller.auth_key_id, update, &[]);
}
