//! The table of methods: a constructor's number, who may call it, and who answers.

use grammers_tl_types as tl;
use tl::functions as f;
use tl::{Deserializable, Identifiable, RemoteCall, Serializable};
use tokio::sync::oneshot;

use super::error::RpcError;
use super::journal::shorten;
use super::state::State;
use super::{
    authorizations, bots, channels, contacts, files, groups, help, login, messages, password, phone, prime,
    privacy, profile, qr, quiet, updates, users,
};
use crate::link::{Answer, Caller};

/// What a method works on.
pub(crate) struct Ctx<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) caller: &'a Caller,
    /// Who asks; 0 where a method is open to those not logged in.
    pub(crate) user: i64,
}

/// Who may call a method.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    LoggedIn,
}

/// What a method gives: its answer, or the way by which it comes once somebody else has spoken.
pub(crate) enum Reply {
    /// Serialized.
    Now(Vec<u8>),
    /// From a bot, most likely.
    Later(oneshot::Receiver<Answer>),
}

macro_rules! methods {
    (
        waiting { $($waiting:ty => $waiter:path;)* }
        $($door:ident $function:ty => $handler:path;)*
    ) => {
        /// Serves a request: constructor first.
        pub(crate) fn dispatch(ctx: &mut Ctx<'_>, body: &[u8]) -> Result<Reply, RpcError> {
            let (id, fields) = split(body)?;
            match id {
                $(<$function>::CONSTRUCTOR_ID => run::<$function>(ctx, Door::$door, fields, $handler),)*
                $(<$waiting>::CONSTRUCTOR_ID => wait::<$waiting>(ctx, fields, $waiter),)*
                _ => Err(RpcError::bad_request("METHOD_NOT_IMPLEMENTED")),
            }
        }

        /// A request's fields for a person to read; empty for a method that is not in the table.
        pub(crate) fn describe(body: &[u8]) -> String {
            let Ok((id, fields)) = split(body) else { return String::new() };
            match id {
                $(<$function>::CONSTRUCTOR_ID => {
                    <$function>::from_bytes(fields).map(|request| shorten(&format!("{request:?}"))).unwrap_or_default()
                })*
                $(<$waiting>::CONSTRUCTOR_ID => {
                    <$waiting>::from_bytes(fields).map(|request| shorten(&format!("{request:?}"))).unwrap_or_default()
                })*
                _ => String::new(),
            }
        }
    };
}

