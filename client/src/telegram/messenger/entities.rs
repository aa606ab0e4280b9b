//! How parts of a text look, in both directions (core.telegram.org/api/entities).

use tgtrunk_messages::{Entity, EntityKind, Failure};
use tgtrunk_telegram::{Person as Whom, tl};

use super::{Correspondent, failure};

impl Correspondent {
    /// Entities as they are sent; none where there are none. A mention of somebody whom the account has never met is left
    /// to be plain words, as the Bot API leaves it.
    pub(super) async fn entities(
        &self,
        entities: &[Entity],
    ) -> Result<Option<Vec<tl::enums::MessageEntity>>, Failure> {
        let mut sent = Vec::with_capacity(entities.len());
        for entity in entities {
            let somebody = match entity.kind {
                EntityKind::TextMention { user } => match self.user_met(user).await? {
                    Some(user) => Some(user),
                    None => continue,
                },
                _ => None,
            };
            sent.extend(to_send(entity, somebody));
        }
        Ok(Some(sent).filter(|sent| !sent.is_empty()))
    }

    async fn user_met(&self, id: i64) -> Result<Option<tl::enums::InputUser>, Failure> {
        let who = tgtrunk_messages::Address::Chat(tgtrunk_messages::ChatId::of_user(id));
        match self.account.resolve(Whom::Id(id)).await {
            Ok(user) => Ok(Some(user.input_user())),
            Err(error) => match failure::judge_lookup(error, &who) {
                Failure::Refused { .. } => Ok(None),
                failure => Err(failure),
            },
        }
    }
}

fn to_send(entity: &Entity, somebody: Option<tl::enums::InputUser>) -> Option<tl::enums::MessageEntity> {
    use tl::types as t;
    let offset = i32::try_from(entity.offset).ok()?;
    let length = i32::try_from(entity.length).ok()?;
    Some(match &entity.kind {
        EntityKind::Bold => t::MessageEntityBold { offset, length }.into(),
        EntityKind::Italic => t::MessageEntityItalic { offset, length }.into(),
        EntityKind::Underline => t::MessageEntityUnderline { offset, length }.into(),
        EntityKind::Strikethrough => t::MessageEntityStrike { offset, length }.into(),
        EntityKind::Spoiler => t::MessageEntitySpoiler { offset, length }.into(),
        EntityKind::Blockquote => t::MessageEntityBlockquote { collapsed: false, offset, length }.into(),
        EntityKind::ExpandableBlockquote => {
            t::MessageEntityBlockquote { collapsed: true, offset, length }.into()
        }
        EntityKind::Code => t::MessageEntityCode { offset, length }.into(),
        EntityKind::Pre { language } => {
            t::MessageEntityPre { offset, length, language: language.clone() }.into()
        }
        EntityKind::TextLink { url } => t::MessageEntityTextUrl { offset, length, url: url.clone() }.into(),
        EntityKind::TextMention { .. } => {
            t::InputMessageEntityMentionName { offset, length, user_id: somebody? }.into()
        }
        EntityKind::CustomEmoji { custom_emoji_id } => {
            let document_id = custom_emoji_id.parse().ok()?;
            t::MessageEntityCustomEmoji { offset, length, document_id }.into()
        }
        EntityKind::Mention => t::MessageEntityMention { offset, length }.into(),
        EntityKind::Hashtag => t::MessageEntityHashtag { offset, length }.into(),
        EntityKind::Cashtag => t::MessageEntityCashtag { offset, length }.into(),
        EntityKind::BotCommand => t::MessageEntityBotCommand { offset, length }.into(),
        EntityKind::Url => t::MessageEntityUrl { offset, length }.into(),
        EntityKind::Email => t::MessageEntityEmail { offset, length }.into(),
        EntityKind::PhoneNumber => t::MessageEntityPhone { offset, length }.into(),
    })
}

/// Entities of a message that is there; those that programs know no word for are left out.
pub(super) fn of(entities: Option<&[tl::enums::MessageEntity]>) -> Vec<Entity> {
    entities.unwrap_or_default().iter().filter_map(one).collect()
}

fn one(entity: &tl::enums::MessageEntity) -> Option<Entity> {
    use tl::enums::MessageEntity as Told;
    let kind = match entity {
        Told::Bold(_) => EntityKind::Bold,
        Told::Italic(_) => EntityKind::Italic,
        Told::Underline(_) => EntityKind::Underline,
        Told::Strike(_) => EntityKind::Strikethrough,
        Told::Spoiler(_) => EntityKind::Spoiler,
        Told::Blockquote(quote) if quote.collapsed => EntityKind::ExpandableBlockquote,
        Told::Blockquote(_) => EntityKind::Blockquote,
        Told::Code(_) => EntityKind::Code,
        Told::Pre(pre) => EntityKind::Pre { language: pre.language.clone() },
        Told::TextUrl(link) => EntityKind::TextLink { url: link.url.clone() },
        Told::MentionName(named) => EntityKind::TextMention { user: named.user_id },
        Told::CustomEmoji(emoji) => {
            EntityKind::CustomEmoji { custom_emoji_id: emoji.document_id.to_string() }
        }
        Told::Mention(_) => EntityKind::Mention,
        Told::Hashtag(_) => EntityKind::Hashtag,
        Told::Cashtag(_) => EntityKind::Cashtag,
        Told::BotCommand(_) => EntityKind::BotCommand,
        Told::Url(_) => EntityKind::Url,
        Told::Email(_) => EntityKind::Email,
        Told::Phone(_) => EntityKind::PhoneNumber,
        _ => return None,
    };
    Some(Entity {
        offset: u32::try_from(entity.offset()).ok()?,
        length: u32::try_from(entity.length()).ok()?,
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_comes_back_the_same() {
        let text = |text: &str| text.to_owned();
        for kind in [
            EntityKind::Bold,
            EntityKind::Italic,
            EntityKind::Underline,
            EntityKind::Strikethrough,
            EntityKind::Spoiler,
            EntityKind::Blockquote,
            EntityKind::ExpandableBlockquote,
            EntityKind::Code,
            EntityKind::Pre { language: text("rust") },
            EntityKind::TextLink { url: text("https://a.example") },
            EntityKind::CustomEmoji { custom_emoji_id: text("5368324170671202286") },
            EntityKind::Mention,
            EntityKind::Hashtag,
            EntityKind::Cashtag,
            EntityKind::BotCommand,
            EntityKind::Url,
            EntityKind::Email,
            EntityKind::PhoneNumber,
        ] {
            let entity = Entity { offset: 3, length: 4, kind };
            let sent = to_send(&entity, None).unwrap();
            assert_eq!(of(Some(&[sent])), [entity]);
        }
        let mention = Entity { offset: 0, length: 1, kind: EntityKind::TextMention { user: 7 } };
        assert_eq!(to_send(&mention, None), None);
        let named = tl::types::MessageEntityMentionName { offset: 0, length: 1, user_id: 7 };
        assert_eq!(of(Some(&[named.into()])), [mention]);
    }
}
