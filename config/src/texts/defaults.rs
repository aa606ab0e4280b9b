//! The texts that people read unless a line has its own.

use crate::language::Language;
use crate::texts::TextKey;

/// The default of a text.
pub(crate) fn text(key: TextKey, language: Language) -> &'static str {
    let (russian, english) = both(key);
    match language {
        Language::Russian => russian,
        Language::English => english,
    }
}

fn both(key: TextKey) -> (&'static str, &'static str) {
    match key {
        TextKey::Keypad => {
            ("Введите внутренний номер абонента", "Enter the extension number of the subscriber")
        }
        TextKey::KeypadTitle => ("Форма ввода внутреннего номера", "Extension number entry form"),
        TextKey::TypeDigits => (
            "Чтобы набрать внутренний номер, отправьте его цифрами прямо в этот чат.",
            "To dial an extension, send its digits right here in this chat.",
        ),
        TextKey::CallEnded => ("Звонок завершён.", "The call has ended."),
        TextKey::Card => (
            "К сожалению, мы до Вас не дозвонились. Заказать обратный звонок можно по кнопке ниже.",
            "Unfortunately, we could not reach you. To have us call you back, press the button below.",
        ),
        TextKey::CardPlain => (
            "К сожалению, мы до Вас не дозвонились. Когда Вам будет удобно, позвоните нам прямо из этого чата.",
            "Unfortunately, we could not reach you. Whenever it suits you, call us right from this chat.",
        ),
        TextKey::CardTitle => ("Заказ обратного звонка", "Call-back request"),
        TextKey::CardButton => ("Перезвонить", "Call back"),
        TextKey::AutoAnswer => (
            "Здравствуйте! Здесь мы отвечаем на звонки. Позвоните нам прямо из этого чата, и мы поговорим.",
            "Hello! We answer calls here. Call us right from this chat, and we will talk.",
        ),
        TextKey::Refused => (
            "К сожалению, мы не можем принять Ваш звонок в Telegram.",
            "Unfortunately, we cannot take your call on Telegram.",
        ),
        TextKey::OutsideHours => (
            "Сейчас у нас нерабочее время. Пожалуйста, позвоните нам, когда мы снова откроемся.",
            "We are closed at the moment. Please call us again during our hours.",
        ),
        TextKey::Greeting => (
            "Здравствуйте! Когда Вы звоните нам в Telegram, этот бот показывает клавиши для набора внутреннего номера. \
             Сюда же он может присылать Вам уведомления.",
            "Hello! When you call us on Telegram, this bot shows you keys to dial an extension. It can also send you \
             notifications here.",
        ),
        TextKey::KeyHint => (
            "Чтобы подключить уведомления, нажмите «Мой ключ» и сообщите нам этот ключ.",
            "To have notifications, press “My key” and tell us that key.",
        ),
        TextKey::Key => ("Ваш ключ: {key}", "Your key: {key}"),
        TextKey::KeyButton => ("Мой ключ", "My key"),
        TextKey::UnknownCommand => (
            "К сожалению, этого я не понимаю. Я знаю команды /start и /key.",
            "Sorry, I do not understand that. I know /start and /key.",
        ),
        TextKey::Pressed => ("{digits} ✓", "{digits} ✓"),
        TextKey::NoCall => ("Сейчас нет звонка", "No call now"),
        TextKey::NotYours => ("Эта кнопка предназначена не Вам", "This button is not for you"),
        TextKey::NotSent => (
            "{digits} — не получилось. Нажмите, пожалуйста, ещё раз.",
            "{digits} did not get through. Please press again.",
        ),
        TextKey::CallBackSoon => ("Спасибо! Сейчас перезвоним.", "Thank you! We are calling you back."),
        TextKey::CallBackWait => (
            "Вы только что заказали звонок. Подождите, пожалуйста, немного.",
            "You have just asked for a call. Please wait a moment.",
        ),
        TextKey::CallBackRunning => (
            "Ищем, кто с Вами поговорит. Как только сотрудник ответит, мы позвоним Вам в Telegram.",
            "We are finding somebody to talk to you. As soon as they answer, your Telegram will ring.",
        ),
        TextKey::CallBackTalked => {
            ("Мы Вам перезвонили. Спасибо за разговор!", "We called you back. Thank you for talking to us!")
        }
        TextKey::CallBackNobody => (
            "К сожалению, сейчас никто не может ответить. Закажите звонок ещё раз, когда Вам будет удобно.",
            "Unfortunately, nobody can answer right now. Please ask for a call again later.",
        ),
        TextKey::CallBackMissed => (
            "Мы Вам перезвонили, но не дозвонились. Закажите звонок ещё раз, когда Вам будет удобно.",
            "We called you back but could not reach you. Ask for a call again whenever it suits you.",
        ),
        TextKey::CallBackFailed => (
            "К сожалению, перезвонить не получилось. Попробуйте, пожалуйста, немного позже.",
            "Unfortunately, calling you back did not work. Please try again a little later.",
        ),
        TextKey::NoticeRed => (
            "Линия {line}: в аккаунт Telegram нужно войти заново.\n{reason}",
            "Line {line}: the Telegram account needs a new login.\n{reason}",
        ),
        TextKey::NoticePbx => {
            ("Линия {line}: АТС не отвечает.\n{reason}", "Line {line}: the PBX does not answer.\n{reason}")
        }
        TextKey::NoticeFlood => (
            "Линия {line}: Telegram ограничил звонки, исходящие приостановлены до {time}.\n{reason}",
            "Line {line}: Telegram limits calls, outgoing ones pause until {time}.\n{reason}",
        ),
        TextKey::NoticeGateway => (
            "Шлюз звонков не работает. Без связи: {line}.\n{reason}",
            "The call gateway is not running. Out of service: {line}.\n{reason}",
        ),
        TextKey::NoticeOver => ("Снова в порядке: {line}.\n{reason}", "Back in order: {line}.\n{reason}"),
    }
}
