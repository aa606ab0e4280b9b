//! What to type or paste into a PBX, with this line's own values.

use maud::{Markup, html};
use tgtrunk_config::{CodecName, DtmfWay};

use crate::page::model::{Frame, PbxPage};
use crate::page::view::line::{Tab, sheet};
use crate::page::view::lines::copy;

/// A line's values, as blocks need them.
struct Values {
    /// What the trunk is called there.
    trunk: String,
    /// Where the line is.
    host: String,
    port: String,
    /// What the PBX sees as the dialled number.
    user: String,
    /// Where the PBX is, as the line's settings say.
    pbx: String,
    codecs: Vec<CodecName>,
    dtmf: DtmfWay,
}

/// The page.
pub(crate) fn page(frame: &Frame, page: &PbxPage) -> Markup {
    let values = Values::of(page);
    let blocks = [
        ("mikopbx", "MikoPBX", mikopbx(frame, &values)),
        ("freepbx", "FreePBX", freepbx(frame, &values)),
        ("asterisk", "Asterisk", asterisk(frame, &values)),
        ("freeswitch", "FreeSWITCH", freeswitch(frame, &values)),
        ("3cx", "3CX", three_cx(frame, &values)),
    ];
    let main = html! {
        section.card {
            h2 { (frame.say("Что нужно любой АТС", "What every PBX needs")) }
            dl.facts {
                (fact(frame, frame.say("Адрес и порт линии", "Address and port of the line"), &page.card.sip))
                (fact(frame, frame.say("Набранный номер (DID)", "Dialled number (DID)"), &values.user))
                (fact(frame, frame.say("Кодеки", "Codecs"), &values.codecs(of_people, ", ")))
                (fact(frame, frame.say("Клавиши (DTMF)", "Keys (DTMF)"), match values.dtmf {
                    DtmfWay::Auto | DtmfWay::Rfc4733 => "RFC 4733 (RFC 2833)",
                    DtmfWay::Info => "SIP INFO",
                    DtmfWay::InBand => frame.say("тонами", "in band"),
                }))
            }
            p.hint { (frame.say(
                "Без регистрации и пароля: АТС узнаёт линию по адресу и порту. Звонки линия посылает на ",
                "No registration, no password: the PBX knows the line by its address and port. The line sends calls to ",
            )) code { (values.pbx) } "." }
        }
        @for (at, (id, name, block)) in blocks.iter().enumerate() {
            details.card.group.pbx id=(id) open[at == 0] name="pbx" {
                summary { h2 { (name) } }
                (block)
            }
        }
    };
    sheet(frame, &page.card, Tab::Pbx, main)
}

impl Values {
    fn of(page: &PbxPage) -> Self {
        let (host, port) = page.card.sip.rsplit_once(':').unwrap_or(("127.0.0.1", "30001"));
        Self {
            trunk: format!("tg{port}"),
            host: host.to_owned(),
            port: port.to_owned(),
            user: page.pbx_user.clone(),
            pbx: page.card.pbx.clone(),
            codecs: page.codecs.clone(),
            dtmf: page.dtmf,
        }
    }

    /// The line's codecs by the names that a PBX has for them.
    fn codecs(&self, named: fn(CodecName) -> &'static str, between: &str) -> String {
        self.codecs.iter().map(|codec| named(*codec)).collect::<Vec<_>>().join(between)
    }

    fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// As Asterisk and what is built on it call them.
fn of_asterisk(codec: CodecName) -> &'static str {
    match codec {
        CodecName::Opus => "opus",
        CodecName::G722 => "g722",
        CodecName::Pcma => "alaw",
        CodecName::Pcmu => "ulaw",
        CodecName::L16 => "slin48",
    }
}

/// As FreeSWITCH calls them.
fn of_freeswitch(codec: CodecName) -> &'static str {
    match codec {
        CodecName::Opus => "OPUS",
        CodecName::G722 => "G722",
        CodecName::Pcma => "PCMA",
        CodecName::Pcmu => "PCMU",
        CodecName::L16 => "L16@48000h",
    }
}

/// As people call them.
fn of_people(codec: CodecName) -> &'static str {
    match codec {
        CodecName::Opus => "Opus",
        CodecName::G722 => "G.722",
        CodecName::Pcma => "G.711 A-law",
        CodecName::Pcmu => "G.711 µ-law",
        CodecName::L16 => "L16",
    }
}

