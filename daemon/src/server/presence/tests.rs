use super::*;

const WHOLE: Piece = Piece { number: 0, of: 1 };

fn account(n: u8) -> AccountId {
    AccountId([n; 16])
}

fn known(snapshot: u64, seq: u64) -> Known {
    Known { snapshot, seq }
}

fn online(presence: &Presence, account: AccountId) -> Vec<String> {
    let mut servers = presence.servers_of(&[account].into_iter());
    servers.sort();
    servers
}

#[test]
fn a_change_is_known_once_every_listening_peer_has_it() {
    let mut presence = Presence::default();
    assert!(presence.is_known(7), "nobody listens");
    let first = presence.listening("s2", 1);
    let second = presence.listening("s3", 2);
    assert!(!presence.is_known(0), "the snapshots are on their way");
    assert!(presence.acknowledged("s2", first));
    assert!(presence.acknowledged("s3", second));
    let change = presence.announce();
    assert!(!presence.acknowledged("s2", known(first.snapshot, change)), "it knew before");
    assert!(!presence.is_known(change));
    presence.deaf("s3", 2);
    assert!(presence.is_known(change), "a dead link is not waited for");
    let third = presence.listening("s3", 3);
    presence.deaf("s3", 2);
    assert!(!presence.is_known(change), "the end of a former link does not end the new one");
    assert!(!presence.acknowledged("s3", known(second.snapshot, change)), "of a former snapshot");
    assert!(presence.acknowledged("s3", third));
    assert!(presence.is_known(change));
}

#[test]
fn a_peer_that_is_late_is_not_waited_for_until_it_has_caught_up() {
    let mut presence = Presence::default();
    let told = presence.listening("s2", 1);
    presence.acknowledged("s2", told);
    let change = presence.announce();
    assert_eq!(presence.give_up(change), ["s2"]);
    assert!(presence.is_known(change) && presence.is_known(change + 1));
    assert!(!presence.is_told());
    assert!(
        presence.acknowledged("s2", known(told.snapshot, change)),
        "what it did not ring for is to be looked for"
    );
    assert!(presence.is_told() && !presence.is_known(change + 1));
}

#[test]
fn a_set_is_replaced_when_the_last_piece_is_there() {
    let mut presence = Presence::default();
    presence.hears("s2");
    assert_eq!(
        presence.snapshot("s2", known(1, 0), WHOLE, &[account(1)]),
        Reply::Known(known(1, 0))
    );
    let piece = |number| Piece { number, of: 2 };
    assert_eq!(presence.snapshot("s2", known(2, 5), piece(0), &[account(2)]), Reply::Nothing);
    assert_eq!(online(&presence, account(1)), ["s2"], "the former set holds until then");
    assert_eq!(
        presence.snapshot("s2", known(2, 5), piece(1), &[account(3)]),
        Reply::Known(known(2, 5))
    );
    assert!(online(&presence, account(1)).is_empty());
    assert_eq!(
        (online(&presence, account(2)), online(&presence, account(3))),
        (vec!["s2".into()], vec!["s2".into()])
    );
    assert_eq!(
        presence.snapshot("s2", known(3, 6), piece(1), &[account(4)]),
        Reply::Nothing,
        "without the first"
    );
}

#[test]
fn a_change_is_acknowledged_only_where_none_before_it_is_missing() {
    let mut presence = Presence::default();
    presence.hears("s2");
    assert_eq!(
        presence.delta("s2", 4, &[account(1)], &[]),
        Reply::Nothing,
        "the snapshot will have it"
    );
    assert_eq!(presence.unknown(), ["s2"]);
    presence.snapshot("s2", known(1, 4), WHOLE, &[account(1)]);
    assert_eq!(presence.delta("s2", 4, &[account(9)], &[]), Reply::Nothing, "the snapshot had it");
    assert_eq!(presence.delta("s2", 5, &[account(2)], &[account(1)]), Reply::Known(known(1, 5)));
    assert!(online(&presence, account(1)).is_empty());
    assert_eq!(presence.delta("s2", 7, &[account(3)], &[]), Reply::Resync);
    assert_eq!(presence.delta("s2", 8, &[account(4)], &[]), Reply::Nothing, "asked already");
    assert_eq!(
        presence.snapshot("s2", known(2, 8), WHOLE, &[account(3)]),
        Reply::Known(known(2, 8))
    );
    assert_eq!(presence.known("s2"), Some(known(2, 8)));
}

#[test]
fn an_account_may_be_online_on_several_servers_and_goes_with_its_link() {
    let mut presence = Presence::default();
    for server in ["s2", "s3"] {
        presence.hears(server);
        presence.snapshot(server, known(1, 0), WHOLE, &[account(1)]);
    }
    assert_eq!(online(&presence, account(1)), ["s2", "s3"]);
    presence.delta("s2", 1, &[], &[account(1)]);
    assert_eq!(online(&presence, account(1)), ["s3"]);
    presence.silent("s3");
    assert!(presence.is_empty());
    presence.silent("s2");
    assert!(presence.peers.is_empty(), "without a link nothing is remembered");
}

#[test]
fn a_change_that_overtakes_its_snapshot_is_not_lost() {
    let mut presence = Presence::default();
    presence.hears("s2");
    for (seq, came, went) in [(5, 1, 2), (6, 3, 1), (4, 9, 9)] {
        assert_eq!(presence.delta("s2", seq, &[account(came)], &[account(went)]), Reply::Nothing);
    }
    assert_eq!(
        presence.snapshot("s2", known(1, 4), WHOLE, &[account(2)]),
        Reply::Known(known(1, 6))
    );
    assert_eq!(online(&presence, account(3)), ["s2"]);
    assert!(online(&presence, account(1)).is_empty() && online(&presence, account(2)).is_empty());

    presence.gap("s2");
    presence.delta("s2", 9, &[account(4)], &[]);
    assert_eq!(
        presence.snapshot("s2", known(2, 7), WHOLE, &[account(3)]),
        Reply::Resync,
        "the eighth is missing"
    );
}

#[test]
fn changes_that_wait_for_a_snapshot_are_bounded() {
    let mut presence = Presence::default();
    presence.hears("s2");
    let last = LATER_MAX as u64 + 1;
    for seq in 1..=last {
        presence.delta("s2", seq, &[account(1)], &[]);
    }
    assert_eq!(
        presence.snapshot("s2", known(1, 0), WHOLE, &[]),
        Reply::Resync,
        "the first was forgotten"
    );
    for seq in 1..=last {
        presence.delta("s2", seq, &[account(1)], &[]);
    }
    assert_eq!(
        presence.snapshot("s2", known(2, 1), WHOLE, &[]),
        Reply::Known(known(2, last)),
        "the snapshot has it"
    );
}
