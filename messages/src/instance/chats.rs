//! Chats: whose a number or a name is, and pictures.

use super::inner::{FOUND_S, Located, LookedUp};
use super::{Instance, Refused};
use crate::chat::{Address, ChatId};
use crate::clock;
use crate::messenger::Failure;
use crate::store::PICTURE;

impl Instance {
    /// The chat's number, asked of Telegram where it is named otherwise.
    ///
    /// # Errors
    /// [`Refused::Telegram`]: nobody is found, among others; [`Refused::Spent`].
    pub async fn chat(&self, of: &Address) -> Result<ChatId, Refused> {
        match self.inner.locate(of).await? {
            Located::At(chat) => Ok(chat),
            Located::Nobody(sentence) => Err(Failure::Refused { word: of.unfound(), sentence }.into()),
            Located::Spent { seconds } => Err(self.spent(seconds)),
            Located::Unable(failure) => Err(failure.into()),
        }
    }

    /// The same as an address, for whoever asks Telegram for something else: it knows a number, and looks nobody up.
    ///
    /// # Errors
    /// As [`Self::chat`].
    pub async fn named(&self, of: &Address) -> Result<Address, Refused> {
        Ok(Address::Chat(self.chat(of).await?))
    }

    /// What changes of a chat wait for each other by: the same however it is named, as far as that is known.
    pub(crate) async fn turn_of(&self, of: &Address) -> Result<String, Refused> {
        let known = match self.inner.known(of).await? {
            Some(known) => known,
            // What is not believed any more is still as good as no order at all.
            None => self.inner.store.checked(&of.text().to_lowercase()).await?.and_then(|(chat, _)| chat),
        };
        Ok(known.map_or_else(|| of.text().to_lowercase(), |chat| chat.to_string()))
    }

    fn spent(&self, seconds: u32) -> Refused {
        Refused::Spent { budget: self.inner.options.checks_per_day, seconds }
    }

    /// Whether somebody has Telegram: their number, and whether that was known already. `is_fresh` asks anew.
    ///
    /// # Errors
    /// [`Refused::Spent`]; [`Refused::Telegram`].
    pub async fn check(&self, who: &Address, is_fresh: bool) -> Result<(Option<ChatId>, bool), Refused> {
        let checked = self.inner.store.checked(&who.text().to_lowercase()).await?;
        if let Some((chat, at_s)) = checked
            && !is_fresh
        {
            if self.inner.is_believed(who, chat, at_s) {
                return Ok((chat, true));
            }
            // Within the day nobody is looked up twice who only has to be asked for.
            if chat.is_some()
                && clock::unix_s() - at_s < FOUND_S
                && let Some(chat) = self.inner.messenger.confirmed(who).await?
            {
                return Ok((Some(chat), true));
            }
        }
        match self.inner.look_up(who).await? {
            LookedUp::Found(found) => Ok((found, false)),
            LookedUp::Spent { seconds } => Err(self.spent(seconds)),
            LookedUp::Unable(failure) => Err(failure.into()),
        }
    }

    /// How many phone numbers and names Telegram was asked for today, and how many it may be.
    ///
    /// # Errors
    /// [`Refused::Storage`].
    pub async fn checks(&self) -> Result<(u32, u32), Refused> {
        let asked = self.inner.store.asked_today(clock::unix_s()).await?;
        Ok((asked, self.inner.options.checks_per_day))
    }

    /// The link to a chat's picture; empty if it has none.
    ///
    /// # Errors
    /// [`Refused::Telegram`], [`Refused::Storage`].
    pub async fn avatar_link(&self, of: &Address) -> Result<String, Refused> {
        let (inner, messenger) = (&self.inner, &self.inner.messenger);
        let of = &self.named(of).await?;
        let Some(key) = messenger.avatar_key(of).await? else { return Ok(String::new()) };
        let remote = format!("{PICTURE}{key}");
        if let Some(kept) = inner.store.renew_file(&remote, clock::unix_s()).await? {
            return Ok(inner.files.link(&kept.secret, &kept.name));
        }
        let mut writer = self.new_file("avatar.jpg", None).await?;
        if !messenger.avatar(of, writer.place(remote)).await? {
            return Ok(String::new());
        }
        Ok(writer.settle().await?.url)
    }
}
