//! Groups: making them, who is in them, what they are called and what their members may do.

use serde_json::json;

use super::account::soft;
use super::answer::Answer;
use super::arguments;
use super::call::Call;
use super::error::Failed;
use super::limits;
use super::shape;
use crate::chat::{Address, ChatId};
use crate::messenger::{Failure, GroupChange, NewGroup, RightsChange};

/// Makes a group.
pub(super) async fn create_group(call: Call) -> Answer {
    let said = &call.arguments;
    let title = said.text("groupName", limits::GROUP_NAME)?;
    let members = said.list("chatIds");
    if members.len() > limits::GROUP_MEMBERS {
        let want = format!("must be a list of at most {} people", limits::GROUP_MEMBERS);
        return Err(Failed::validation(&format!("'chatIds' {want}; it has {}", members.len())));
    }
    let members: Vec<Address> =
        members.iter().map(|member| arguments::address("chatIds", member)).collect::<Result<_, _>>()?;
    let is_supergroup = match said.optional_text("type", limits::WORD)?.as_deref() {
        None => false,
        Some(kind) if kind.eq_ignore_ascii_case("group") => false,
        Some(kind) if kind.eq_ignore_ascii_case("supergroup") => true,
        Some(_) => {
            return Err(Failed::wrong("type", "must be \"group\" or \"supergroup\"", said.value("type")));
        }
    };
    said.flag("isAnonymous")?;
    let days = said.integer("messageAutoDeleteTime", limits::AUTO_DELETE_DAYS)?.unwrap_or(0);
    let auto_delete_days = u32::try_from(days).unwrap_or_default();
    let mut found = Vec::with_capacity(members.len());
    for member in members {
        found.push(call.instance.named(&member).await?);
    }
    let group = NewGroup { title, members: found, is_supergroup, auto_delete_days };
    Ok(match call.instance.messenger().create_group(&group).await {
        Ok(made) => {
            let chat_id = made.chat.id.to_string();
            let mut done = json!({"created": true, "chatId": chat_id, "groupInviteLink": made.link});
            if let Some(missing) = made.missing {
                done["reason"] = missing.into();
            }
            done
        }
        Err(Failure::Refused { sentence, .. }) => {
            json!({"created": false, "chatId": "", "groupInviteLink": "", "reason": sentence})
        }
        Err(failure) => return Err(failure.into()),
    })
}

/// Changes a group's title.
pub(super) async fn update_group_name(call: Call) -> Answer {
    let title = call.arguments.text("groupName", limits::GROUP_NAME)?;
    change(&call, "updateGroupName", GroupChange::Title(title)).await
}

/// Changes what members may do; what is not named stays as it is.
pub(super) async fn update_group_settings(call: Call) -> Answer {
    let chat = group(&call).await?;
    let mut rights = RightsChange::default();
    for right in shape::RIGHTS {
        *(right.change)(&mut rights) = call.arguments.flag(right.key)?;
    }
    if rights == RightsChange::default() {
        let keys: Vec<&str> = shape::RIGHTS.iter().map(|right| right.key).collect();
        return Err(Failed::validation(&format!("one of {} must be true or false", keys.join(", "))));
    }
    let reason = soft(call.instance.messenger().change_group(chat, &GroupChange::Rights(rights)).await)?;
    Ok(json!({"updateGroupSettings": reason.is_none(), "reason": reason.unwrap_or_default()}))
}

/// A group, with its members.
pub(super) async fn group_data(call: Call) -> Answer {
    let chat = group(&call).await?;
    let group = call.instance.messenger().group(chat).await?;
    Ok(shape::group(&group))
}

/// Adds somebody.
pub(super) async fn add_group_participant(call: Call) -> Answer {
    let who = participant(&call).await?;
    change(&call, "addParticipant", GroupChange::Add(who)).await
}

/// Removes somebody.
pub(super) async fn remove_group_participant(call: Call) -> Answer {
    let who = participant(&call).await?;
    change(&call, "removeParticipant", GroupChange::Remove(who)).await
}

/// Makes somebody an administrator.
pub(super) async fn set_group_admin(call: Call) -> Answer {
    let who = participant(&call).await?;
    change(&call, "setGroupAdmin", GroupChange::Promote(who)).await
}

/// Makes an administrator a member like all others.
pub(super) async fn remove_admin(call: Call) -> Answer {
    let who = participant(&call).await?;
    change(&call, "removeAdmin", GroupChange::Demote(who)).await
}

/// Changes a group's picture.
pub(super) async fn set_group_picture(mut call: Call) -> Answer {
    let chat = group(&call).await?;
    let upload = call.upload.take().ok_or_else(|| Failed::wrong("file", "must be a picture", None))?;
    let path = call.instance.body_of(&upload.finish().await?).await?;
    let done = call.instance.messenger().change_group(chat, &GroupChange::Picture(path)).await;
    let reason = soft(done)?;
    let url = match &reason {
        None => call.instance.avatar_link(&Address::Chat(chat)).await.unwrap_or_default(),
        Some(_) => String::new(),
    };
    Ok(json!({"setGroupPicture": reason.is_none(), "urlAvatar": url, "reason": reason}))
}

/// Leaves a group.
pub(super) async fn leave_group(call: Call) -> Answer {
    change(&call, "leaveGroup", GroupChange::Leave).await
}

async fn participant(call: &Call) -> Result<Address, Failed> {
    Ok(call.instance.named(&call.arguments.address("participantChatId")?).await?)
}

async fn group(call: &Call) -> Result<ChatId, Failed> {
    let address = call.arguments.group()?;
    let chat = call.instance.chat(&address).await?;
    if chat.is_person() {
        return Err(Failed::wrong("chatId", "must be a group", call.arguments.chat_value()));
    }
    Ok(chat)
}

async fn change(call: &Call, key: &str, change: GroupChange) -> Answer {
    let chat = group(call).await?;
    let reason = soft(call.instance.messenger().change_group(chat, &change).await)?;
    let mut done = json!({key: reason.is_none()});
    if let Some(reason) = reason {
        done["reason"] = reason.into();
    }
    Ok(done)
}
