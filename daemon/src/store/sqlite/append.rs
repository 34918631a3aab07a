//! `append`: the hot path. A batch is one transaction of five statements, however
//! many entries and logs it has: two reads, then (pure) decisions, then two writes.

use super::insert::{self, NewEntry};
use crate::store::{
    Denied, Result, StoreError,
    logs::{Append, Appended},
    values::{self, LogKind, bindable},
};
use fastchat_schema::Database;
use fastchat_wire::{AccountId, DeviceId, EntryId, LogId};
use sqlx::SqliteConnection;
use std::collections::{HashMap, HashSet, hash_map};

type Answer = std::result::Result<Appended, Denied>;

/// Appends a batch.
pub(super) async fn append(database: &Database, batch: &[Append]) -> Result<Vec<Answer>> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let keys = Keys::of(batch);
    let mut transaction = database.write().await?;
    let mut known = keys.read_logs(&mut transaction).await?;
    let stored = keys.read_duplicates(&mut transaction).await?;
    let (answers, new) = decide(batch, &mut known, &stored);
    if new.is_empty() {
        transaction.rollback().await?;
        return Ok(answers);
    }
    insert::insert(&mut transaction, &new).await?;
    bump(&mut transaction, &known.logs).await?;
    transaction.commit().await?;
    Ok(answers)
}

/// What the decisions need to know.
#[derive(Debug, Default)]
struct Known {
    logs: HashMap<LogId, Log>,
    /// Who may append to which.
    members: HashSet<(LogId, AccountId)>,
}

/// A log's counters.
#[derive(Debug, Clone, Copy)]
struct Log {
    kind: LogKind,
    last_seq: u64,
    members_seq: u64,
    epoch: u64,
    /// It has new entries.
    moved: bool,
}

/// Numbers what may be appended. `stored` are the duplicates, by their place in
/// the batch: where the first one stands, and since when.
fn decide<'a>(batch: &'a [Append], known: &mut Known, stored: &HashMap<usize, (u64, u64)>) -> (Vec<Answer>, Vec<NewEntry<'a>>) {
    let mut first: HashMap<(LogId, EntryId, DeviceId), (u64, u64)> = HashMap::new();
    let mut new = Vec::with_capacity(batch.len());
    let decided = batch.iter().enumerate().map(|(place, append)| {
        let Some(log) = known.logs.get_mut(&append.log) else {
            return Err(Denied::NotMember);
        };
        let key = (append.log, append.entry, append.device);
        if let Some(&(seq, at)) = stored.get(&place).or_else(|| first.get(&key)) {
            return Ok(Appended {
                seq,
                at,
                duplicate: true,
                members_seq: log.members_seq,
            });
        }
        if log.kind == LogKind::Inbox {
            return Err(Denied::Forbidden("only the server appends to an inbox"));
        }
        if !known.members.contains(&(append.log, append.account)) {
            return Err(Denied::NotMember);
        }
        if append.epoch.is_some_and(|epoch| epoch != log.epoch) {
            return Err(Denied::EpochConflict { current: log.epoch });
        }
        log.last_seq += 1;
        log.moved = true;
        first.insert(key, (log.last_seq, append.at));
        new.push(NewEntry {
            log: append.log,
            seq: log.last_seq,
            at: append.at,
            kind: &append.kind,
            entry: append.entry,
            sender: Some((append.account, append.device)),
            epoch: append.epoch,
            block: &append.block,
        });
        Ok(Appended {
            seq: log.last_seq,
            at: append.at,
            duplicate: false,
            members_seq: log.members_seq,
        })
    });
    let answers = decided.collect();
    (answers, new)
}

/// The ids of a batch, 64 bytes each, as parameters of the reads.
#[derive(Debug)]
struct Keys {
    /// Log, entry, account, device; again and again.
    ids: Vec<u8>,
    /// Where each append's begin, as `substr` counts.
    places: String,
    /// The same, once for each log and account.
    senders: String,
}

impl Keys {
    fn of(batch: &[Append]) -> Self {
        let mut ids = Vec::with_capacity(batch.len() * 64);
        let mut places = Vec::with_capacity(batch.len());
        let mut senders = HashMap::new();
        for append in batch {
            let place = ids.len() + 1;
            places.push(place);
            if let hash_map::Entry::Vacant(sender) = senders.entry((append.log, append.account)) {
                sender.insert(place);
            }
            for piece in [
                append.log.as_bytes(),
                append.entry.as_bytes(),
                append.account.as_bytes(),
                append.device.as_bytes(),
            ] {
                ids.extend_from_slice(piece);
            }
        }
        let list = |places: &mut dyn Iterator<Item = usize>| {
            let places: Vec<String> = places.map(|place| place.to_string()).collect();
            format!("[{}]", places.join(","))
        };
        Self {
            ids,
            places: list(&mut places.into_iter()),
            senders: list(&mut senders.into_values()),
        }
    }

