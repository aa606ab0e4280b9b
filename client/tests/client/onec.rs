//! The connector of 1C: its requests (`client/testdata/1c`) over TLS, byte for byte, and Anna at the other end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde_json::{Value, json};
use tgtrunk_telegram::tl;
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::canary::PASSWORD;
use tgtrunk_test_telegram::world::{Entry, Hung, Letter};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::support::{SOON, Scene, eventually, line};

const SHOP: &str = "79070000000";
const ANNA: &str = "79001112233";
/// How many methods the connector calls.
const METHODS: usize = 51;
/// The only values of `typeWebhook` that the connector knows; at any other it stops for ever.
const KNOWN: [&str; 3] = ["incomingMessageReceived", "outgoingMessageStatus", "stateInstanceChanged"];
/// A picture of one pixel: JPEG (ITU-T T.81).
const PICTURE: &str = "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA=";

#[tokio::test(flavor = "multi_thread")]
async fn every_method_of_the_connector_of_1c_is_answered_as_it_reads_answers() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let scene = Scene::new(line()).await;
    let text = std::fs::read_to_string(scene.settings()).unwrap();
    let tls =
        format!("[api]\ntls_listen = \"127.0.0.1:{port}\"\npublic_url = \"https://localhost:{port}\"\n");
    std::fs::write(scene.settings(), text.replace("[api]\n", &tls)).unwrap();
    let shop = scene.world().add_user(NewUser::new(SHOP, "Shop").password(PASSWORD)).unwrap();
    let _client = scene.run();
    eventually("a port", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    let mut onec = Connector::new(port);
    onec.knows("partner", partner_token(&scene).await);
    onec.knows("chat", scene.anna);
    onec.knows("phone", SHOP);
    onec.knows("friend", ANNA);
    onec.knows("password", PASSWORD);

    log_in(&scene, &mut onec, shop).await;
    send(&scene, &mut onec, shop).await;
    receive(&scene, &mut onec, shop).await;
    groups(&scene, &mut onec).await;
    people(&scene, &mut onec, shop).await;
    end(&scene, &mut onec, shop).await;

    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "http"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(onec.replayed, files, "all of them are replayed");
    let methods: BTreeSet<&str> = files.iter().map(|file| file.split('-').next().unwrap()).collect();
    assert_eq!(methods.len(), METHODS);
}

/// An instance is made, and somebody logs its account in while the connector looks every three seconds how it stands.
async fn log_in(scene: &Scene, onec: &mut Connector, shop: i64) {
    let made = onec.done("createInstance").await;
    onec.knows("id", made["idInstance"].to_string());
    onec.knows("token", made["apiTokenInstance"].as_str().unwrap());
    let all = onec.done("getInstances").await;
    let own = all.as_array().unwrap().iter().find(|one| one["idInstance"] == made["idInstance"]);
    assert_eq!(own.unwrap()["deleted"], false, "{all}");
    let kept = onec.done("getSettings").await;
    assert_eq!(kept["webhookUrl"], "https://mysite.com/webhook/green-api/", "{kept}");
    let switches = (&kept["outgoingWebhook"], &kept["outgoingMessageWebhook"], &kept["incomingWebhook"]);
    assert_eq!(switches, (&json!("yes"), &json!("no"), &json!("yes")), "{kept}");
    eventually("a word about the example", || scene.client_log().contains("the example of 1C's connector"))
        .await;
    assert_eq!(onec.done("getStateInstance").await["stateInstance"], "notAuthorized");
    let picture = onec.done("qr").await;
    assert_eq!(picture["type"], "qrCode", "{picture}");
    STANDARD.decode(picture["message"].as_str().unwrap()).unwrap();
    assert_eq!(onec.done("startAuthorization").await["status"], true);
    onec.knows("code", scene.world().pending_login_code(SHOP).unwrap());
    let half = onec.done("sendAuthorizationCode").await;
    assert_eq!(
        (&half["status"], &half["data"]["reason"]),
        (&json!(true), &json!("pending_password")),
        "{half}"
    );
    assert_eq!(onec.done("sendAuthorizationPassword").await["status"], true);
    loop {
        let state = onec.done("getStateInstance").await["stateInstance"].clone();
        if state == "authorized" {
            break;
        }
        sleep(Duration::from_secs(3)).await;
    }
    assert_eq!(onec.done("qr").await["type"], "alreadyLogged");
    assert_eq!(onec.done("setSettings").await["saveSettings"], true);
    let account = onec.done("getAccountSettings").await;
    assert_eq!((&account["phone"], &account["stateInstance"]), (&json!(SHOP), &json!("authorized")));
    let pictured = onec.done("setProfilePicture").await;
    assert_eq!(pictured["setProfilePicture"], true, "{pictured}");
    let link = pictured["urlAvatar"].as_str().unwrap();
    assert_eq!(onec.fetched(scene, link).await, picture_bytes(), "as Telegram gives it back");
    assert_eq!(scene.world().count(shop, "photos.uploadProfilePhoto"), 1);
}

