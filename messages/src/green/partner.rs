//! What a partner does: whose instances there are, making one, deleting one.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::arguments::integer;
use super::call::PartnerCall;
use super::error::Failed;
use super::limits;
use crate::clock;
use crate::id::InstanceId;
use crate::instance::InstanceKind;
use crate::settings::Settings;

/// All instances, whether they work or are starting, those that were deleted lately behind the others. Their tokens were shown when they were made; nobody has
/// them since.
pub(super) fn instances(call: &PartnerCall) -> Answer {
    let (there, starting) = call.house.all();
    let mut listed: Vec<(InstanceId, Value)> = Vec::with_capacity(there.len() + starting.len());
    for one in &there {
        listed.push((one.id(), shown(one.id(), &one.name(), one.kind(), one.created_s(), None)));
    }
    for one in starting {
        listed.push((one.id, shown(one.id, &one.name, one.kind, one.created_s, None)));
    }
    listed.sort_by_key(|(id, _)| *id);
    let there = listed.into_iter().map(|(_, shown)| shown);
    let gone = call.house.office().former();
    let gone = gone
        .iter()
        .map(|gone| shown(gone.id, &gone.name, InstanceKind::User, gone.created_s, Some(gone.deleted_s)));
    Ok(there.chain(gone).collect::<Vec<Value>>().into())
}

fn shown(id: InstanceId, name: &str, kind: InstanceKind, created_s: i64, deleted_s: Option<i64>) -> Value {
    let time = |unix_s: i64| clock::iso(unix_s.saturating_mul(1000));
    json!({
        "idInstance": id.get(),
        "name": name,
        "typeInstance": "telegram",
        "typeAccount": kind.as_str(),
        "messenger": "telegram",
        "partnerUserUiid": "",
        "timeCreated": time(created_s),
        "timeDeleted": deleted_s.map_or_else(|| "0001-01-01T00:00:00.000Z".to_owned(), time),
        "apiTokenInstance": "",
        "deleted": deleted_s.is_some(),
        "tariff": "",
        "isFree": false,
        "isPartner": true,
        "expirationDate": "9999-12-31T23:59:59.000Z",
        "isExpired": false,
    })
}

/// Makes an instance. Its account is logged in later.
pub(super) async fn create_instance(call: PartnerCall) -> Answer {
    let name = call.arguments.optional_text("name", limits::WORD)?.unwrap_or_default();
    let mut settings: Map<String, Value> = call.arguments.named().clone();
    if settings.is_empty() {
        return Err(Failed::validation("one of name and the instance's settings must be there"));
    }
    settings.remove("name");
    let mut kept = Settings::default();
    if let Err(error) = kept.change(&settings)
        && error.key != "settings"
    {
        return Err(Failed::validation(&error.to_string()));
    }
    if kept.webhook_is_example() {
        // Nobody chose this address, nor what stands beside it; the connector of 1C stops for ever at a kind of notification
        // that it does not know, and it does not know the owner's own messages.
        kept.on.remove("outgoingMessageWebhook");
    }
    let (id, token) = call.house.office().create(&name, kept).await?;
    Ok(json!({"idInstance": id.get(), "apiTokenInstance": token.reveal(), "typeInstance": "telegram"}))
}

/// Deletes an instance and all that it holds.
pub(super) async fn delete_instance_account(call: PartnerCall) -> Answer {
    let said = call.arguments.value("idInstance");
    let id = said.and_then(integer).and_then(InstanceId::new);
    let id =
        id.ok_or_else(|| Failed::wrong("idInstance", "must be an instance's number, ten digits", said))?;
    call.house.office().delete(id).await?;
    Ok(json!({"deleteInstanceAccount": true}))
}
