//! Passwords and recovery codes: from the environment, or typed without echo. Never from the command line, which every
//! user of the machine can read.

use crate::stop::Stop;
use fastchat_client::{account::Proof, problem::Problem};
use fastchat_e2e::{RecoveryCode, secret::Password};
use std::{
    env::{self, VarError},
    fs::File,
    io::{self, IsTerminal, Write},
};
use zeroize::Zeroizing;

/// Names the environment's password.
pub(crate) const PASSWORD: &str = "FASTCHAT_PASSWORD";
/// Names the environment's new password, where the old one is asked for, too.
pub(crate) const NEW_PASSWORD: &str = "FASTCHAT_NEW_PASSWORD";
/// Names the environment's recovery code.
pub(crate) const RECOVERY_CODE: &str = "FASTCHAT_RECOVERY_CODE";
/// Shortest password of a new account.
const PASSWORD_CHARS_MIN: usize = 8;

/// The password of a new account, typed twice.
pub(crate) fn new_password() -> Result<Password, Stop> {
    twice("Password (8 characters or more): ", PASSWORD)
}

/// An account's password to be, typed twice.
pub(crate) fn next_password() -> Result<Password, Stop> {
    twice("New password (8 characters or more): ", NEW_PASSWORD)
}

fn twice(prompt: &str, variable: &str) -> Result<Password, Stop> {
    if let Some(password) = from_environment(variable)? {
        return Ok(check_new(password)?);
    }
    let password = check_new(ask(prompt, variable)?)?;
    let again = Password::new(ask("The same again: ", variable)?);
    if password.expose() == again.expose() {
        Ok(password)
    } else {
        Err(Problem::Usage("the two passwords differ: try again".to_owned()).into())
    }
}

/// The password of an account.
fn password() -> Result<Password, Stop> {
    let text = match from_environment(PASSWORD)? {
        Some(text) => text,
        None => ask("Password: ", PASSWORD)?,
    };
    if text.is_empty() {
        return Err(Problem::Usage("the password is empty: type it, or set FASTCHAT_PASSWORD".to_owned()).into());
    }
    Ok(Password::new(text))
}

/// What opens an account: the recovery code where it is to be that, else the password.
pub(crate) fn proof(recovery: bool) -> Result<Proof, Stop> {
    match recovery {
        true => recovery_code().map(Proof::RecoveryCode),
        false => password().map(Proof::Password),
    }
}

/// The recovery code of an account.
fn recovery_code() -> Result<RecoveryCode, Stop> {
    let text = Zeroizing::new(match from_environment(RECOVERY_CODE)? {
        Some(text) => text,
        None => ask("Recovery code: ", RECOVERY_CODE)?,
    });
    RecoveryCode::parse(&text).map_err(|error| Problem::declined("bad-recovery-code", error.to_string()).into())
}

/// Asks a question that only `y` or `yes` agrees to. Ctrl-C ends the command: whoever waits for this is cancelled.
pub(crate) async fn agrees(question: &str) -> Result<bool, Stop> {
    let question = question.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let mut stderr = io::stderr();
        stderr.write_all(question.as_bytes())?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    });
    let answer = asked.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    answer.map_err(|error| crate::stop::file("the terminal".as_ref(), error).into())
}

/// Refuses what can be guessed at once. Characters count, not bytes.
fn check_new(text: String) -> Result<Password, Problem> {
    let password = Password::new(text);
    let chars = password.expose().chars().count();
    if chars == 0 {
        return Err(Problem::Usage(
            "the password is empty: choose one of 8 characters or more".to_owned(),
        ));
    }
    if chars < PASSWORD_CHARS_MIN {
        let message =
            format!("the password has {chars} of at least {PASSWORD_CHARS_MIN} characters: choose a longer one, a few words are good");
        return Err(Problem::declined("weak-password", message));
    }
    Ok(password)
}

fn from_environment(name: &str) -> Result<Option<String>, Problem> {
    match env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Problem::Usage(format!("{name} is not UTF-8: set it anew"))),
    }
}

/// Asks on the terminal, without echo. A script, which has none, is told what to set.
fn ask(prompt: &str, variable: &str) -> Result<String, Stop> {
    let interactive = io::stdin().is_terminal() || io::stderr().is_terminal();
    if !interactive || File::open("/dev/tty").is_err() {
        return Err(Problem::Usage(format!("there is no terminal to ask on: set {variable}")).into());
    }
    rpassword::prompt_password(prompt).map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => Stop::Interrupted,
        io::ErrorKind::UnexpectedEof => Problem::Usage(format!("nothing was typed: try again, or set {variable}")).into(),
        _ => crate::stop::file("/dev/tty".as_ref(), error).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        check_new(text.to_owned()).unwrap_err().to_string()
    }

    #[test]
    fn a_new_password_has_eight_characters_of_any_script() {
        for text in ["12345678", "grüßgott", "пароль12", "correct horse"] {
            assert_eq!(check_new(text.to_owned()).unwrap().expose(), text);
        }
    }

    #[test]
    fn an_empty_or_short_one_is_refused_with_what_to_do() {
        assert!(refusal("").contains("choose one"));
        assert!(refusal("1234567").contains("longer"));
        assert!(refusal("пароль1").contains("7 of at least 8"));
    }

    #[test]
    fn a_refusal_does_not_quote_the_password() {
        assert!(!refusal("hunter2").contains("hunter2"));
    }
}
