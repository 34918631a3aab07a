//! What a message says, as people read it, with what was done about it.

use super::{
    human::{EVENT, INDENT, TITLE, TROUBLE, brief, path, person, size},
    safe,
    shown::{FileIs, Shown},
};
use fastchat_client::record::{Record, duration};
use fastchat_e2e::content::{Body, File, Group};

/// With the space before it: two before what was said, one before what was done.
pub(super) fn said(shown: &Shown<'_>, body: &Body) -> String {
    let done = |what: String| format!(" {EVENT}{what}{EVENT:#}");
    let record = shown.record;
    match body {
        _ if record.taken_back => done("took this message back".to_owned()),
        Body::Text(text) => {
            let edited = if record.edited {
                format!(" {EVENT}(edited){EVENT:#}")
            } else {
                String::new()
            };
            let text = safe::lines(&text.body, INDENT);
            format!("{}  {}{text}{edited}{}", to_me(record), answered(record), reactions(record))
        }
        Body::Edit(edit) if edit.body.is_empty() => done(format!("corrected {}, and again since", which(record))),
        Body::Edit(edit) => format!(" {EVENT}corrected {}:{EVENT:#} {}", which(record), safe::lines(&edit.body, INDENT)),
        Body::Delete(_) => done(format!("took {} back", which(record))),
        Body::React(react) if react.emoji.is_empty() => done(format!("took the reaction to {} back", which(record))),
        Body::React(react) => done(format!("reacted with {} to {}", safe::line(&react.emoji), which(record))),
        Body::File(file) => format!("  {}{}", sent(shown, file), reactions(record)),
        Body::Group(group) => done(settings(group)),
        Body::Notice(notice) => done(format!("sent the notice \"{}\"", safe::line(&notice.notice))),
        Body::Unknown { r#type, .. } => done(format!("sent something that this version can't show ({})", safe::line(r#type))),
    }
}

fn sent(shown: &Shown<'_>, file: &File) -> String {
    let pixels = file.width.zip(file.height).map(|(width, height)| format!(", {width}×{height}"));
    let pixels = pixels.unwrap_or_default();
    let line = format!(
        "{} ({}, {}{pixels})",
        safe::line(&file.name),
        safe::line(&file.mime),
        size(file.size)
    );
    match shown.file {
        FileIs::Saved(path) => format!("{line}\n{INDENT}{EVENT}saved as{EVENT:#} {}", self::path(path)),
        FileIs::Failed { message, .. } => format!("{line}\n{INDENT}{TROUBLE}not saved: {}{TROUBLE:#}", safe::line(message)),
        FileIs::Away if shown.record.own => line,
        FileIs::Away => {
            let (name, seq) = (brief(shown.title), shown.record.seq);
            format!("{line}\n{INDENT}{EVENT}fetch it with: fastchat save '{name}' {seq}{EVENT:#}")
        }
    }
}

/// Where the reader is named.
fn to_me(record: &Record) -> String {
    match record.mentions_me && !record.own {
        true => format!(" {TITLE}→ you{TITLE:#}"),
        false => String::new(),
    }
}

/// What a text answers, on a line before it.
fn answered(record: &Record) -> String {
    let Some(about) = &record.about else {
        return String::new();
    };
    let who = about.from.as_ref().map(|from| format!("{}: ", person(from))).unwrap_or_default();
    let words = match (&about.excerpt, about.seq) {
        (Some(excerpt), _) => safe::line(excerpt),
        (None, Some(seq)) => format!("message {seq}, taken back"),
        (None, None) => "a message that is not here".to_owned(),
    };
    format!("{EVENT}↳ {who}{words}{EVENT:#}\n{INDENT}")
}

/// The message that another one is about.
fn which(record: &Record) -> String {
    match record.about.as_ref().map(|about| (&about.excerpt, about.seq)) {
        Some((Some(excerpt), _)) => format!("\"{}\"", safe::line(excerpt)),
        Some((None, Some(seq))) => format!("message {seq}"),
        _ => "a message".to_owned(),
    }
}

/// On a line of their own.
fn reactions(record: &Record) -> String {
    if record.reactions.is_empty() {
        return String::new();
    }
    let one = |reaction: &fastchat_client::record::Reaction| {
        let from: Vec<String> = reaction.from.iter().map(person).collect();
        format!("{} {EVENT}{}{EVENT:#}", safe::line(&reaction.emoji), from.join(", "))
    };
    let all: Vec<String> = record.reactions.iter().map(one).collect();
    format!("\n{INDENT}{}", all.join("  "))
}

fn settings(group: &Group) -> String {
    let mut changes = Vec::new();
    if let Some(name) = &group.name {
        changes.push(format!("named the group \"{}\"", brief(name)));
    }
    if group.picture.is_some() {
        changes.push("changed the group's picture".to_owned());
    }
    match group.retention_s {
        Some(0) => changes.push("let messages stay".to_owned()),
        Some(seconds) => changes.push(format!("lets messages disappear after {}", duration(seconds))),
        None => {}
    }
    match group.archive {
        Some(true) => changes.push("switched the archive on".to_owned()),
        Some(false) => changes.push("switched the archive off".to_owned()),
        None => {}
    }
    if changes.is_empty() {
        changes.push("repeated the group's settings".to_owned());
    }
    changes.join(", ")
}
