//! The two streams: results on stdout, everything else on stderr.

use super::{progress::Progress, safe};
use crate::{args::Color, stop::Stop};
use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use fastchat_client::record::Record;
use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;
use serde_json::json;
use std::io::{self, IsTerminal, Write};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const ALARM: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = Style::new().dimmed();

/// Where results and notes go.
#[derive(Debug)]
pub(crate) struct Screen {
    json: bool,
    bars: MultiProgress,
}

impl Screen {
    /// Sets the process's colours, too.
    pub(crate) fn new(json: bool, color: Color) -> Self {
        let choice = match color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        choice.write_global();
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bars = MultiProgress::with_draw_target(target);
        Self { json, bars }
    }

    /// True where programs read stdout.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// True where somebody looks at stderr.
    pub(crate) fn is_attended(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// A result for people, with its line break; flushed. It may have styles.
    pub(crate) fn print(&self, text: &str) -> Result<(), Stop> {
        self.bars
            .suspend(|| write_line(anstream::stdout().lock(), text))
            .map_err(Stop::output)
    }

    /// A result for programs: one line, flushed.
    pub(crate) fn object(&self, value: &impl Serialize) -> Result<(), Stop> {
        let text = serde_json::to_string(value).map_err(|error| Stop::output(error.into()))?;
        let text = safe::json(text);
        self.bars.suspend(|| write_line(io::stdout().lock(), &text)).map_err(Stop::output)
    }

    /// A result, in the form that was asked for.
    pub(crate) fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Stop> {
        if self.json { self.object(value) } else { self.print(&text()) }
    }

    /// Something to know, on stderr.
    pub(crate) fn note(&self, text: &str) {
        let text = safe::line(text);
        if self.json {
            self.complain(&json!({"note": {"message": text}}).to_string());
        } else {
            self.complain(&format!("{NOTE}fastchat: {text}{NOTE:#}"));
        }
    }

    /// A confirmation for who looks on, on stderr; scripts see the exit code.
    pub(crate) fn confirm(&self, text: &str) {
        if self.is_attended() && !self.json {
            self.complain(&format!("{NOTE}{}{NOTE:#}", safe::line(text)));
        }
    }

    /// What the user must see of a record that is not shown, on stderr.
    pub(crate) fn alarms(&self, record: &Record, title: &str) {
        for alarm in &record.alarms {
            if self.json {
                let alarm = json!({"alarm": {"conversation": record.conversation, "name": title, "seq": record.seq, "message": alarm}});
                self.complain(&safe::json(alarm.to_string()));
            } else {
                let (title, alarm) = (super::human::brief(title), safe::line(alarm));
                self.complain(&format!("{ALARM}fastchat: alarm: {title}, entry {}: {alarm}{ALARM:#}", record.seq));
            }
        }
    }

    /// Why the program ends.
    pub(crate) fn stop(&self, stop: &Stop) {
        match stop {
            Stop::Problem(problem) => self.error(problem.code(), &problem.to_string()),
            Stop::TimeOver(message) => self.error("timed-out", message),
            Stop::Incomplete | Stop::ReaderGone | Stop::Interrupted => {}
        }
    }

    /// A bar for a file's way, or a restore's.
    pub(crate) fn progress(&self) -> Progress {
        Progress::new(&self.bars)
    }

    fn error(&self, code: &str, message: &str) {
        if self.json {
            let error = json!({"error": {"code": code, "message": message}});
            self.complain(&safe::json(error.to_string()));
        } else {
            self.complain(&format!("{ERROR}fastchat:{ERROR:#} {code}: {}", safe::line(message)));
        }
    }

    /// Who closed stderr does not want to know.
    fn complain(&self, line: &str) {
        let _ = self.bars.suspend(|| write_line(anstream::stderr().lock(), line));
    }
}

fn write_line(mut stream: impl Write, text: &str) -> io::Result<()> {
    // One write where the stream allows it: lines of two processes on one terminal do not mix.
    stream.write_all(format!("{text}\n").as_bytes())?;
    stream.flush()
}
