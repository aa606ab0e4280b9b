//! What a partner does: whose instances there are, making one, deleting one.

use serde_json::{Map, Value, json};

use super::answer::{Answer, iso};
use super::arguments::integer;
use super::call::PartnerCall;
use super::error::Failed;
use super::limits;
use crate::id::InstanceId;
use crate::instance::{Instance, InstanceKind};
use crate::settings::Settings;

/// Where the connector of 1C has every instance that it makes send its notifications: an example that nobody changed.
const EXAMPLE: &str = "https://mysite.com/webhook/green-api";

/// All instances. Their tokens were shown when they were made; nobody has them since.
pub(super) fn instances(call: &PartnerCall) -> Answer {
    Ok(call.house.instances().iter().map(shown).collect::<Vec<Value>>().into())
}

fn shown(instance: &Instance) -> Value {
    let kind = match instance.kind() {
        InstanceKind::User => "user",
        InstanceKind::Bot => "bot",
    };
    json!({
        "idInstance": instance.id().get(),
        "name": instance.name(),
        "typeInstance": "telegram",
        "typeAccount": kind,
        "messenger": "telegram",
        "partnerUserUiid": "",
        "timeCreated": iso(instance.created_s().saturating_mul(1000)),
        "timeDeleted": "0001-01-01T00:00:00.000Z",
        "apiTokenInstance": "",
        "deleted": false,
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
    let url = settings.get("webhookUrl").and_then(Value::as_str).unwrap_or_default();
    if url.trim_end_matches('/') == EXAMPLE {
        settings.remove("webhookUrl");
        settings.remove("webhookUrlToken");
        tracing::info!("an instance is made without the webhook of the connector's example");
    }
    if !settings.is_empty()
        && let Err(error) = Settings::default().change(&settings)
        && error.key != "settings"
    {
        return Err(Failed::validation(&error.to_string()));
    }
    let (id, token) = call.house.office().create(&name, &settings).await?;
    Ok(json!({"idInstance": id.get(), "apiTokenInstance": token.reveal(), "typeInstance": "telegram"}))
}

/// Deletes an instance and all that it holds.
pub(super) async fn delete_instance_account(call: PartnerCall) -> Answer {
    let said = call.arguments.value("idInstance");
    let id = said.and_then(integer).and_then(InstanceId::new);
    let id =
        id.ok_or_else(|| Failed::wrong("idInstance", "must be an instance's number, ten digits", said))?;
    call.house.office().delete(id).await?;
    call.deleted.put(id);
    Ok(json!({"deleteInstanceAccount": true}))
}