fn picture_bytes() -> Vec<u8> {
    STANDARD.decode(PICTURE).unwrap()
}

/// Everything that is sent is there, once, and as it was meant.
async fn send(scene: &Scene, onec: &mut Connector, shop: i64) {
    let found = onec.done("checkAccount").await;
    assert_eq!(
        (&found["exist"], &found["chatId"]),
        (&json!(true), &json!(scene.anna.to_string())),
        "{found}"
    );
    let typed = scene.world().count(shop, "messages.setTyping");
    onec.done("sendTyping").await;
    let is_typing = |entry: &Entry| {
        let typing = entry.request::<tl::functions::messages::SetTyping>()?;
        let tl::enums::InputPeer::User(peer) = typing.peer else { return None };
        (entry.user == Some(shop)).then_some((peer.user_id, typing.action))
    };
    let seen_typing = || scene.world().journal(0).iter().filter_map(is_typing).collect::<Vec<_>>();
    assert_eq!(typed, 0);
    eventually("typing", || {
        seen_typing() == [(scene.anna, tl::enums::SendMessageAction::SendMessageTypingAction)]
    })
    .await;
    let first = onec.done("sendMessage").await;
    onec.done("sendMessage-2").await;
    // The second waits for its turn after the first, or is gone already on a slow machine.
    let queued = onec.done("showMessagesQueue").await;
    let waiting = queued.as_array().unwrap().iter().map(|line| line["body"]["message"].as_str().unwrap());
    let all = [r"Прайс: C:\docs\1.txt", r"Папка D:\"];
    assert!(all.ends_with(&waiting.collect::<Vec<_>>()), "{queued}");
    assert!(onec.done("getMessagesCount").await["count"].as_u64().unwrap() <= 2);
    let seen = || scene.world().chat(scene.anna, shop).into_iter().filter(|one| !one.deleted);
    let texts = || seen().map(|one| one.text).collect::<Vec<_>>();
    eventually("both texts", || texts() == all).await;
    while onec.done("getMessagesCount").await["count"] != 0 {
        sleep(Duration::from_millis(200)).await;
    }
    onec.knows("message", first["idMessage"].as_str().unwrap());

    let sent = onec.done("sendFileByUpload").await;
    assert!(sent["urlFile"].as_str().unwrap().starts_with("https://"), "{sent}");
    let laid = onec.done("uploadFile").await;
    onec.knows("file", laid["urlFile"].as_str().unwrap());
    onec.done("sendFileByUrl").await;
    onec.done("sendLocation").await;
    onec.done("sendContact").await;
    onec.done("sendPoll").await;
    let media = || seen().filter_map(|one| one.media).collect::<Vec<_>>();
    let [photo, geo] = ["messageMediaPhoto", "messageMediaGeo"];
    let expected = [photo, photo, geo, "messageMediaContact", "messageMediaPoll"];
    eventually("all media", || media() == expected).await;
    let of = |kind: &str| seen().filter(|one| one.media == Some(kind)).collect::<Vec<_>>();
    let photos = of(photo);
    let captions: Vec<&str> = photos.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(captions, ["Логотип", "Прайс"]);
    for one in &photos {
        assert_eq!(scene.world().file(one.file.unwrap()).unwrap(), picture_bytes());
    }
    let place = of(geo)[0].place.clone().unwrap();
    assert_eq!((place.latitude, place.longitude, place.title), (55.75, 37.61, None));
    let card = of("messageMediaContact")[0].contact.clone().unwrap();
    assert_eq!((&*card.phone, &*card.first_name, &*card.last_name), ("79990000000", "Борис", "Иванов"));
    let poll = of("messageMediaPoll")[0].poll.clone().unwrap();
    let answers: Vec<&str> = poll.answers.iter().map(|(answer, _)| answer.as_str()).collect();
    assert_eq!((&*poll.question, &*answers), ("Когда?", &["сегодня", "завтра"][..]));
    assert_eq!(onec.fetched(scene, sent["urlFile"].as_str().unwrap()).await, picture_bytes());
    assert_eq!(onec.done("clearMessagesQueue").await["isCleared"], true);
    let outgoing = onec.done("lastOutgoingMessages").await;
    assert_eq!(outgoing.as_array().unwrap().len(), 7, "{outgoing}");
    assert!(outgoing.as_array().unwrap().iter().all(|one| one["statusMessage"].is_string()), "{outgoing}");

    onec.done("editMessage").await;
    eventually("the edit", || texts().contains(&"Прайс готов".to_owned())).await;
    assert_eq!(onec.done("deleteMessage").await, json!({}));
    eventually("nothing of it", || !texts().contains(&"Прайс готов".to_owned())).await;
}

/// Whatever happens, only what the connector knows is told; files come over TLS whose certificate it believes.
async fn receive(scene: &Scene, onec: &mut Connector, shop: i64) {
    // Sooner than a minute after the last time it says so, as JSON with code 200: a DELETE must have an answer.
    assert_eq!(onec.done("clearWebhooksQueue").await["isCleared"], true);
    assert!(onec.done("clearWebhooksQueue").await["leftTime"].is_number());
    let file = Hung::Document {
        base64: STANDARD.encode("1;2"),
        name: "заказ.csv".to_owned(),
        mime: "text/csv".to_owned(),
    };
    // Of which the connector must not hear: it knows no such kind.
    scene.world().say(shop, scene.anna, "с телефона").unwrap();
    let letter = Letter { media: vec![file], ..Letter::text(shop, "мой заказ") };
    scene.world().write(scene.anna, letter).unwrap();
    let said = scene.world().say(scene.anna, shop, "Здравствуйте").unwrap();
    scene.world().edit_text(scene.anna, said.id, "Добрый день").unwrap();
    scene.world().react(scene.anna, shop, said.id, Some("👍")).unwrap();
    scene.world().delete_messages(scene.anna, &[said.id], true);
    scene.world().say(scene.anna, shop, "последнее").unwrap();
    let mut told = Vec::new();
    while !told.iter().any(|body: &Value| body.to_string().contains("последнее")) {
        let head = onec.done("receiveNotification").await;
        assert!(!head.is_null(), "nothing more is told after {told:?}");
        let again = onec.done("receiveNotification").await;
        assert_eq!(again["receiptId"], head["receiptId"], "it is told until it is deleted");
        if told.is_empty() {
            assert!(onec.done("getWebhooksCount").await["count"].as_u64().unwrap() >= 1);
        }
        onec.knows("receipt", head["receiptId"].to_string());
        assert_eq!(onec.done("deleteNotification").await["result"], true);
        told.push(head["body"].clone());
    }
    for body in &told {
        assert!(KNOWN.contains(&body["typeWebhook"].as_str().unwrap()), "{body}");
    }
    let came = told.iter().find(|body| body["messageData"]["typeMessage"] == "documentMessage").unwrap();
    let file = &came["messageData"]["fileMessageData"];
    assert_eq!(file["fileName"], "заказ.csv", "{came}");
    onec.knows("message", came["idMessage"].as_str().unwrap());
    let again = onec.done("downloadFile").await;
    for link in [&file["downloadUrl"], &again["downloadUrl"]] {
        assert_eq!(onec.fetched(scene, link.as_str().unwrap()).await, b"1;2");
    }
    let unread = || scene.world().chats(shop).iter().find(|one| one.chat == scene.anna).unwrap().unread;
    assert_ne!(unread(), 0);
    assert_eq!(onec.done("readChat").await["setRead"], true);
    eventually("all of the chat is read", || unread() == 0).await;
    assert_eq!(onec.done("getMessage").await["idMessage"], came["idMessage"]);
    for journal in ["getChatHistory", "lastIncomingMessages"] {
        let journal = onec.done(journal).await;
        assert!(journal.as_array().unwrap().len() >= 2, "{journal}");
    }
}

/// A group is made, changed and left.
async fn groups(scene: &Scene, onec: &mut Connector) {
    let made = onec.done("createGroup").await;
    assert_eq!(made["created"], true, "{made}");
    let group = made["chatId"].as_str().unwrap();
    onec.knows("group", group);
    let id: i64 = group.parse().unwrap();
    let seen = || scene.world().group(id).unwrap();
    let anna = || seen().members.into_iter().find(|one| one.user == scene.anna);
    assert_eq!(seen().title, "Отдел продаж");
    assert_eq!(onec.done("updateGroupName").await["updateGroupName"], true);
    assert_eq!(seen().title, "Отдел закупок");
    assert_eq!(onec.done("setGroupAdmin").await["setGroupAdmin"], true);
    assert!(anna().unwrap().admin);
    assert_eq!(onec.done("removeAdmin").await["removeAdmin"], true);
    assert!(!anna().unwrap().admin);
    assert_eq!(seen().photo, None);
    let pictured = onec.done("setGroupPicture").await;
    assert_eq!(pictured["setGroupPicture"], true, "{pictured}");
    let picture = scene.world().file(seen().photo.unwrap());
    assert_eq!(picture.unwrap(), picture_bytes());
    assert_eq!(onec.done("removeGroupParticipant").await["removeParticipant"], true);
    assert!(anna().is_none());
    assert_eq!(onec.done("addGroupParticipant").await["addParticipant"], true);
    assert!(anna().is_some());
    let card = onec.done("getGroupData").await;
    assert_eq!(card["subject"], "Отдел закупок", "{card}");
    assert_eq!(card["participants"].as_array().unwrap().len(), 2, "{card}");
    assert_eq!(onec.done("leaveGroup").await["leaveGroup"], true);
    let members = || scene.world().group(id).unwrap().members.len();
    eventually("only Anna is left", || members() == 1).await;
}

async fn people(scene: &Scene, onec: &mut Connector, shop: i64) {
    scene.world().set_portrait(scene.anna, picture_bytes()).unwrap();
    let avatar = onec.done("getAvatar").await;
    let link = avatar["urlAvatar"].as_str().unwrap();
    assert_eq!(onec.fetched(scene, link).await, picture_bytes());
    assert_eq!(onec.done("getContacts").await, json!([]), "she is not noted yet");
    scene.world().set_contact(shop, scene.anna, true);
    let contacts = onec.done("getContacts").await;
    let phones: Vec<&Value> = contacts.as_array().unwrap().iter().map(|one| &one["phoneNumber"]).collect();
    assert_eq!(phones, [&json!(79_001_112_233_i64)], "{contacts}");
    assert_eq!(contacts[0]["chatId"], scene.anna.to_string());
    assert_eq!(onec.done("getContactInfo").await["chatId"], scene.anna.to_string());
    let (chats, anna) = (onec.done("getChats").await, scene.anna.to_string());
    assert!(chats.as_array().unwrap().iter().any(|one| one["chatId"] == anna), "{chats}");
}

/// The instance is opened anew, logged out and deleted.
async fn end(scene: &Scene, onec: &mut Connector, shop: i64) {
    assert_eq!(onec.done("reboot").await["isReboot"], true);
    loop {
        let state = onec.done("getStateInstance").await["stateInstance"].clone();
        if state == "authorized" {
            break;
        }
        assert_eq!(state, "starting");
        sleep(Duration::from_secs(3)).await;
    }
    assert_eq!(onec.done("logout").await["isLogout"], true);
    eventually("no session", || scene.world().keys_of(shop).is_empty()).await;
    assert_eq!(onec.done("deleteInstanceAccount").await["deleteInstanceAccount"], true);
    sleep(Duration::from_secs(1)).await;
    let (code, told) = onec.asked("getStateInstance").await;
    assert_eq!((code, &told["message"]), (400, &json!("Instance is deleted")), "the connector says: error");
}

async fn partner_token(scene: &Scene) -> String {
    let done = scene.command(&["partner-token"]).output().await.unwrap();
    let told = String::from_utf8(done.stdout).unwrap();
    told.split_whitespace().nth(1).unwrap().to_owned()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/1c")
}

/// The connector, as far as it can be seen from the other end of its connections.
struct Connector {
    port: u16,
    words: BTreeMap<String, Vec<u8>>,
    replayed: BTreeSet<String>,
}

impl Connector {
    fn new(port: u16) -> Self {
        let mut onec = Self { port, words: BTreeMap::new(), replayed: BTreeSet::new() };
        onec.knows("host", format!("localhost:{port}"));
        onec.words.insert("picture".to_owned(), STANDARD.decode(PICTURE).unwrap());
        onec
    }

    /// What a word in double braces stands for from now on.
    fn knows(&mut self, word: &str, value: impl ToString) {
        self.words.insert(word.to_owned(), value.to_string().into_bytes());
    }

    /// Replays a request that is done, and at once: the connector asks nobody a second time, whatever the answer is.
    async fn done(&mut self, file: &str) -> Value {
        let (code, told) = self.asked(file).await;
        assert_eq!(code, 200, "{file}: {told}");
        told
    }

    async fn asked(&mut self, file: &str) -> (u16, Value) {
        self.replayed.insert(file.to_owned());
        let golden = std::fs::read(folder().join(format!("{file}.http"))).unwrap();
        let request = self.filled(&golden);
        // It does not look at the certificate where it calls methods.
        let (code, body) = self.exchange(&request, Arc::new(Anybody)).await;
        let told = String::from_utf8(body).unwrap();
        // A GET may be answered by nothing; whatever else there is has to be JSON.
        let may_be_nothing = request.starts_with(b"GET") && told.is_empty();
        let value = if may_be_nothing { Ok(Value::Null) } else { serde_json::from_str(&told) };
        (code, value.unwrap_or_else(|error| panic!("{file}: {error}: {told:?}")))
    }

    /// Fetches a file, whose link has to begin with `https://`, from whoever has a certificate that the system believes.
    async fn fetched(&self, scene: &Scene, link: &str) -> Vec<u8> {
        let path = link.strip_prefix(&format!("https://localhost:{}", self.port)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", self.port);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(scene.state.api_certificate()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let (code, body) = self.exchange(request.as_bytes(), verifier.unwrap()).await;
        assert_eq!(code, 200, "{link}");
        body
    }

    fn filled(&self, golden: &[u8]) -> Vec<u8> {
        let fill = |mut text: Vec<u8>| {
            for (word, value) in &self.words {
                text = replaced(&text, format!("{{{{{word}}}}}").as_bytes(), value);
            }
            text
        };
        let end = golden.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let (head, body) = (fill(golden[..end].to_vec()), fill(golden[end..].to_vec()));
        let head = replaced(&head, b"{{length}}", body.len().to_string().as_bytes());
        let request = [head, body].concat();
        assert!(!request.windows(2).any(|two| two == b"{{"), "{}", String::from_utf8_lossy(&request));
        request
    }

    /// Writes a request and reads the one answer to it (RFC 9112 section 6.3).
    async fn exchange(&self, request: &[u8], verifier: Arc<dyn ServerCertVerifier>) -> (u16, Vec<u8>) {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().dangerous().with_custom_certificate_verifier(verifier);
        let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        stream.write_all(request).await.unwrap();
        let (mut answer, mut bytes) = (Vec::new(), [0; 4096]);
        loop {
            let read = timeout(SOON, stream.read(&mut bytes)).await.expect("no answer").unwrap();
            assert!(read > 0, "the answer ends early: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&bytes[..read]);
            let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.unwrap_or_else(|| panic!("no length: {head}")).parse().unwrap();
            if answer.len() < end + 4 + length {
                continue;
            }
            let code = head.split(' ').nth(1).unwrap().parse().unwrap();
            return (code, answer.split_off(end + 4));
        }
    }
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.windows(from.len()).position(|part| part == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// Believes every certificate.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
