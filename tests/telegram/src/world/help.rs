//! `help.*`: what clients ask before and beside everything else.

use grammers_tl_types as tl;

use super::calls::{CONNECT_TIMEOUT, PACKET_TIMEOUT, RECEIVE_TIMEOUT, RING_TIMEOUT};
use super::clock::unix_now;
use super::dispatch::Ctx;
use super::error::RpcError;

/// Seconds for which answers of this kind hold.
const FRESH_S: i32 = 3600;

/// `help.getConfig`: the data centres' addresses, and the timers of calls as scaled.
pub(crate) fn get_config(
    ctx: &mut Ctx<'_>,
    _: tl::functions::help::GetConfig,
) -> Result<tl::enums::Config, RpcError> {
    let date = unix_now();
    let scaled_ms = |period| i32::try_from(ctx.state.clock.scaled(period).as_millis()).unwrap_or(i32::MAX);
    let option = |(dc, address): &(i32, std::net::SocketAddr)| {
        tl::types::DcOption {
            ipv6: address.is_ipv6(),
            media_only: false,
            tcpo_only: false,
            cdn: false,
            r#static: true,
            this_port_only: true,
            id: *dc,
            ip_address: address.ip().to_string(),
            port: i32::from(address.port()),
            secret: None,
        }
        .into()
    };
    Ok(tl::types::Config {
        default_p2p_contacts: true,
        preload_featured_stickers: false,
        revoke_pm_inbox: true,
        blocked_mode: false,
        force_try_ipv6: false,
        date,
        expires: date.saturating_add(FRESH_S),
        test_mode: false,
        this_dc: ctx.caller.dc,
        dc_options: ctx.state.addresses.iter().map(option).collect(),
        dc_txt_domain_name: "localhost".to_owned(),
        chat_size_max: 200,
        megagroup_size_max: 200_000,
        forwarded_count_max: 100,
        online_update_period_ms: 210_000,
        offline_blur_timeout_ms: 5_000,
        offline_idle_timeout_ms: 30_000,
        online_cloud_timeout_ms: 300_000,
        notify_cloud_delay_ms: 30_000,
        notify_default_delay_ms: 1_500,
        push_chat_period_ms: 60_000,
        push_chat_limit: 2,
        edit_time_limit: 172_800,
        revoke_time_limit: i32::MAX,
        revoke_pm_time_limit: i32::MAX,
        rating_e_decay: 2_419_200,
        stickers_recent_limit: 200,
        channels_read_media_period: 604_800,
        tmp_sessions: None,
        call_receive_timeout_ms: scaled_ms(RECEIVE_TIMEOUT),
        call_ring_timeout_ms: scaled_ms(RING_TIMEOUT),
        call_connect_timeout_ms: scaled_ms(CONNECT_TIMEOUT),
        call_packet_timeout_ms: scaled_ms(PACKET_TIMEOUT),
        me_url_prefix: "https://t.me/".to_owned(),
        autoupdate_url_prefix: None,
        gif_search_username: None,
        venue_search_username: None,
        img_search_username: None,
        static_maps_provider: None,
        caption_length_max: 1024,
        message_length_max: 4096,
        webfile_dc_id: ctx.state.home_dc,
        suggested_lang_code: None,
        lang_pack_version: None,
        base_lang_pack_version: None,
        reactions_default: None,
        autologin_token: None,
    }
    .into())
}

/// `help.getNearestDc`.
pub(crate) fn get_nearest_dc(
    ctx: &mut Ctx<'_>,
    _: tl::functions::help::GetNearestDc,
) -> Result<tl::enums::NearestDc, RpcError> {
    let (this_dc, nearest_dc) = (ctx.caller.dc, ctx.state.home_dc);
    Ok(tl::types::NearestDc { country: "ZZ".to_owned(), this_dc, nearest_dc }.into())
}

/// `help.getAppConfig`: an empty object.
pub(crate) fn get_app_config(
    _: &mut Ctx<'_>,
    _: tl::functions::help::GetAppConfig,
) -> Result<tl::enums::help::AppConfig, RpcError> {
    let config = tl::types::JsonObject { value: Vec::new() }.into();
    Ok(tl::types::help::AppConfig { hash: 1, config }.into())
}

/// `help.getCdnConfig`: no such servers.
pub(crate) fn get_cdn_config(
    _: &mut Ctx<'_>,
    _: tl::functions::help::GetCdnConfig,
) -> Result<tl::enums::CdnConfig, RpcError> {
    Ok(tl::types::CdnConfig { public_keys: Vec::new() }.into())
}

/// `help.getTermsOfServiceUpdate`: none.
pub(crate) fn get_terms_of_service_update(
    _: &mut Ctx<'_>,
    _: tl::functions::help::GetTermsOfServiceUpdate,
) -> Result<tl::enums::help::TermsOfServiceUpdate, RpcError> {
    Ok(tl::types::help::TermsOfServiceUpdateEmpty { expires: unix_now().saturating_add(FRESH_S) }.into())
}

/// `help.getPromoData`: none.
pub(crate) fn get_promo_data(
    _: &mut Ctx<'_>,
    _: tl::functions::help::GetPromoData,
) -> Result<tl::enums::help::PromoData, RpcError> {
    Ok(tl::types::help::PromoDataEmpty { expires: unix_now().saturating_add(FRESH_S) }.into())
}