/// The `dtmf_mode` of Asterisk's endpoints.
fn dtmf_mode(way: DtmfWay) -> &'static str {
    match way {
        DtmfWay::Auto | DtmfWay::Rfc4733 => "rfc4733",
        DtmfWay::Info => "info",
        DtmfWay::InBand => "inband",
    }
}

fn fact(frame: &Frame, name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { code { (value) } (copy(frame, value, &format!("{}: {name}", frame.say("Копировать", "Copy")))) } } }
}

fn rows(frame: &Frame, rows: &[(&str, &str)]) -> Markup {
    html! { dl.facts { @for (name, value) in rows { (fact(frame, name, value)) } } }
}

fn block(frame: &Frame, file: &str, text: &str) -> Markup {
    html! {
        figure.block {
            figcaption { code { (file) } (copy(frame, text, &format!("{} {file}", frame.say("Копировать", "Copy")))) }
            pre tabindex="0" { (text) }
        }
    }
}

fn mikopbx(frame: &Frame, values: &Values) -> Markup {
    html! {
        ol.how {
            li { (frame.say("Маршрутизация → Провайдеры телефонии → Подключить SIP.", "Routing → Telephony providers → Connect SIP.")) }
            li {
                (frame.say("Без регистрации, аутентификация по IP-адресу, без пароля:", "No registration, authentication by IP address, no password:"))
                (rows(frame, &[
                    (frame.say("Хост", "Host"), &values.host),
                    (frame.say("Порт", "Port"), &values.port),
                ]))
            }
            li { (frame.say(
                "Расширенные настройки: включите «Отключить использование fromuser», чтобы номер звонящего остался, каким его даёт линия; «qualify» оставьте включённым.",
                "Advanced settings: switch the use of fromuser off, so that the caller’s number stays as the line gives it; leave qualify on.",
            )) }
            li {
                (frame.say("Общие настройки → Кодеки: включите ", "General settings → Audio codecs: switch on "))
                (values.codecs(of_people, ", ")) "."
            }
            li { (frame.say("Входящий маршрут: этот провайдер, номер ", "Incoming route: this provider, number ")) code { (values.user) } "." }
            li { (frame.say(
                "Исходящий маршрут: шаблон номеров, которые идут в Telegram; если знака + нет, пусть маршрут его добавит.",
                "Outgoing route: a template for the numbers that go to Telegram; where + is missing, have the route add it.",
            )) }
        }
    }
}

fn freepbx(frame: &Frame, values: &Values) -> Markup {
    html! {
        ol.how {
            li { "Connectivity → Trunks → Add SIP (chan_pjsip) Trunk" (rows(frame, &[("Trunk Name", &values.trunk)])) }
            li {
                "pjsip Settings → General"
                (rows(frame, &[
                    ("Authentication", "None"),
                    ("Registration", "None"),
                    ("SIP Server", &values.host),
                    ("SIP Server Port", &values.port),
                ]))
            }
            li {
                "pjsip Settings → Advanced"
                (rows(frame, &[("Qualify Frequency", "30"), ("Match (Permit)", &values.place())]))
                p.hint { (frame.say(
                    "С портом: по одному адресу АТС перепутала бы несколько линий.",
                    "With its port: by the address alone the PBX would take one line for another.",
                )) }
            }
            li { "Codecs: " code { (values.codecs(of_asterisk, ", ")) } "; DTMF Mode: " code { (dtmf_mode(values.dtmf)) } }
            li { "Connectivity → Inbound Routes" (rows(frame, &[("DID Number", &values.user)])) }
            li { "Connectivity → Outbound Routes" (rows(frame, &[("Trunk Sequence", &values.trunk), ("match pattern", "+.")])) }
        }
    }
}

