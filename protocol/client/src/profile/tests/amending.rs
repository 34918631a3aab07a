//! What is corrected, taken back and reacted to, by whom that counts, and that a new device sees it so.

use super::{archive::*, three::*, world::*};
use crate::{
    profile::{compose, take},
    record::{Named, Record, What},
};
use fastchat_e2e::{
    Content, EntryId,
    content::{Body, Edit, Group, React, Target, Text},
    store::Table,
};

const RECORDS: Table = Table::new("record");
const NOWHERE: EntryId = EntryId([9; 16]);

fn edit(target: EntryId, text: &str) -> Body {
    let body = text.to_owned();
    Body::Edit(Edit { target, body })
}

fn delete(target: EntryId) -> Body {
    Body::Delete(Target { target })
}

fn react(target: EntryId, emoji: &str) -> Body {
    let emoji = emoji.to_owned();
    Body::React(React { target, emoji })
}

fn words(record: &Record) -> (&str, bool, bool) {
    match &record.what {
        What::Message(Content {
            body: Body::Text(text), ..
        }) => (&text.body, record.edited, record.taken_back),
        other => panic!("a text: {other:?}"),
    }
}

#[test]
fn the_newest_correction_counts_everywhere_and_no_older_text_is_kept() {
    let mut three = Three::meet();
    let said = three.says(bob, Body::text("first words"));
    three.says(bob, edit(said, "second words"));
    three.says(bob, edit(said, "third words"));
    for device in three.all() {
        assert_eq!(words(&three.seen(device, said)), ("third words", true, false));
        assert!(device.holds(RECORDS, "third words"));
        for older in ["first words", "second words"] {
            assert!(!device.holds(RECORDS, older), "{older}");
        }
    }
}

#[test]
fn what_was_taken_back_is_deleted_with_all_its_corrections_and_stays_so() {
    let mut three = Three::meet();
    let said = three.says(bob, Body::text("first words"));
    three.says(carol, react(said, "👍"));
    three.says(bob, edit(said, "second words"));
    three.says(bob, delete(said));
    three.says(bob, edit(said, "third words"));
    for device in three.all() {
        let seen = three.seen(device, said);
        assert_eq!(words(&seen), ("", false, true));
        assert!(seen.reactions.is_empty());
        assert!(!device.holds(RECORDS, " words"));
    }
}

#[test]
fn nobody_changes_what_somebody_else_said_not_even_an_admin() {
    let mut three = Three::meet();
    let said = three.says(bob, Body::text("my words"));
    three.says(alice, delete(said));
    three.says(carol, edit(said, "their words"));
    for device in three.all() {
        assert_eq!(words(&three.seen(device, said)), ("my words", false, false));
        let history = device.profile.history(three.log.id, 2).unwrap();
        for record in history {
            assert!(
                matches!(&record.what, What::Unreadable { cause } if cause.contains("somebody else's")),
                "{record:?}"
            );
        }
    }
}

#[test]
fn who_copies_an_id_changes_and_gathers_nothing() {
    let mut three = Three::meet();
    let said = three.says(bob, Body::text("my words"));
    let copy = Content {
        id: said,
        at_ms: 1,
        body: Body::text("their words"),
    };
    three
        .carol
        .profile
        .change(|groups, tx| Ok(groups.seal(tx, three.log.id, &copy)?))
        .unwrap();
    three.deliver(carol);
    three.says(carol, delete(said));
    three.says(alice, react(said, "👍"));
    for device in three.all() {
        let texts: Vec<_> = device.profile.history(three.log.id, 100).unwrap();
        let texts: Vec<_> = texts
            .iter()
            .filter(|record| matches!(&record.what, What::Message(content) if content.body.is_said()))
            .map(|record| (words(record), record.reactions.len()))
            .collect();
        assert_eq!(texts, [(("my words", false, false), 1), (("", false, true), 0)]);
    }
}

#[test]
fn each_account_has_one_reaction_its_newest_until_it_takes_it_back() {
    let mut three = Three::meet();
    let said = three.says(bob, Body::text("hi"));
    three.says(alice, react(said, "🎉"));
    three.says(carol, react(said, "👍"));
    three.says(bob, react(said, "👍"));
    three.says(alice, react(said, "👍"));
    let kinds = |three: &Three, by: &Device| -> Vec<(String, usize)> {
        let reactions = three.seen(by, said).reactions;
        reactions.into_iter().map(|one| (one.emoji, one.from.len())).collect()
    };
    assert_eq!(kinds(&three, &three.bob), [("👍".to_owned(), 3)]);
    three.says(carol, react(said, ""));
    for device in three.all() {
        assert_eq!(kinds(&three, device), [("👍".to_owned(), 2)]);
    }
}

