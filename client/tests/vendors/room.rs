//! A line's instance with its token, the people around it, and files to send.

use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tgtrunk_test_telegram::NewUser;

use crate::program::Program;
use crate::support::{COMPANY, Client, Scene, line, phone};
use crate::witness::{Person, Witness};

pub(crate) const ANNA: &str = "79001112233";
pub(crate) const BORIS: &str = "79001112244";
/// The smallest picture that viewers of JPEG take: one pixel.
const JPEG: &str = concat!(
    "ffd8ffe000104a46494600010101006000600000ffdb004300080606070605080707070909080a0c140d0c0b0b0c1912130f",
    "141d1a1f1e1d1a1c1c20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432ffc0000b08000100010101",
    "1100ffc4001400010000000000000000000000000000000009ffc40014100100000000000000000000000000000000ffda00",
    "08010100003f0037ffd9",
);
/// A document.
pub(crate) const LETTER: &str = "hello\n";

/// The room. All that runs in it ends with it.
pub(crate) struct Room {
    // What dies first stands first.
    _witness: Witness,
    _client: Client,
    pub(crate) scene: Scene,
    pub(crate) program: Program,
    /// The line's own account on another device.
    pub(crate) own: Person,
    pub(crate) anna: Person,
    pub(crate) boris: Person,
    pub(crate) picture: PathBuf,
    pub(crate) letter: PathBuf,
    _folder: tempfile::TempDir,
}

impl Room {
    /// With a session of the account, or with none yet.
    pub(crate) async fn open(is_logged_in: bool) -> Self {
        let scene = Scene::new(line()).await;
        scene.world().add_user(NewUser::new(BORIS, "Boris").username("boris_b")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let witness = Witness::log_in(&scene, &[COMPANY, ANNA, BORIS], folder.path()).await;
        let [own, anna, boris] = [COMPANY, ANNA, BORIS].map(|phone| witness.person(phone));
        for (one, other) in [(&own, ANNA), (&own, BORIS), (&anna, COMPANY), (&boris, COMPANY), (&anna, BORIS)]
        {
            one.can("meet", json!({"phone": other})).await;
        }
        let client = if is_logged_in {
            let gateway = scene.gateway();
            scene.log_in().await;
            drop(gateway);
            scene.client().await
        } else {
            scene.run()
        };
        let program = Program::with_token(&scene).await;
        let (picture, letter) = (folder.path().join("picture.jpg"), folder.path().join("письмо.txt"));
        std::fs::write(&picture, hex::decode(JPEG).unwrap()).unwrap();
        std::fs::write(&letter, LETTER).unwrap();
        Self {
            scene,
            program,
            own,
            anna,
            boris,
            picture,
            letter,
            _folder: folder,
            _client: client,
            _witness: witness,
        }
    }

    /// What a vendor's client is told of the server.
    pub(crate) fn options(&self) -> Value {
        json!({"host": self.program.url, "instance": self.program.instance, "token": self.program.token})
    }

    /// What is behind a link.
    pub(crate) async fn fetch(&self, link: &Value) -> Vec<u8> {
        let link = link.as_str().unwrap_or_else(|| panic!("no link: {link}"));
        assert!(link.starts_with(&self.program.url), "{link}");
        let answer = self.program.http.get(link).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{link}");
        answer.bytes().await.unwrap().to_vec()
    }

    /// How often sessions of the account have connected.
    pub(crate) fn connected(&self) -> u32 {
        let keys = self.scene.world().keys();
        keys.iter().filter(|key| key.user == Some(self.own.id)).map(|key| key.opened).sum()
    }

    /// Waits for what Anna gets from the account.
    pub(crate) async fn anna_gets(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        self.anna.message(self.own.id, is_wanted).await
    }

    /// Waits until a message is gone for Anna.
    pub(crate) async fn anna_loses(&self, id: &Value) {
        let is_gone =
            |seen: &Value| seen.as_array().is_some_and(|all| all.iter().all(|one| one["id"] != *id));
        self.anna.sees("messages", json!({"chat": self.own.id}), is_gone).await;
    }

    pub(crate) fn code(&self) -> String {
        self.scene.world().pending_login_code(COMPANY).unwrap()
    }

    pub(crate) fn own_number() -> i64 {
        phone().as_str().trim_start_matches('+').parse().unwrap()
    }
}

/// A file's name for its contents, as the witnesses give it.
pub(crate) fn sha256(contents: &[u8]) -> String {
    hex::encode(Sha256::digest(contents))
}

pub(crate) fn jpeg() -> Vec<u8> {
    hex::decode(JPEG).unwrap()
}
