//! What people read: a record as a line, with the day where it changes.
//!
//! ```text
//! Monday, 14 July 2025
//! 12:03 @bob  hello
//! 12:04 #team @carol  two
//!       lines
//! 12:05 #team @alice added @dave
//! 12:06 #team @dave → you  ↳ @carol: two
//!       thanks, @bob (edited)
//!       👍 @alice, @bob
//! ```
//!
//! Styles are always written; the stream takes them out where they are not wanted.

use super::{safe, said::said, shown::Shown};
use anstyle::{AnsiColor, Style};
use fastchat_client::record::{Mark, Person, PersonsDevice, Record, What};
use jiff::{Timestamp, Zoned, civil::Date, tz::TimeZone};
use std::path::Path;

const DAY: Style = Style::new().bold();
const TIME: Style = Style::new().dimmed();
const NUMBER: Style = Style::new().dimmed();
pub(super) const TITLE: Style = AnsiColor::Cyan.on_default();
const PERSON: Style = AnsiColor::Green.on_default().bold();
const OWN: Style = AnsiColor::Blue.on_default().bold();
pub(super) const EVENT: Style = Style::new().dimmed();
pub(super) const TROUBLE: Style = AnsiColor::Red.on_default();
const ALARM: Style = AnsiColor::Red.on_default().bold();

/// Under the text of a line that begins with a time.
pub(super) const INDENT: &str = "      ";
/// Longest title: names of groups come from others.
const BRIEF_CHARS_MAX: usize = 40;

/// Turns records into lines, and remembers the day.
#[derive(Debug)]
pub(crate) struct Lines {
    zone: TimeZone,
    day: Option<Date>,
    numbered: bool,
}

impl Lines {
    /// `now` is in the zone of all times that are shown. The day of the first line is shown unless it is today.
    pub(crate) fn new(now: &Zoned) -> Self {
        Self {
            zone: now.time_zone().clone(),
            day: Some(now.date()),
            numbered: false,
        }
    }

    /// With the number of each message, by which commands name it.
    pub(crate) fn numbered(self, numbered: bool) -> Self {
        Self { numbered, ..self }
    }

    /// A record, without a line break at its end.
    pub(crate) fn record(&mut self, shown: &Shown<'_>) -> String {
        let at = i64::try_from(shown.record.at_ms)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let at = at.map(|at| at.to_zoned(self.zone.clone()));
        let mut text = String::new();
        if let Some(at) = &at
            && self.day.replace(at.date()) != Some(at.date())
        {
            text = format!("{DAY}{}{DAY:#}\n", at.strftime("%A, %-d %B %Y"));
        }
        let time = at.map_or_else(|| "--:--".to_owned(), |at| at.strftime("%H:%M").to_string());
        text.push_str(&format!("{TIME}{time}{TIME:#} "));
        if self.numbered && shown.record.entry.is_some() {
            text.push_str(&format!("{NUMBER}{:>4}{NUMBER:#} ", shown.record.seq));
        }
        text.push_str(&format!("{}{}", head(shown), what(shown)));
        for alarm in &shown.record.alarms {
            text.push_str(&format!("\n{INDENT}{ALARM}! {}{ALARM:#}", safe::line(alarm)));
        }
        text
    }
}

/// A title or a name as people read it: one line, not too long.
pub(crate) fn brief(text: &str) -> String {
    let line = safe::line(text);
    let mut words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(BRIEF_CHARS_MAX) {
        words.truncate(end);
        words.push('…');
    }
    words
}

/// What passes: it is not kept, and not counted.
pub(crate) fn passing(text: &str) -> String {
    format!("{EVENT}{text}{EVENT:#}")
}

/// `@bob`, or `@0198a1b2…` where the name is not known.
pub(crate) fn person(person: &Person) -> String {
    match &person.username {
        Some(name) => format!("@{name}"),
        None => format!("@{}…", fastchat_client::record::short(&person.account.to_string())),
    }
}