#[test]
fn what_was_done_about_a_message_that_is_not_here_yet_takes_effect_when_it_comes() {
    let mut three = Three::meet();
    let mut archive = Archive::new();
    let (gone, better) = (three.says(bob, Body::text("gone words")), three.says(bob, Body::text("old words")));
    // Archived before it was changed: the archive keeps that.
    make(&three.alice);
    send(&three.alice, &mut archive);
    three.says(bob, edit(better, "older words"));
    make(&three.alice);
    send(&three.alice, &mut archive);
    three.says(bob, delete(gone));
    three.says(bob, edit(better, "new words"));
    three.says(carol, react(better, "👍"));
    make(&three.alice);
    send(&three.alice, &mut archive);

    let phone = three.alice.another_device();
    begin(&phone);
    read_some(&phone.profile, &archive, 1);
    let named = |entry: EntryId| Named::Id(entry.to_string());
    assert!(
        phone.profile.message(three.log.id, &named(gone), false).is_err(),
        "what was done came first"
    );
    read_some(&phone.profile, &archive, 2);
    finish(&phone.profile);
    for entry in [gone, better] {
        let (new, old) = (three.seen(&phone, entry), three.seen(&three.alice, entry));
        assert_eq!((words(&new), &new.reactions), (words(&old), &old.reactions), "the same picture");
    }
    assert_eq!(words(&three.seen(&phone, better)), ("new words", true, false));
    for older in ["gone words", "old words", "older words"] {
        assert!(!phone.holds(RECORDS, older), "{older}");
    }
}

#[test]
fn what_was_taken_back_before_it_was_archived_never_gets_there_and_is_seen_as_taken_back() {
    let mut three = Three::meet();
    let said = three.says(bob, Body::text("gone words"));
    three.says(bob, delete(said));
    let mut archive = Archive::new();
    make(&three.alice);
    send(&three.alice, &mut archive);
    let phone = three.alice.another_device();
    let receipt = restore_all(&phone, &archive);
    assert!(receipt.is_complete() && receipt.restored == 2, "{receipt:?}");
    assert_eq!(words(&three.seen(&phone, said)), ("", false, true));
    assert!(!phone.holds(RECORDS, "gone words"));
}

#[test]
fn what_a_device_reads_itself_after_the_archive_told_it_stays_as_it_is() {
    let mut three = Three::meet();
    let said = three.says(bob, Body::text("old words"));
    three.says(bob, edit(said, "new words"));
    let mut archive = Archive::new();
    make(&three.alice);
    send(&three.alice, &mut archive);
    restore_all(&three.carol, &archive);
    for entry in &three.log.entries {
        three.carol.profile.change(|groups, tx| take::take(groups, tx, entry)).unwrap();
    }
    assert_eq!(words(&three.seen(&three.carol, said)), ("new words", true, false));
}

#[test]
fn the_own_client_refuses_what_others_would_ignore_and_says_why() {
    let mut three = Three::meet();
    let (bobs, mine) = (three.says(bob, Body::text("bob's")), three.says(carol, Body::text("mine")));
    let gone = three.says(carol, Body::text("gone"));
    three.says(carol, delete(gone));
    let refused = |body: Body| {
        let id = three.log.id;
        code(three.carol.profile.look(|groups, tx| compose(groups, tx, id, body).map(drop)))
    };
    let answer = |reply_to| {
        Body::Text(Text {
            body: "yes".to_owned(),
            reply_to: Some(reply_to),
            mentions: Vec::new(),
        })
    };
    assert_eq!(refused(edit(bobs, "new")), "forbidden");
    assert_eq!(refused(delete(bobs)), "forbidden");
    assert_eq!(refused(edit(mine, "")), "usage");
    for nowhere in [delete(NOWHERE), edit(NOWHERE, "new"), react(NOWHERE, "👍"), answer(NOWHERE)] {
        assert_eq!(refused(nowhere), "not-found");
    }
    for gone in [delete(gone), edit(gone, "new"), react(gone, "👍"), answer(gone)] {
        assert_eq!(refused(gone), "not-found");
    }
    assert_eq!(refused(react(bobs, "yes")), "usage");
    assert_eq!(refused(Body::Group(Group::default())), "forbidden", "of a plain member");
    let fine = |body: Body| {
        three
            .carol
            .profile
            .look(|groups, tx| compose(groups, tx, three.log.id, body).map(drop))
    };
    for body in [edit(mine, "new"), delete(mine), react(bobs, ""), answer(bobs)] {
        fine(body).unwrap();
    }
}

#[test]
fn a_text_names_the_members_that_stand_in_it_and_nobody_else() {
    let three = Three::meet();
    let text = Body::text("@carol, @Bob! not @dave, nor carol@example.org; @carol again");
    let composed = three
        .alice
        .profile
        .look(|groups, tx| compose(groups, tx, three.log.id, text))
        .unwrap();
    let Body::Text(text) = composed else { panic!("a text") };
    assert_eq!(text.mentions, [three.carol.account, three.bob.account]);
}

#[test]
fn a_message_is_found_by_its_number_the_end_of_its_id_or_as_the_last_one() {
    let mut three = Three::meet();
    let (first, second) = (three.says(bob, Body::text("one")), three.says(bob, Body::text("two")));
    let mine = three.says(alice, Body::text("mine"));
    three.says(bob, delete(second));
    let found = |named: Named, own| three.alice.profile.message(three.log.id, &named, own);
    let number = three.seen(&three.alice, first).seq;
    assert_eq!(found(Named::Number(number), false).unwrap().entry, Some(first));
    let id = first.to_string();
    assert_eq!(found(Named::Id(id[id.len() - 12..].to_owned()), false).unwrap().entry, Some(first));
    assert_eq!(found(Named::Last, true).unwrap().entry, Some(mine));
    assert_eq!(found(Named::Last, false).unwrap().entry, Some(first), "not what was taken back");
    for missing in [Named::Number(1), Named::Number(1_000), Named::Id("ffffffffffff".to_owned())] {
        assert_eq!(code(found(missing, false)), "not-found");
    }
}