methods! {
    waiting {
        f::messages::GetInlineBotResults => bots::get_inline_bot_results;
        f::messages::GetBotCallbackAnswer => bots::get_bot_callback_answer;
    }

    Open f::help::GetConfig => help::get_config;
    Open f::help::GetNearestDc => help::get_nearest_dc;
    Open f::help::GetAppConfig => help::get_app_config;
    Open f::help::GetCdnConfig => help::get_cdn_config;
    LoggedIn f::help::GetTermsOfServiceUpdate => help::get_terms_of_service_update;
    LoggedIn f::help::GetPromoData => help::get_promo_data;

    Open f::auth::SendCode => login::send_code;
    Open f::auth::ResendCode => login::resend_code;
    Open f::auth::CancelCode => login::cancel_code;
    Open f::auth::SignIn => login::sign_in;
    Open f::auth::SignUp => login::sign_up;
    Open f::auth::ImportAuthorization => login::import_authorization;
    Open f::auth::ExportLoginToken => qr::export_login_token;
    Open f::auth::ImportLoginToken => qr::import_login_token;
    LoggedIn f::auth::AcceptLoginToken => qr::accept_login_token;
    Open f::auth::ImportBotAuthorization => bots::import_bot_authorization;
    Open f::account::GetPassword => password::get_password;
    Open f::auth::CheckPassword => password::check_password;
    LoggedIn f::auth::ExportAuthorization => login::export_authorization;
    LoggedIn f::auth::LogOut => login::log_out;
    LoggedIn f::account::GetAuthorizations => authorizations::authorizations;
    LoggedIn f::account::ResetAuthorization => authorizations::reset_authorization;
    LoggedIn f::auth::ResetAuthorizations => authorizations::reset_authorizations;

    LoggedIn f::updates::GetState => updates::get_state;
    LoggedIn f::updates::GetDifference => updates::get_difference;
    LoggedIn f::updates::GetChannelDifference => channels::get_channel_difference;
    LoggedIn f::account::UpdateStatus => users::update_status;
    LoggedIn f::users::GetUsers => users::get_users;
    LoggedIn f::users::GetFullUser => users::get_full_user;

    LoggedIn f::contacts::ResolvePhone => contacts::resolve_phone;
    LoggedIn f::contacts::ResolveUsername => contacts::resolve_username;
    LoggedIn f::contacts::ImportContacts => contacts::import_contacts;
    LoggedIn f::contacts::GetContacts => contacts::get_contacts;
    LoggedIn f::contacts::GetStatuses => contacts::get_statuses;
    LoggedIn f::contacts::AddContact => contacts::add_contact;
    LoggedIn f::contacts::DeleteContacts => contacts::delete_contacts;
    LoggedIn f::contacts::DeleteByPhones => contacts::delete_by_phones;
    LoggedIn f::contacts::Search => contacts::search;
    LoggedIn f::contacts::Block => contacts::block;
    LoggedIn f::contacts::Unblock => contacts::unblock;
    LoggedIn f::contacts::GetBlocked => contacts::blocked;
    LoggedIn f::contacts::GetTopPeers => contacts::top_peers;
    LoggedIn f::account::GetPrivacy => privacy::get_privacy;
    LoggedIn f::account::SetPrivacy => privacy::set_privacy;

    LoggedIn f::messages::SendMessage => messages::send_message;
    LoggedIn f::messages::SendMedia => messages::send_media;
    LoggedIn f::messages::SendMultiMedia => messages::send_multi_media;
    LoggedIn f::messages::ForwardMessages => messages::forward_messages;
    LoggedIn f::messages::EditMessage => messages::edit_message;
    LoggedIn f::messages::DeleteMessages => messages::delete_messages;
    LoggedIn f::messages::DeleteHistory => messages::delete_history;
    LoggedIn f::messages::ReadHistory => messages::read_history;
    LoggedIn f::messages::ReadMessageContents => messages::read_message_contents;
    LoggedIn f::messages::SetTyping => messages::set_typing;
    LoggedIn f::messages::GetMessages => messages::get_messages;
    LoggedIn f::messages::GetHistory => messages::get_history;
    LoggedIn f::messages::Search => messages::search;
    LoggedIn f::messages::SearchGlobal => messages::search_global;
    LoggedIn f::messages::GetDialogs => messages::get_dialogs;
    LoggedIn f::messages::GetPeerDialogs => messages::get_peer_dialogs;
    LoggedIn f::messages::GetPinnedDialogs => messages::get_pinned_dialogs;
    LoggedIn f::messages::ToggleDialogPin => messages::toggle_dialog_pin;
    LoggedIn f::messages::GetDialogFilters => messages::get_dialog_filters;
    LoggedIn f::messages::UpdatePinnedMessage => messages::update_pinned_message;
    LoggedIn f::messages::UnpinAllMessages => messages::unpin_all_messages;
    LoggedIn f::messages::SendReaction => messages::send_reaction;
    LoggedIn f::messages::GetMessagesReactions => messages::get_messages_reactions;
    LoggedIn f::messages::GetScheduledHistory => messages::get_scheduled_history;
    LoggedIn f::messages::GetScheduledMessages => messages::get_scheduled_messages;
    LoggedIn f::messages::SendScheduledMessages => messages::send_scheduled_messages;
    LoggedIn f::messages::DeleteScheduledMessages => messages::delete_scheduled_messages;
    LoggedIn f::messages::SendVote => messages::send_vote;
    LoggedIn f::messages::GetPollResults => messages::get_poll_results;
    LoggedIn f::messages::GetPollVotes => messages::get_poll_votes;
    LoggedIn f::messages::GetWebPagePreview => messages::get_web_page_preview;

    LoggedIn f::folders::EditPeerFolders => messages::edit_peer_folders;

    LoggedIn f::messages::UploadMedia => files::upload_media;

    LoggedIn f::upload::SaveFilePart => files::save_file_part;
    LoggedIn f::upload::SaveBigFilePart => files::save_big_file_part;
    LoggedIn f::upload::GetFile => files::get_file;
    LoggedIn f::upload::GetFileHashes => files::get_file_hashes;

    LoggedIn f::photos::UploadProfilePhoto => files::upload_profile_photo;
    LoggedIn f::photos::UpdateProfilePhoto => files::update_profile_photo;
    LoggedIn f::photos::DeletePhotos => files::delete_photos;
    LoggedIn f::photos::GetUserPhotos => files::get_user_photos;

    LoggedIn f::messages::CreateChat => groups::create_chat;
    LoggedIn f::messages::AddChatUser => groups::add_chat_user;
    LoggedIn f::messages::DeleteChatUser => groups::delete_chat_user;
    LoggedIn f::messages::EditChatAdmin => groups::edit_chat_admin;
    LoggedIn f::messages::EditChatTitle => groups::edit_chat_title;
    LoggedIn f::messages::EditChatPhoto => groups::edit_chat_photo;
    LoggedIn f::messages::EditChatAbout => groups::edit_chat_about;
    LoggedIn f::messages::EditChatDefaultBannedRights => groups::edit_chat_default_banned_rights;
    LoggedIn f::messages::GetFullChat => groups::get_full_chat;
    LoggedIn f::messages::GetChats => groups::get_chats;
    LoggedIn f::messages::DeleteChat => groups::delete_chat;
    LoggedIn f::messages::MigrateChat => groups::migrate_chat;
    LoggedIn f::messages::ExportChatInvite => groups::export_chat_invite;
    LoggedIn f::messages::GetExportedChatInvites => groups::get_exported_chat_invites;
    LoggedIn f::messages::EditExportedChatInvite => groups::edit_exported_chat_invite;
    LoggedIn f::messages::CheckChatInvite => groups::check_chat_invite;
    LoggedIn f::messages::ImportChatInvite => groups::import_chat_invite;

    LoggedIn f::channels::CreateChannel => channels::create_channel;
    LoggedIn f::channels::GetChannels => channels::get_channels;
    LoggedIn f::channels::GetFullChannel => channels::get_full_channel;
    LoggedIn f::channels::GetParticipants => channels::get_participants;
    LoggedIn f::channels::GetParticipant => channels::get_participant;
    LoggedIn f::channels::InviteToChannel => channels::invite_to_channel;
    LoggedIn f::channels::JoinChannel => channels::join_channel;
    LoggedIn f::channels::LeaveChannel => channels::leave_channel;
    LoggedIn f::channels::DeleteChannel => channels::delete_channel;
    LoggedIn f::channels::EditAdmin => channels::edit_admin;
    LoggedIn f::channels::EditBanned => channels::edit_banned;
    LoggedIn f::channels::EditTitle => channels::edit_title;
    LoggedIn f::channels::EditPhoto => channels::edit_photo;
    LoggedIn f::channels::CheckUsername => channels::check_username;
    LoggedIn f::channels::UpdateUsername => channels::update_username;
    LoggedIn f::channels::GetMessages => channels::get_messages;
    LoggedIn f::channels::DeleteMessages => channels::delete_messages;
    LoggedIn f::channels::ReadHistory => channels::read_history;
    LoggedIn f::channels::ReadMessageContents => channels::read_message_contents;
    LoggedIn f::channels::ExportMessageLink => channels::export_message_link;

    LoggedIn f::account::UpdateProfile => profile::update_profile;
    LoggedIn f::account::CheckUsername => profile::check_username;
    LoggedIn f::account::UpdateUsername => profile::update_username;

    LoggedIn f::account::GetNotifySettings => quiet::get_notify_settings;
    LoggedIn f::messages::GetPeerSettings => quiet::get_peer_settings;
    LoggedIn f::messages::GetAvailableReactions => quiet::get_available_reactions;
    LoggedIn f::messages::GetAvailableEffects => quiet::get_available_effects;
    LoggedIn f::messages::GetAttachMenuBots => quiet::get_attach_menu_bots;
    LoggedIn f::account::GetChatThemes => quiet::get_chat_themes;
    LoggedIn f::help::GetPeerColors => quiet::get_peer_colors;
    LoggedIn f::help::GetPeerProfileColors => quiet::get_peer_profile_colors;

    LoggedIn f::messages::GetDhConfig => prime::get_dh_config;
    LoggedIn f::phone::GetCallConfig => phone::get_call_config;
    LoggedIn f::phone::RequestCall => phone::request_call;
    LoggedIn f::phone::ReceivedCall => phone::received_call;
    LoggedIn f::phone::AcceptCall => phone::accept_call;
    LoggedIn f::phone::ConfirmCall => phone::confirm_call;
    LoggedIn f::phone::DiscardCall => phone::discard_call;
    LoggedIn f::phone::SendSignalingData => phone::send_signaling_data;
    LoggedIn f::phone::SetCallRating => phone::set_call_rating;
    LoggedIn f::phone::SaveCallDebug => phone::save_call_debug;
    LoggedIn f::phone::SaveCallLog => phone::save_call_log;

    LoggedIn f::messages::SendInlineBotResult => bots::send_inline_bot_result;
    LoggedIn f::messages::StartBot => bots::start_bot;
}