/// Behind an own message: ✓ it was delivered to everybody, ✓✓ everybody has read it; else how many.
pub(crate) fn ticks(record: &Record, marks: &[(Person, Mark)]) -> String {
    if !record.own || record.taken_back || !matches!(record.what, What::Message(_)) {
        return String::new();
    }
    let count = |has: fn(&Mark) -> u64| marks.iter().filter(|(_, mark)| has(mark) >= record.seq).count();
    let (read, delivered, all) = (count(|mark| mark.read), count(|mark| mark.delivered), marks.len());
    let ticks = match (read, delivered) {
        (_, 0) => return String::new(),
        (read, _) if read == all => "✓✓".to_owned(),
        (0, delivered) if delivered == all => "✓".to_owned(),
        (0, delivered) => format!("✓ {delivered} of {all}"),
        (read, _) => format!("✓✓ {read} of {all}"),
    };
    format!("  {EVENT}{ticks}{EVENT:#}")
}

/// `1.2 MB`: powers of 1000.
#[expect(clippy::cast_precision_loss, reason = "one digit behind the point is shown")]
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    // 999.95 would be shown as 1000.0.
    while value >= 999.95 {
        value /= 1000.0;
        unit = units.next();
    }
    format!("{value:.1} {}", unit.unwrap_or(&"?"))
}

/// Where, and who.
fn head(shown: &Shown<'_>) -> String {
    let mut head = String::new();
    let title = brief(shown.title);
    if !shown.is_direct() {
        head.push_str(&format!("{TITLE}{title}{TITLE:#} "));
    }
    if let Some(from) = &shown.record.from {
        let style = if shown.record.own { OWN } else { PERSON };
        head.push_str(&format!("{style}{}{style:#}", person(from)));
        if shown.record.own && shown.is_direct() && matches!(shown.record.what, What::Message(_)) {
            head.push_str(&format!(" {EVENT}to{EVENT:#} {TITLE}{title}{TITLE:#}"));
        }
    } else if shown.is_direct() {
        head.push_str(&format!("{TITLE}{title}{TITLE:#}"));
    }
    head
}

/// What happened, with the space before it: two before what was said, one before what was done.
fn what(shown: &Shown<'_>) -> String {
    let done = |what: String| format!(" {EVENT}{what}{EVENT:#}");
    let who = |people: &[Person]| people.iter().map(person).collect::<Vec<_>>().join(", ");
    match &shown.record.what {
        What::Message(content) => said(shown, &content.body),
        What::Unreadable { cause } => format!("  {TROUBLE}can't be read: {}{TROUBLE:#}", safe::line(cause)),
        What::Lost { first, last } if first == last => format!(" {TROUBLE}entry {first} can't be had any more{TROUBLE:#}"),
        What::Lost { first, last } => format!(" {TROUBLE}entries {first} to {last} can't be had any more{TROUBLE:#}"),
        What::Added(people) => done(format!("added {}", who(people))),
        What::Removed(people) => done(format!("removed {}", who(people))),
        What::Left(people) if shown.record.from.as_ref().is_some_and(|from| *people == [from.clone()]) => done("left".to_owned()),
        What::Left(people) => done(format!("saw {} leave", who(people))),
        What::Promoted(people) => done(format!("made admin: {}", who(people))),
        What::Demoted(people) => done(format!("made a plain member: {}", who(people))),
        What::DevicesAdded(devices) => done(new_devices(shown, devices)),
        What::DevicesRemoved(devices) => done(format!("sent {} away", names(devices))),
        What::Alarm => format!(" {TROUBLE}something is wrong here{TROUBLE:#}"),
        What::Joined => done("this device joined".to_owned()),
        What::Out => done("you are in it no longer: nothing further can be read or sent".to_owned()),
    }
}

/// `has a new device: phone`; of somebody else, whom it was added by: `added a new device of @bob: phone`.
fn new_devices(shown: &Shown<'_>, devices: &[PersonsDevice]) -> String {
    let from = shown.record.from.as_ref().map(|from| from.account);
    match devices {
        [device] if from == Some(device.person.account) => format!("has a new device: {}", names(devices)),
        [device] => format!("added a new device of {}: {}", person(&device.person), names(devices)),
        devices => format!("added new devices: {}", names(devices)),
    }
}

