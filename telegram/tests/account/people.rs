//! People, found once.

use tgtrunk_telegram::{Person, ResolveError, Stranger};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::world::{Action, Audience, Match, PrivacyKind};

use crate::support::{ANNA, BORIS, Open, Scene, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_found_by_phone_name_and_id_and_asked_for_once_also_over_a_restart() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let account = open.account.clone();
    let by_phone = account.resolve(Person::Phone("+7 (900) 444-55-66".into())).await.unwrap();
    assert_eq!((by_phone.id, by_phone.phone.as_deref()), (scene.boris, Some(BORIS)));
    assert_eq!(
        (by_phone.first_name.as_deref(), by_phone.username.as_deref()),
        (Some("Boris"), Some("boris"))
    );
    let by_name = account.resolve(Person::Username("@Boris".into())).await.unwrap();
    assert_eq!((by_name.id, by_name.access_hash), (scene.boris, by_phone.access_hash));
    assert_eq!(account.resolve(Person::Id(scene.boris)).await.unwrap().id, scene.boris);
    for _ in 0..3 {
        account.resolve(Person::Phone(BORIS.into())).await.unwrap();
        account.resolve(Person::Username("BORIS".into())).await.unwrap();
    }
    open.close().await;
    drop(account);
    let open = scene.open("anna").await;
    open.until_green().await;
    assert_eq!(open.account.resolve(Person::Phone(BORIS.into())).await.unwrap().id, scene.boris);
    assert_eq!(asked(&scene), [1, 1, 0, 0], "resolvePhone, resolveUsername, importContacts, getUsers");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_calls_or_writes_or_is_a_contact_is_no_stranger_from_then_on() {
    let scene = Scene::new().await;
    let clara = scene.world().add_user(NewUser::new("79007778899", "Clara").username("clara")).unwrap();
    let open = scene.anna().await;
    let account = open.account.clone();
    let (by_name, by_id) = (Person::Username("boris".into()), Person::Id(scene.boris));
    assert_eq!(account.stranger(&by_name), Some(Stranger::Unknown("username:boris".into())));
    account.resolve(by_name.clone()).await.unwrap();
    assert_eq!(account.stranger(&by_name), Some(Stranger::Known(format!("id:{}", scene.boris))));
    scene.boris_device().dial(scene.anna, false).await.unwrap();
    eventually("Boris is known", || {
        account.stranger(&by_name).is_none() && account.stranger(&by_id).is_none()
    })
    .await;
    scene.world().say(clara, scene.anna, "Hello").unwrap();
    eventually("Clara is known", || account.stranger(&Person::Id(clara)).is_none()).await;

    let phone = Person::Phone("+79005550011".into());
    let dora = scene.world().add_user(NewUser::new("79005550011", "Dora")).unwrap();
    assert_eq!(account.stranger(&phone), Some(Stranger::Unknown("phone:79005550011".into())));
    scene.world().add_fault(
        Match::method("contacts.resolvePhone"),
        Action::Error { code: 400, message: "PHONE_NOT_OCCUPIED".to_owned() },
    );
    account.resolve(phone.clone()).await.unwrap();
    assert_eq!(account.stranger(&phone), None, "whoever was imported is a contact");
    drop(account);
    open.close().await;
    let open = scene.open("anna").await;
    for person in [by_name, by_id, Person::Id(clara), phone, Person::Id(dora)] {
        assert_eq!(open.account.stranger(&person), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_of_one_person_ask_once() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    scene.world().add_fault(Match::method("contacts.resolvePhone"), Action::Delay { ms: 200 });
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let account = open.account.clone();
            tokio::spawn(async move { account.resolve(Person::Phone(BORIS.into())).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap().id, scene.boris);
    }
    assert_eq!(asked(&scene)[0], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_found_by_a_free_number_a_free_name_or_a_strangers_id() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    for person in
        [Person::Phone("+79990000000".into()), Person::Username("nobody_here".into()), Person::Id(987_654)]
    {
        let error = open.account.resolve(person.clone()).await.unwrap_err();
        assert_eq!(error, ResolveError::NotFound(person));
    }
    let before = scene.world().journal(0).len();
    let invalid = open.account.resolve(Person::Phone("12".into())).await.unwrap_err();
    assert!(matches!(invalid, ResolveError::Invalid(_)), "{invalid:?}");
    assert_eq!(scene.world().journal(0).len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_cannot_be_resolved_is_tried_as_a_contact() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let refuse = Action::Error { code: 400, message: "PHONE_NOT_OCCUPIED".into() };
    scene.world().add_fault(Match::method("contacts.resolvePhone"), refuse);
    assert_eq!(open.account.resolve(Person::Phone(BORIS.into())).await.unwrap().id, scene.boris);
    assert_eq!(asked(&scene), [1, 0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_want_to_be_found_is_not() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    scene.world().set_privacy(scene.boris, PrivacyKind::AddedByPhone, Audience::Nobody);
    let person = Person::Phone(BORIS.into());
    assert_eq!(open.account.resolve(person.clone()).await.unwrap_err(), ResolveError::NotFound(person));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_lookups_is_told_at_once() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let flood = Action::Error { code: 420, message: "FLOOD_WAIT_9".into() };
    scene.world().add_fault(Match::method("contacts.resolvePhone"), flood);
    let began = tokio::time::Instant::now();
    let error = open.account.resolve(Person::Phone(BORIS.into())).await.unwrap_err();
    assert_eq!(error, ResolveError::Flood { seconds: 9 });
    assert!(began.elapsed().as_secs() < 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_access_hash_is_replaced_when_asked_anew() {
    let scene = Scene::new().await;
    let options = scene.options("anna").await;
    let database = options.database.clone();
    let open = scene.logged_in(options).await;
    let good = open.account.resolve(Person::Username("boris".into())).await.unwrap();
    sqlx::query("UPDATE tg_person SET access_hash = 1").execute(database.pool()).await.unwrap();
    drop(database);
    open.close().await;
    let open = scene.open("anna").await;
    open.until_green().await;
    let stale = open.account.resolve(Person::Id(scene.boris)).await.unwrap();
    assert_eq!(stale.access_hash, 1);
    for person in [Person::Id(scene.boris), Person::Username("boris".into())] {
        assert_eq!(open.account.resolve_anew(person).await.unwrap().access_hash, good.access_hash);
    }
    assert_eq!(open.account.known(scene.boris).unwrap().access_hash, good.access_hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_changed_hands_leads_to_its_new_owner_when_asked_anew() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    open.account.resolve(Person::Phone(BORIS.into())).await.unwrap();
    scene.world().set_deactivated(scene.boris, true);
    let person = Person::Phone(BORIS.into());
    assert_eq!(
        open.account.resolve_anew(person.clone()).await.unwrap_err(),
        ResolveError::NotFound(person.clone())
    );
    assert_eq!(open.account.resolve(person.clone()).await.unwrap_err(), ResolveError::NotFound(person));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_found_long_ago_is_asked_about_by_id_and_leads_to_whoever_has_it_now() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let name = Person::Username("boris".into());
    assert_eq!(open.account.resolve(name.clone()).await.unwrap().id, scene.boris);
    let open = aged(&scene, open, 3601).await;
    assert_eq!(open.account.remembered_lately(&name), None);
    assert_eq!(open.account.resolve(name.clone()).await.unwrap().id, scene.boris);
    assert_eq!(open.account.remembered_lately(&name).map(|found| found.id), Some(scene.boris));
    assert_eq!(asked(&scene), [0, 1, 0, 1], "it is still his, which needs no looking up");

    scene.world().set_username(scene.boris, None);
    let vera = scene.world().add_user(NewUser::new("79007778899", "Vera").username("boris")).unwrap();
    let open = aged(&scene, open, 3601).await;
    assert_eq!(open.account.confirmed(&name).await.unwrap(), None);
    assert_eq!(open.account.resolve(name.clone()).await.unwrap().id, vera);
    assert_eq!(open.account.resolve(Person::Id(scene.boris)).await.unwrap().id, scene.boris);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_looked_up_again_after_a_month() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let number = Person::Phone(BORIS.into());
    open.account.resolve(number.clone()).await.unwrap();
    let open = aged(&scene, open, 29 * 86_400).await;
    open.account.resolve(number.clone()).await.unwrap();
    assert_eq!(asked(&scene)[0], 1);
    let open = aged(&scene, open, 2 * 86_400).await;
    assert_eq!(open.account.resolve(number).await.unwrap().id, scene.boris);
    assert_eq!(asked(&scene)[0], 2);
}

/// The account after a restart, as if everything had been found so many seconds earlier.
async fn aged(scene: &Scene, open: Open, seconds: u32) -> Open {
    let age = sqlx::query("UPDATE tg_lookup SET looked_up_at = looked_up_at - $1").bind(i64::from(seconds));
    age.execute(open.account.database().pool()).await.unwrap();
    open.close().await;
    let open = scene.open("anna").await;
    open.until_green().await;
    open
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_knows_itself() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let me = open.account.me().unwrap();
    assert_eq!((me.id, me.phone.as_deref(), me.last_name.as_deref()), (scene.anna, Some(ANNA), Some("K")));
    open.close().await;
    let open = scene.open("anna").await;
    assert_eq!(open.account.me().unwrap(), me);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_users_login_on_the_same_file_forgets_the_people_of_the_first() {
    let scene = Scene::new().await;
    let vera = scene.world().add_user(NewUser::new("79007778899", "Vera")).unwrap();
    let open = scene.anna().await;
    open.account.resolve(Person::Id(scene.anna)).await.unwrap();
    open.account.resolve(Person::Phone(BORIS.into())).await.unwrap();
    open.account.log_out().await.unwrap();
    scene.log_in(&open.account, "79007778899").await;
    open.until_green().await;
    assert_eq!(open.account.me().unwrap().id, vera);
    assert_eq!(open.account.known(scene.boris), None);
}

/// How often Anna's account asked by `resolvePhone`, `resolveUsername`, `importContacts` and `getUsers`.
fn asked(scene: &Scene) -> [usize; 4] {
    ["contacts.resolvePhone", "contacts.resolveUsername", "contacts.importContacts", "users.getUsers"]
        .map(|method| scene.world().count(scene.anna, method))
}