/// The method's name in the schema.
pub(crate) fn name(body: &[u8]) -> &'static str {
    split(body).map_or("", |(id, _)| tl::name_for_id(id))
}

fn split(body: &[u8]) -> Result<(u32, &[u8]), RpcError> {
    let (id, fields) =
        body.split_first_chunk::<4>().ok_or_else(|| RpcError::bad_request("INPUT_REQUEST_TOO_SHORT"))?;
    Ok((u32::from_le_bytes(*id), fields))
}

fn run<R>(
    ctx: &mut Ctx<'_>,
    door: Door,
    fields: &[u8],
    handler: impl Fn(&mut Ctx<'_>, R) -> Result<R::Return, RpcError>,
) -> Result<Reply, RpcError>
where
    R: Deserializable + RemoteCall,
    R::Return: Serializable,
{
    if door == Door::LoggedIn {
        ctx.user = ctx.state.admit(ctx.caller.auth_key_id)?;
    }
    let request = R::from_bytes(fields).map_err(|_| RpcError::bad_request("INPUT_FETCH_FAIL"))?;
    handler(ctx, request).map(|answer| Reply::Now(answer.to_bytes()))
}

/// A method for those logged in that may have to wait for somebody else.
fn wait<R: Deserializable>(
    ctx: &mut Ctx<'_>,
    fields: &[u8],
    waiter: impl Fn(&mut Ctx<'_>, R) -> Result<Reply, RpcError>,
) -> Result<Reply, RpcError> {
    ctx.user = ctx.state.admit(ctx.caller.auth_key_id)?;
    let request = R::from_bytes(fields).map_err(|_| RpcError::bad_request("INPUT_FETCH_FAIL"))?;
    waiter(ctx, request)
}