    /// Reads the logs, and which senders belong to them.
    async fn read_logs(&self, connection: &mut SqliteConnection) -> Result<Known> {
        let rows = sqlx::query(
            "SELECT log.id, log.kind, log.last_seq, log.members_seq, log.epoch,
                    CASE WHEN log.kind = 'archive' AND log.account_id = substr(?2, sender.value + 32, 16)
                         THEN log.account_id ELSE member.account_id END AS member
             FROM json_each(?1) AS sender
             CROSS JOIN logs AS log ON log.id = substr(?2, sender.value, 16)
             LEFT JOIN members AS member
                    ON member.log_id = log.id AND member.account_id = substr(?2, sender.value + 32, 16) AND member.through_seq IS NULL",
        )
        .bind(&self.senders)
        .bind(&self.ids)
        .fetch_all(connection)
        .await?;
        let mut known = Known::default();
        for row in &rows {
            let log = values::id(row, "id")?;
            known.logs.insert(
                log,
                Log {
                    kind: values::log_kind(row, "kind")?,
                    last_seq: values::number(row, "last_seq")?,
                    members_seq: values::number(row, "members_seq")?,
                    epoch: values::number(row, "epoch")?,
                    moved: false,
                },
            );
            known
                .members
                .extend(values::optional_id(row, "member")?.map(|account| (log, account)));
        }
        Ok(known)
    }

    /// Finds what stands there already: number and time, by place in the batch.
    async fn read_duplicates(&self, connection: &mut SqliteConnection) -> Result<HashMap<usize, (u64, u64)>> {
        let rows = sqlx::query(
            "SELECT append.key AS place, entry.seq, entry.at
             FROM json_each(?1) AS append
             CROSS JOIN entries AS entry
                     ON entry.log_id = substr(?2, append.value, 16)
                    AND entry.entry_id = substr(?2, append.value + 16, 16)
                    AND entry.device_id = substr(?2, append.value + 48, 16)",
        )
        .bind(&self.places)
        .bind(&self.ids)
        .fetch_all(connection)
        .await?;
        let duplicates = rows.iter().map(|row| {
            let place = usize::try_from(values::number(row, "place")?).map_err(|error| StoreError::Internal(error.into()))?;
            Ok((place, (values::number(row, "seq")?, values::number(row, "at")?)))
        });
        duplicates.collect()
    }
}

/// Writes the counters of the logs that moved.
async fn bump(connection: &mut SqliteConnection, logs: &HashMap<LogId, Log>) -> Result<()> {
    let moved: Vec<_> = logs.iter().filter(|(_, log)| log.moved).collect();
    let ids: Vec<u8> = moved.iter().flat_map(|(id, _)| id.0).collect();
    let last_seqs: Vec<String> = moved.iter().map(|(_, log)| bindable(log.last_seq).to_string()).collect();
    sqlx::query(
        "UPDATE logs SET last_seq = moved.value
         FROM json_each(?1) AS moved WHERE logs.id = substr(?2, moved.key * 16 + 1, 16)",
    )
    .bind(format!("[{}]", last_seqs.join(",")))
    .bind(ids)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use fastchat_wire::chat::create::ConversationKind;
    use std::sync::Arc;

    const LOG: LogId = LogId([1; 16]);
    const ACCOUNT: AccountId = AccountId([2; 16]);

    fn known() -> Known {
        let log = Log {
            kind: LogKind::Conversation(ConversationKind::Group),
            last_seq: 7,
            members_seq: 3,
            epoch: 2,
            moved: false,
        };
        Known {
            logs: HashMap::from([
                (LOG, log),
                (
                    LogId([9; 16]),
                    Log {
                        kind: LogKind::Inbox,
                        ..log
                    },
                ),
            ]),
            members: HashSet::from([(LOG, ACCOUNT)]),
        }
    }

    fn new(entry: u8, device: u8) -> Append {
        Append {
            log: LOG,
            entry: EntryId([entry; 16]),
            kind: Arc::from("app"),
            account: ACCOUNT,
            device: DeviceId([device; 16]),
            epoch: None,
            at: 1_000 + u64::from(entry),
            block: Bytes::new(),
        }
    }

    /// Number, or the refusal's code.
    fn outcome(answers: &[Answer]) -> Vec<std::result::Result<(u64, bool), &'static str>> {
        let outcome = |answer: &Answer| match answer {
            Ok(appended) => Ok((appended.seq, appended.duplicate)),
            Err(denied) => Err(denied.code().as_str()),
        };
        answers.iter().map(outcome).collect()
    }

    #[test]
    fn a_refusal_leaves_no_hole_and_a_duplicate_takes_no_number() {
        let batch = [
            new(1, 1),
            Append {
                epoch: Some(1),
                ..new(2, 1)
            },
            new(1, 1),
            new(1, 2),
            Append {
                account: AccountId([8; 16]),
                ..new(3, 1)
            },
            Append {
                epoch: Some(2),
                ..new(2, 1)
            },
            Append {
                log: LogId([8; 16]),
                ..new(4, 1)
            },
            Append {
                log: LogId([9; 16]),
                ..new(4, 1)
            },
            Append {
                account: AccountId([8; 16]),
                epoch: Some(1),
                ..new(5, 1)
            },
        ];
        let stored = HashMap::from([(8, (4, 17))]);
        let (answers, new) = decide(&batch, &mut known(), &stored);
        assert_eq!(
            outcome(&answers),
            [
                Ok((8, false)),
                Err("epoch-conflict"),
                Ok((8, true)),
                Ok((9, false)),
                Err("not-member"),
                Ok((10, false)),
                Err("not-member"),
                Err("forbidden"),
                Ok((4, true)),
            ]
        );
        assert_eq!(new.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [8, 9, 10]);
        assert_eq!(
            answers[8],
            Ok(Appended {
                seq: 4,
                at: 17,
                duplicate: true,
                members_seq: 3
            })
        );
    }
}