fn asterisk(frame: &Frame, values: &Values) -> Markup {
    let (trunk, place, user) = (&values.trunk, values.place(), &values.user);
    let (codecs, dtmf) = (values.codecs(of_asterisk, ","), dtmf_mode(values.dtmf));
    let pjsip = format!(
        "[{trunk}]\ntype = endpoint\ncontext = from-telegram\naors = {trunk}\ndisallow = all\nallow = {codecs}\n\
         direct_media = no\ndtmf_mode = {dtmf}\nsend_pai = yes\n\n[{trunk}]\ntype = aor\ncontact = sip:{place}\n\
         qualify_frequency = 30\n\n[{trunk}]\ntype = identify\nendpoint = {trunk}\nmatch = {place}\n"
    );
    let extensions = format!(
        "[from-telegram]\nexten => {user},1,Set(CDR(userfield)=${{PJSIP_HEADER(read,X-TG-Username)}})\n \
         same => n,Dial(PJSIP/100,80)\n\n[to-telegram]\nexten => _+X.,1,Dial(PJSIP/${{EXTEN}}@{trunk})\n"
    );
    html! {
        p { (frame.say(
            "Транспорт UDP на адресе АТС считается уже настроенным. После правки: ",
            "A UDP transport on the PBX’s address is taken as given. Then: ",
        )) code { "asterisk -rx 'pjsip reload'" } }
        (block(frame, "pjsip.conf", &pjsip))
        (block(frame, "extensions.conf", &extensions))
    }
}

fn freeswitch(frame: &Frame, values: &Values) -> Markup {
    let (trunk, host, place, user) = (&values.trunk, &values.host, values.place(), &values.user);
    let codecs = values.codecs(of_freeswitch, ",");
    let gateway = format!(
        "<include>\n  <gateway name=\"{trunk}\">\n    <param name=\"proxy\" value=\"{place}\"/>\n    \
         <param name=\"register\" value=\"false\"/>\n    <param name=\"caller-id-in-from\" value=\"true\"/>\n    \
         <param name=\"ping\" value=\"30\"/>\n  </gateway>\n</include>\n"
    );
    let list = format!("<node type=\"allow\" cidr=\"{host}/32\"/>\n");
    let public = format!(
        "<include>\n  <extension name=\"from-{trunk}\">\n    \
         <condition field=\"destination_number\" expression=\"^{}$\">\n      \
         <action application=\"transfer\" data=\"1000 XML default\"/>\n    </condition>\n  </extension>\n</include>\n",
        user.replace('+', "\\+")
    );
    let default = format!(
        "<include>\n  <extension name=\"to-{trunk}\">\n    <condition field=\"destination_number\" expression=\"^(\\+\\d+)$\">\n      \
         <action application=\"bridge\" data=\"{{absolute_codec_string='{codecs}'}}sofia/gateway/{trunk}/$1\"/>\n    \
         </condition>\n  </extension>\n</include>\n"
    );
    html! {
        p { (frame.say(
            "Профиль external; адрес АТС в настройках линии должен указывать на его порт, обычно 5080. Потом: ",
            "The external profile; the PBX address in the line’s settings must name its port, usually 5080. Then: ",
        )) code { "fs_cli -x 'sofia profile external rescan'" } }
        (block(frame, &format!("sip_profiles/external/{trunk}.xml"), &gateway))
        (block(frame, "autoload_configs/acl.conf.xml, domains", &list))
        (block(frame, &format!("dialplan/public/{trunk}.xml"), &public))
        (block(frame, &format!("dialplan/default/{trunk}.xml"), &default))
    }
}

fn three_cx(frame: &Frame, values: &Values) -> Markup {
    html! {
        ol.how {
            li {
                (frame.say("Voice & Chat → Add Trunk → Generic SIP Trunk (IP based):", "Voice & Chat → Add Trunk → Generic SIP Trunk (IP based):"))
                (rows(frame, &[
                    ("Main Trunk No", &values.user),
                    ("Registrar/Server", &values.host),
                    ("Port", &values.port),
                    ("Type of Authentication", "Do not require – IP Based"),
                ]))
            }
            li {
                "Codecs: " (values.codecs(of_people, ", ")) ". "
                (frame.say("Re-invite и REFER выключите.", "Switch Re-invite and REFER off."))
            }
            li { (frame.say("Inbound Rules: DID ", "Inbound rules: DID ")) code { (values.user) } "." }
            li { (frame.say("Outbound Rules: номера, которые начинаются с +, через этот транк.", "Outbound rules: numbers that begin with + over this trunk.")) }
            li { (frame.say(
                "3CX обычно на другой машине: задайте в настройках системы адрес SIP-портов, который она видит.",
                "3CX is usually on another machine: in the system’s settings give the SIP ports an address that it can reach.",
            )) }
        }
    }
}
