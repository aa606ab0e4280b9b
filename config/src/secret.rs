//! Words that open an account. They can be read and written, and no log shows them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use crate::units::UserId;

/// A bot's token, as @BotFather gives it: the bot's id, `:`, and its secret. Who has it is the bot.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BotToken(String);

/// Not a bot's token. The text is not told: it may be one with a slip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("want {WANTED_TOKEN}")]
pub struct BotTokenError;

/// The password of an account (Telegram's two-step verification), on its way from one program to another.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

/// The code that Telegram sent for a login, on its way from one program to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoginCode(Password);

/// What the QR code of a login shows as `tg://login?token=…`, in base64url (RFC 4648 section 5, without padding).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LoginToken(String);

/// Not the token of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("login token: want 1 to 512 bytes in base64url, as in tg://login?token=…")]
pub struct LoginTokenError;

pub(crate) const WANTED_TOKEN: &str =
    "the token that @BotFather gave, as 123456789:ABCdefGhIJKlmNoPQRsTUVwxyZ012345678";

impl BotToken {
    /// The whole token, for whoever speaks to the Bot API.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bot's own id, which the token begins with.
    pub fn id(&self) -> Option<UserId> {
        self.0.split_once(':')?.0.parse().ok()
    }
}

impl FromStr for BotToken {
    type Err = BotTokenError;

    fn from_str(text: &str) -> Result<Self, BotTokenError> {
        let (id, secret) = text.trim().split_once(':').ok_or(BotTokenError)?;
        let plain = secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if id.parse::<UserId>().is_ok() && plain && (20..=80).contains(&secret.len()) {
            Ok(Self(format!("{id}:{secret}")))
        } else {
            Err(BotTokenError)
        }
    }
}

impl Password {
    /// Takes a password as it was typed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The password.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LoginCode {
    /// Takes a code as it was typed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Password::new(text))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl LoginToken {
    const MOST_BYTES: usize = 512;

    /// Writes a token as Telegram gave it.
    ///
    /// # Errors
    /// [`LoginTokenError`] when it is empty or longer than 512 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, LoginTokenError> {
        if (1..=Self::MOST_BYTES).contains(&bytes.len()) {
            Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
        } else {
            Err(LoginTokenError)
        }
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The token as Telegram takes it.
    pub fn bytes(&self) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(&self.0).unwrap_or_default()
    }
}

impl FromStr for LoginToken {
    type Err = LoginTokenError;

    /// Takes the text with or without its padding.
    fn from_str(text: &str) -> Result<Self, LoginTokenError> {
        let bare = text.trim_end_matches('=');
        if text.len() > Self::MOST_BYTES * 2 {
            return Err(LoginTokenError);
        }
        Self::new(&URL_SAFE_NO_PAD.decode(bare).map_err(|_| LoginTokenError)?)
    }
}

impl TryFrom<String> for BotToken {
    type Error = BotTokenError;

    fn try_from(text: String) -> Result<Self, BotTokenError> {
        text.parse()
    }
}

impl From<BotToken> for String {
    fn from(token: BotToken) -> Self {
        token.0
    }
}

impl TryFrom<String> for LoginToken {
    type Error = LoginTokenError;

    fn try_from(text: String) -> Result<Self, LoginTokenError> {
        text.parse()
    }
}

impl From<LoginToken> for String {
    fn from(token: LoginToken) -> Self {
        token.0
    }
}

impl fmt::Debug for BotToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("BotToken(…)")
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(…)")
    }
}

impl fmt::Debug for LoginToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("LoginToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "123456789:AAabcdefghijklmnopqrstuvwxyz0123_-x";

    #[test]
    fn a_bots_token_is_taken_as_it_was_copied_and_tells_the_bots_id() {
        let token: BotToken = format!(" {TOKEN}\n").parse().unwrap();
        assert_eq!(token.as_str(), TOKEN);
        assert_eq!(token.id().map(UserId::number), Some(123_456_789));
        for wrong in ["", "123456789", "123456789:short", &format!("x{TOKEN}"), &format!("{TOKEN}/../x")] {
            let error = wrong.parse::<BotToken>().unwrap_err().to_string();
            assert_eq!(error, format!("want {WANTED_TOKEN}"), "{wrong:?}");
        }
    }

    #[test]
    fn a_login_token_comes_back_byte_for_byte_padded_or_not() {
        // RFC 4648 section 10, in the alphabet of section 5.
        for (bytes, text) in [(&b"fooba"[..], "Zm9vYmE"), (b"foobar", "Zm9vYmFy"), (&[0xfb, 0xff], "-_8")] {
            let token = LoginToken::new(bytes).unwrap();
            assert_eq!((token.as_str(), token.bytes().as_slice()), (text, bytes));
            assert_eq!(text.parse::<LoginToken>().unwrap(), token);
            assert_eq!(format!("{text}=").parse::<LoginToken>().unwrap(), token);
        }
        for wrong in ["", "=", "a+b/", "Zm9v YmE", &"A".repeat(2_000)] {
            assert!(wrong.parse::<LoginToken>().is_err(), "{wrong:?} was taken");
        }
        assert!(LoginToken::new(&[0; 513]).is_err());
    }

    #[test]
    fn no_log_shows_a_secret() {
        let token: BotToken = TOKEN.parse().unwrap();
        let login = LoginToken::new(b"secret").unwrap();
        let shown = format!("{token:?} {:?} {login:?}", Password::new("hidden"));
        assert_eq!(shown, "BotToken(…) Password(…) LoginToken(…)");
    }
}
