//! The table of methods.

use super::params::Params;
use super::reply::{ApiError, Served};
use super::{answering, editing, files, marking, me, places, sending, webhook};
use crate::world::World;

/// Serves a method, whose name is in lower case. `getUpdates` alone is not here, as it waits.
pub(crate) fn serve(world: &World, bot: i64, method: &str, params: &Params) -> Result<Served, ApiError> {
    match method {
        "setwebhook" => return webhook::set_webhook(world, bot, params),
        "deletewebhook" => return webhook::delete_webhook(world, bot, params),
        "getwebhookinfo" => return webhook::webhook_info(world, bot),
        _ => {}
    }
    let state = &mut *world.lock();
    let result = match method {
        "getme" => me::me(state, bot),
        "setmycommands" => me::set_commands(state, bot, params),
        "getmycommands" => me::commands(state, bot, params),
        "deletemycommands" => me::delete_commands(state, bot, params),
        "setmydescription" | "setmyshortdescription" | "setmyname" => {
            me::set_words(state, bot, method, params)
        }
        "getmydescription" | "getmyshortdescription" | "getmyname" => me::words(state, bot, method, params),
        "logout" | "close" => me::leave(state, bot),
        "getchat" => me::chat(state, bot, params),
        "getfile" => files::file(state, params),
        "sendmessage" => sending::send_message(state, bot, params),
        "sendcontact" => sending::send_contact(state, bot, params),
        "sendlocation" => places::send_location(state, bot, params),
        "sendvenue" => places::send_venue(state, bot, params),
        "sendphoto" | "senddocument" | "sendvoice" | "sendaudio" | "sendvideo" => {
            sending::send_file(state, bot, method, params)
        }
        "sendmediagroup" => sending::send_media_group(state, bot, params),
        "sendchataction" => sending::send_chat_action(state, bot, params),
        "copymessage" => sending::copy_message(state, bot, params),
        "forwardmessage" => sending::forward_message(state, bot, params),
        "copymessages" => sending::copy_messages(state, bot, params),
        "forwardmessages" => sending::forward_messages(state, bot, params),
        "editmessagetext" => editing::edit_text(state, bot, params),
        "editmessagecaption" => editing::edit_caption(state, bot, params),
        "editmessagemedia" => editing::edit_media(state, bot, params),
        "editmessagereplymarkup" => editing::edit_markup(state, bot, params),
        "deletemessage" => editing::delete_message(state, bot, params),
        "deletemessages" => editing::delete_messages(state, bot, params),
        "setmessagereaction" => marking::react(state, bot, params),
        "pinchatmessage" => marking::pin(state, bot, params),
        "unpinchatmessage" => marking::unpin(state, bot, params),
        "answercallbackquery" => answering::answer_callback_query(state, bot, params),
        "answerinlinequery" => answering::answer_inline_query(state, bot, params),
        _ => Err(ApiError::not_found(": method not found")),
    };
    result.map(Served::from)
}
