//! What whoever sets a bot up reads at a terminal, in both languages.

use std::process::Stdio;

use tokio::process::Command;

use crate::support::Stage;

async fn says(stage: &Stage, arguments: &[&str], locale: &str) -> String {
    let mut command = stage.command(arguments);
    let done = command.env("LC_ALL", locale).stderr(Stdio::inherit()).output().await.unwrap();
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_which_bot_works_here_and_where_programs_find_it() {
    let mut stage = Stage::open().await;
    let place = stage.api();
    let told = says(&stage, &["check"], "C").await;
    let known = format!("@acme_bot: Telegram knows its token: Acme (id {})", stage.info.id);
    assert!(told.contains(&format!("{known}; it works here\n")), "{told}");
    assert!(told.contains(&format!("other programs are served at {place} (tokens:")), "{told}");
    // There is no gateway here.
    assert!(told.contains("the gateway does not run") && told.ends_with("\nnot all is well\n"), "{told}");
    let told = says(&stage, &["check"], "ru_RU.UTF-8").await;
    let known = format!("@acme_bot: Telegram знает его токен: Acme (id {})", stage.info.id);
    assert!(told.contains(&format!("{known}; здесь он работает\n")), "{told}");
    assert!(told.contains(&format!("другие программы обслуживаются по адресу {place}")), "{told}");
    assert!(told.ends_with("\nне всё в порядке\n"), "{told}");
    let told = says(&stage, &["status"], "ru_RU.UTF-8").await;
    assert!(told.starts_with("@acme_bot ") && told.contains(": Telegram зелёный ("), "{told}");

    stage.kill().await;
    let told = says(&stage, &["check"], "C").await;
    assert!(told.contains("; it is not at work here: tgtrunk-bot run\n"), "{told}");
    assert!(told.contains(&format!("other programs are served at {place} when this program runs")), "{told}");
    // Its token is taken back: it works nowhere.
    stage.scene.world().renew_bot_token(stage.info.id).unwrap();
    let told = says(&stage, &["check"], "ru_RU.UTF-8").await;
    assert!(
        told.contains("@acme_bot: Telegram не знает этого токена") && !told.contains("работает"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_with_a_token_works_when_it_is_pasted() {
    let stage = Stage::open().await;
    let told = says(&stage, &["api-token", "make", "acme_bot", "--label", "CRM"], "C").await;
    let pasted: Vec<&str> = told.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(pasted.len(), 2, "{told}");
    for line in pasted {
        let line = line.replacen("curl ", "curl -sS --noproxy '*' ", 1);
        let done = Command::new("sh").args(["-c", &line]).output().await.unwrap();
        let answer = String::from_utf8(done.stdout).unwrap();
        assert!(answer.contains("\"ok\":true") && answer.contains("acme_bot"), "{line}: {answer}");
    }
    let told = says(&stage, &["api-token", "list", "acme_bot"], "ru_RU.UTF-8").await;
    assert!(told.contains("\"1C\": создан ") && told.contains("\"CRM\": создан "), "{told}");
    let told = says(&stage, &["api-token", "list", "acme_bot"], "C").await;
    assert!(
        told.contains("\"1C\": made ") && told.contains(", never used\n") && told.contains(", last used "),
        "{told}"
    );
    let told = says(&stage, &["api-token", "revoke", "acme_bot", "CRM"], "ru_RU.UTF-8").await;
    assert_eq!(told, "Токен больше не действует.\n");
    let told = says(&stage, &["keys", "acme_bot"], "ru_RU.UTF-8").await;
    assert!(told.contains("Anna @anna_a (en): впервые "), "{told}");
}