fn names(devices: &[PersonsDevice]) -> String {
    let name = |device: &PersonsDevice| match &device.name {
        Some(name) => brief(name),
        None => format!("{}…", fastchat_client::record::short(&device.device.to_string())),
    };
    devices.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// A path as people read it: its last part may come from others.
pub(crate) fn path(path: &Path) -> String {
    safe::line(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::super::shown::FileIs;
    use super::super::shown::samples;
    use super::*;
    use anstream::adapter::strip_str;
    use fastchat_client::record::Reaction;
    use fastchat_e2e::content::{Body, React};

    /// Two hours east of Greenwich, on the samples' day.
    fn lines() -> Lines {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let at = Timestamp::from_millisecond(i64::try_from(samples::AT_MS).unwrap()).unwrap();
        Lines::new(&at.to_zoned(zone))
    }

    fn shown(record: &Record, title: &str, file: FileIs<'_>) -> String {
        let line = lines().record(&Shown { record, title, file });
        strip_str(&line).to_string()
    }

    fn kept(record: &Record, title: &str) -> String {
        shown(record, title, FileIs::Away)
    }

    #[test]
    fn a_text_stands_behind_its_time_and_sender() {
        assert_eq!(kept(&samples::text("hello"), "@bob"), "12:03 @bob  hello");
        assert_eq!(kept(&samples::text("hello"), "#team"), "12:03 #team @bob  hello");
    }

    #[test]
    fn ones_own_words_name_the_other_one() {
        let mut record = samples::text("hello");
        record.own = true;
        record.from = Some(samples::person("alice"));
        assert_eq!(kept(&record, "@bob"), "12:03 @alice to @bob  hello");
    }

    #[test]
    fn further_lines_can_not_pass_for_lines_of_their_own() {
        let record = samples::text("a\n12:04 @carol  b\u{1b}[2K");
        assert_eq!(kept(&record, "@bob"), "12:03 @bob  a\n      12:04 @carol  b\u{fffd}[2K");
    }

    #[test]
    fn a_groups_name_can_not_fill_the_line_or_break_it() {
        let name = format!("#a  b\n\u{1b}[1m{}", "x".repeat(100));
        let line = kept(&samples::text("hi"), &name);
        assert!(
            line.starts_with("12:03 #a b \u{fffd}[1mxxx") && line.ends_with("xxx… @bob  hi"),
            "{line}"
        );
        assert!(line.chars().count() < 70);
    }

    #[test]
    fn the_day_is_shown_where_it_changes() {
        let mut lines = lines();
        let mut record = samples::text("hi");
        let mut line = |at_ms| {
            record.at_ms = at_ms;
            strip_str(&lines.record(&Shown::kept(&record, "@bob"))).to_string()
        };
        assert_eq!(line(samples::AT_MS), "12:03 @bob  hi");
        // 22:00 in Greenwich is midnight here.
        assert_eq!(line(1_752_530_400_000), "Tuesday, 15 July 2025\n00:00 @bob  hi");
        assert_eq!(line(1_752_530_400_000), "00:00 @bob  hi");
        assert_eq!(line(samples::AT_MS), "Monday, 14 July 2025\n12:03 @bob  hi");
    }

    #[test]
    fn a_time_that_is_none_is_no_reason_to_fail() {
        let mut record = samples::text("hi");
        record.at_ms = u64::MAX;
        assert_eq!(kept(&record, "@bob"), "--:-- @bob  hi");
    }

    #[test]
    fn a_file_says_what_it_is_and_where() {
        let record = samples::message(Body::File(samples::file()));
        let about = "12:03 @bob  cat.png (image/png, 1.2 MB, 640×480)";
        let saved = shown(&record, "@bob", FileIs::Saved(Path::new("/d/cat.png")));
        assert_eq!(saved, format!("{about}\n      saved as /d/cat.png"));
        let failed = FileIs::Failed {
            code: "not-found",
            message: "it is gone",
        };
        assert_eq!(shown(&record, "@bob", failed), format!("{about}\n      not saved: it is gone"));
        assert_eq!(
            kept(&record, "@bob"),
            format!("{about}\n      fetch it with: fastchat save '@bob' 17")
        );
    }

    #[test]
    fn what_was_done_reads_as_a_sentence() {
        let added = samples::record(What::Added(vec![samples::person("carol"), samples::stranger()]));
        assert_eq!(kept(&added, "#team"), "12:03 #team @bob added @carol, @abababababab…");
        let phone = samples::record(What::DevicesAdded(vec![samples::device("bob", Some("phone"))]));
        assert_eq!(kept(&phone, "@bob"), "12:03 @bob has a new device: phone");
        let mut for_others = phone.clone();
        for_others.from = Some(samples::stranger());
        assert_eq!(
            kept(&for_others, "#team"),
            "12:03 #team @abababababab… added a new device of @bob: phone"
        );
        let gone = samples::record(What::DevicesRemoved(vec![samples::device("bob", None)]));
        assert_eq!(kept(&gone, "@bob"), "12:03 @bob sent 040404040404… away");
        let react = samples::message(Body::React(React {
            target: fastchat_e2e::EntryId([1; 16]),
            emoji: "👍".into(),
        }));
        assert_eq!(kept(&react, "@bob"), "12:03 @bob reacted with 👍 to a message");
        let mut out = samples::record(What::Out);
        out.from = None;
        assert_eq!(
            kept(&out, "#team"),
            "12:03 #team  you are in it no longer: nothing further can be read or sent"
        );
    }

    #[test]
    fn what_was_done_about_a_message_stands_with_it() {
        let mut record = samples::text("yes, @alice");
        record.about = Some(samples::about());
        (record.edited, record.mentions_me) = (true, true);
        let from = vec![samples::person("alice"), samples::person("carol")];
        let reaction = |emoji: &str| Reaction {
            emoji: emoji.to_owned(),
            from: from.clone(),
        };
        record.reactions = vec![reaction("👍"), reaction("\u{202e}")];
        assert_eq!(
            kept(&record, "#team"),
            "12:03 #team @bob → you  ↳ @carol: the first words\n      yes, @alice (edited)\n      👍 @alice, @carol  \u{fffd} @alice, @carol"
        );
        record.taken_back = true;
        assert_eq!(kept(&record, "#team"), "12:03 #team @bob took this message back");
    }

    #[test]
    fn an_afterthought_says_which_message_it_is_about() {
        assert_eq!(kept(&samples::edit("new"), "@bob"), "12:03 @bob corrected \"the first words\": new");
        assert_eq!(
            kept(&samples::edit(""), "@bob"),
            "12:03 @bob corrected \"the first words\", and again since"
        );
        let mut react = samples::message(Body::React(React {
            target: fastchat_e2e::EntryId([9; 16]),
            emoji: String::new(),
        }));
        react.about = Some(samples::about());
        assert_eq!(kept(&react, "@bob"), "12:03 @bob took the reaction to \"the first words\" back");
        react.about.as_mut().unwrap().excerpt = None;
        assert_eq!(kept(&react, "@bob"), "12:03 @bob took the reaction to message 15 back");
    }

    #[test]
    fn ticks_say_who_has_an_own_message() {
        let mut record = samples::text("hi");
        let told = |marks: &[(u64, u64)], record: &Record| {
            let mark = |(delivered, read): &(u64, u64)| {
                let (delivered, read) = (*delivered, *read);
                (samples::person("bob"), Mark { delivered, read })
            };
            let marks: Vec<_> = marks.iter().map(mark).collect();
            strip_str(&ticks(record, &marks)).to_string()
        };
        assert_eq!(told(&[(17, 17)], &record), "", "of somebody else");
        record.own = true;
        for (marks, expected) in [
            (&[(16, 16), (0, 0)][..], ""),
            (&[(17, 0), (16, 0)], "  ✓ 1 of 2"),
            (&[(17, 16), (20, 0)], "  ✓"),
            (&[(17, 17), (20, 0)], "  ✓✓ 1 of 2"),
            (&[(17, 17), (20, 18)], "  ✓✓"),
        ] {
            assert_eq!(told(marks, &record), expected);
        }
    }

    #[test]
    fn numbers_stand_behind_the_time_where_one_wants_them() {
        let mut lines = lines().numbered(true);
        let mut line = |record: &Record| strip_str(&lines.record(&Shown::kept(record, "@bob"))).to_string();
        assert_eq!(line(&samples::text("hi")), "12:03   17 @bob  hi");
        let mut own_note = samples::record(What::Alarm);
        own_note.entry = None;
        assert_eq!(line(&own_note), "12:03 @bob something is wrong here");
    }

    #[test]
    fn what_can_not_be_read_says_why_and_alarms_stand_below() {
        let mut record = samples::record(What::Unreadable { cause: "no key".into() });
        record.alarms = vec!["the server lies".into()];
        assert_eq!(kept(&record, "@bob"), "12:03 @bob  can't be read: no key\n      ! the server lies");
    }

    #[test]
    fn sizes_are_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (1_234_567, "1.2 MB"),
            (5_000_000_000, "5.0 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
