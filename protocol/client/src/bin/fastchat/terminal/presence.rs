//! When to say that the server is lost, and that it is found again.

use super::safe;
use fastchat_client::messenger::Status;
use std::time::Duration;

/// What was said last.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    /// Why there is no server, as it was said.
    away: Option<String>,
}

impl Presence {
    /// A note for a change of the status, where it is worth one: the first loss, another reason, and being back.
    pub(crate) fn on(&mut self, status: &Status) -> Option<String> {
        match (&status.away, &status.server) {
            (Some((why, pause)), None) if self.away.as_ref() != Some(why) => {
                self.away = Some(why.clone());
                Some(format!("no server: {}; trying again in {}", safe::line(why), seconds(*pause)))
            }
            (_, Some(server)) if self.away.take().is_some() => Some(format!("back online, on {}", safe::line(server))),
            _ => None,
        }
    }
}

fn seconds(pause: Duration) -> String {
    format!("{:.1} s", pause.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away(why: &str) -> Status {
        Status {
            away: Some((why.to_owned(), Duration::from_millis(400))),
            ..Status::default()
        }
    }

    fn live(server: &str) -> Status {
        Status {
            server: Some(server.to_owned()),
            ..Status::default()
        }
    }

    #[test]
    fn a_loss_and_the_return_are_said_once() {
        let mut presence = Presence::default();
        assert_eq!(presence.on(&Status::default()), None);
        assert_eq!(presence.on(&live("s1")), None);
        assert_eq!(
            presence.on(&away("reset")).as_deref(),
            Some("no server: reset; trying again in 0.4 s")
        );
        assert_eq!(presence.on(&away("reset")), None);
        assert_eq!(presence.on(&live("s2")).as_deref(), Some("back online, on s2"));
        assert_eq!(presence.on(&live("s2")), None);
    }

    #[test]
    fn another_reason_is_said_and_a_move_is_not() {
        let mut presence = Presence::default();
        assert!(presence.on(&away("reset")).is_some());
        assert!(presence.on(&away("refused")).is_some());
        assert!(presence.on(&live("s1")).is_some());
        assert_eq!(presence.on(&live("s2")), None);
    }

    #[test]
    fn a_reason_can_not_steer_the_terminal() {
        let note = Presence::default().on(&away("\u{1b}[2J")).unwrap();
        assert!(!note.contains('\u{1b}'), "{note}");
    }
}
