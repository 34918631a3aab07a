//! Values are kept, sealed, whole or not at all, for one storage key and one version.

use super::*;
use std::{fs, os::unix::fs::PermissionsExt, sync::Barrier, thread};
use tempfile::TempDir;

const NOTES: Table = Table::new("notes");
const OTHERS: Table = Table::new("others");

fn put(store: &Store, key: &[u8], value: &[u8]) {
    store.write(|tx| tx.put(NOTES, key, value)).unwrap();
}

fn get(store: &Store, key: &[u8]) -> Option<Vec<u8>> {
    let value = store.read(|tx| tx.get(NOTES, key)).unwrap();
    value.map(|value| value.expose().to_vec())
}

fn profile() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::create(folder.path()).unwrap();
    (folder, store)
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let (folder, store) = profile();
    put(&store, b"a", b"first");
    put(&store, b"a", b"second");
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(get(&store, b"a").unwrap(), b"second");
    assert!(store.read(|tx| tx.has(NOTES, b"a")).unwrap());
    assert!(!store.read(|tx| tx.has(OTHERS, b"a")).unwrap());
    assert!(store.write(|tx| tx.delete(NOTES, b"a")).unwrap());
    assert!(!store.write(|tx| tx.delete(NOTES, b"a")).unwrap());
    assert_eq!(get(&store, b"a"), None);
}

#[test]
fn rows_come_in_order_and_in_pages() {
    let (_folder, store) = profile();
    for key in [&b"a1"[..], b"a2", b"a3", b"b1", &[b'a', 255]] {
        put(&store, key, key);
    }
    let keys = |scan: Scan<'_>| -> Vec<Vec<u8>> {
        let rows = store.read(|tx| tx.list(NOTES, scan)).unwrap();
        assert!(rows.iter().all(|(key, value)| key == value.expose()));
        rows.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys(Scan::prefix(b"a")), [&b"a1"[..], b"a2", b"a3", &[b'a', 255]]);
    assert_eq!(keys(Scan::prefix(b"")).len(), 5);
    assert_eq!(keys(Scan::newest(b"a", 2)), [&[b'a', 255][..], b"a3"]);
    let next = Scan {
        after: Some(b"a3"),
        ..Scan::newest(b"a", 2)
    };
    assert_eq!(keys(next), [b"a2", b"a1"]);
    let rest = Scan {
        after: Some(b"a2"),
        ..Scan::prefix(b"a")
    };
    assert_eq!(keys(rest), [&b"a3"[..], &[b'a', 255]]);
}

#[test]
fn nothing_of_a_value_stands_in_any_file() {
    let (folder, store) = profile();
    let said = b"the quick brown fox says nothing to the disk";
    for i in 0..50_u8 {
        put(&store, &[i], said);
    }
    let holds = |folder: &Path| {
        fs::read_dir(folder).unwrap().any(|file| {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            bytes.windows(10).any(|part| part == &said[..10])
        })
    };
    assert!(!holds(folder.path()));
    drop(store);
    assert!(!holds(folder.path()));
}

#[test]
fn a_deleted_or_replaced_value_is_overwritten_on_the_disk() {
    let (folder, store) = profile();
    let raw = |store: &Store, key: &[u8]| -> Vec<u8> {
        let select = "SELECT value FROM sealed WHERE key = ?1";
        store.lock().connection.query_row(select, (key,), |row| row.get(0)).unwrap()
    };
    put(&store, b"a", &[1; 300]);
    put(&store, b"b", &[2; 9000]);
    put(&store, b"c", &[3; 300]);
    let gone = [raw(&store, b"a"), raw(&store, b"b"), raw(&store, b"c")];
    store.write(|tx| tx.delete(NOTES, b"a")).unwrap();
    store.write(|tx| tx.delete(NOTES, b"b")).unwrap();
    put(&store, b"c", &[4; 300]);
    let path = store.path().to_owned();
    drop(store);
    assert!(!folder.path().join("store.db-wal").exists());
    let file = fs::read(path).unwrap();
    for sealed in gone {
        assert!(
            !file
                .windows(32)
                .any(|part| part == &sealed[..32] || part == &sealed[sealed.len() - 32..])
        );
    }
}

#[test]
fn an_error_or_a_panic_undoes_the_whole_write() {
    let (_folder, store) = profile();
    put(&store, b"a", b"before");
    let failed: Result<(), StoreError> = store.write(|tx| {
        tx.put(NOTES, b"a", b"after")?;
        tx.put(NOTES, b"b", b"after")?;
        Err(StoreError::Missing { path: "x".into() })
    });
    assert!(failed.is_err());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _: Result<(), StoreError> = store.write(|tx| {
            tx.put(NOTES, b"a", b"after")?;
            panic!("a fault in the caller");
        });
    }));
    assert!(panicked.is_err());
    assert_eq!(get(&store, b"a").unwrap(), b"before");
    assert_eq!(get(&store, b"b"), None);
}

#[test]
fn only_a_lazy_write_does_not_wait_for_the_disk() {
    let (folder, store) = profile();
    let synchronous = |store: &Store| -> i64 {
        let open = store.lock();
        open.connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap()
    };
    let lazily = |store: &Store, key: &[u8]| store.write_lazily(|tx| tx.put(NOTES, key, b"a mark")).unwrap();
    let (full, normal) = (2, 1);
    put(&store, b"a", b"b");
    assert_eq!(synchronous(&store), full);
    lazily(&store, b"lazy");
    assert_eq!(synchronous(&store), normal);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _: Result<(), StoreError> = store.write_lazily(|_| panic!("a fault in the caller"));
    }));
    assert!(panicked.is_err());
    put(&store, b"c", b"d");
    assert_eq!(synchronous(&store), full);
    let other = Store::open(folder.path()).unwrap();
    assert_eq!(get(&other, b"lazy").unwrap(), b"a mark");
    drop((store, other));
    // Where there is no write-ahead log, nothing is lazy.
    let store = Store::open(folder.path()).unwrap();
    store.lock().write_ahead = false;
    lazily(&store, b"lazy");
    assert_eq!(synchronous(&store), full);
}

#[test]
fn two_that_write_at_once_lose_nothing() {
    let (folder, store) = profile();
    put(&store, b"count", &0_u64.to_be_bytes());
    let (writers, each) = (3, 40);
    let start = Barrier::new(writers);
    thread::scope(|scope| {
        for _ in 0..writers {
            scope.spawn(|| {
                // A connection of its own, as another process has.
                let store = Store::open(folder.path()).unwrap();
                start.wait();
                for _ in 0..each {
                    let counted: Result<(), StoreError> = store.write(|tx| {
                        let count = tx.get(NOTES, b"count")?.unwrap();
                        let count = u64::from_be_bytes(count.expose().try_into().unwrap());
                        tx.put(NOTES, b"count", &(count + 1).to_be_bytes())
                    });
                    counted.unwrap();
                }
            });
        }
    });
    assert_eq!(get(&store, b"count").unwrap(), (writers as u64 * each).to_be_bytes());
}

#[test]
fn a_read_sees_one_state_while_another_writes() {
    let (folder, store) = profile();
    put(&store, b"a", b"old");
    let other = Store::open(folder.path()).unwrap();
    let before = store.foreign_changes().unwrap();
    let seen: Result<_, StoreError> = store.read(|tx| {
        let first = tx.get(NOTES, b"a")?.unwrap();
        put(&other, b"a", b"new");
        let second = tx.get(NOTES, b"a")?.unwrap();
        Ok((first.expose().to_vec(), second.expose().to_vec()))
    });
    assert_eq!(seen.unwrap(), (b"old".to_vec(), b"old".to_vec()));
    assert_eq!(get(&store, b"a").unwrap(), b"new");
    assert_ne!(store.foreign_changes().unwrap(), before);
}

#[test]
fn files_are_for_their_owner_only() {
    let (folder, store) = profile();
    put(&store, b"a", b"b");
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(names.len() >= 2);
    for name in names {
        let mode = fs::metadata(&name).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", name.display());
    }
}

#[test]
fn a_used_profile_is_not_made_again_and_a_missing_one_is_not_opened() {
    let (folder, _store) = profile();
    assert!(matches!(Store::create(folder.path()), Err(StoreError::Exists { .. })));
    let empty = TempDir::new().unwrap();
    assert!(matches!(Store::open(empty.path()), Err(StoreError::Missing { .. })));
}

#[test]
fn a_sign_up_that_was_cut_off_can_be_done_again() {
    let folder = TempDir::new().unwrap();
    files::make_key(folder.path()).unwrap();
    files::make_empty(&files::store(folder.path())).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Missing { .. })));
    // The file has its first page, and nothing in it.
    schema::write_ahead(&Store::database(&files::store(folder.path())).unwrap()).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Missing { .. })));
    let store = Store::create(folder.path()).unwrap();
    put(&store, b"a", b"b");
    drop(store);
    assert_eq!(get(&Store::open(folder.path()).unwrap(), b"a").unwrap(), b"b");
}

#[test]
fn a_used_store_whose_key_was_lost_gets_no_other_key() {
    let (folder, store) = profile();
    drop(store);
    fs::remove_file(folder.path().join("storage.key")).unwrap();
    assert!(matches!(Store::create(folder.path()), Err(StoreError::Exists { .. })));
    assert!(matches!(Store::open(folder.path()), Err(StoreError::KeyMissing { .. })));
}

#[test]
fn a_store_of_another_version_is_refused_with_both_versions_named() {
    let (folder, store) = profile();
    store.lock().connection.pragma_update(None, "user_version", 2).unwrap();
    drop(store);
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Version { found: 2, known: 1, .. }));
    assert!(error.to_string().contains("version 2, this client knows version 1"), "{error}");
}

#[test]
fn another_key_an_exposed_one_and_none_are_told_apart() {
    let (folder, store) = profile();
    drop(store);
    let key = folder.path().join("storage.key");
    let whole = fs::read(&key).unwrap();
    fs::write(&key, [0; 32]).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::WrongKey { .. })));
    fs::write(&key, &whole[..31]).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Damaged { .. })));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        Store::open(folder.path()),
        Err(StoreError::KeyExposed { mode: 0o640, .. })
    ));
    fs::remove_file(&key).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::KeyMissing { .. })));
}

#[test]
fn a_value_moved_to_another_row_does_not_open() {
    let (_folder, store) = profile();
    put(&store, b"a", b"for a");
    put(&store, b"b", b"for b");
    let swap = "UPDATE sealed SET value = (SELECT value FROM sealed WHERE key = x'61') WHERE key = x'62'";
    store.lock().connection.execute(swap, ()).unwrap();
    let error = store.read(|tx| tx.get(NOTES, b"b")).unwrap_err();
    assert!(matches!(error, StoreError::Unopened { table: "notes", .. }));
    assert_eq!(get(&store, b"a").unwrap(), b"for a");
}

#[test]
fn other_files_are_no_stores() {
    let (folder, store) = profile();
    let path = store.path().to_owned();
    drop(store);
    fs::write(&path, b"not a database, yet long enough to be looked at as one").unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Damaged { .. })));
    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_full_disk_is_told_and_leaves_the_store_as_it_was() {
    let (folder, store) = profile();
    put(&store, b"a", b"before");
    let pages: i64 = store
        .lock()
        .connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    store
        .lock()
        .connection
        .pragma_update_and_check(None, "max_page_count", pages + 2, |_| Ok(()))
        .unwrap();
    let full: Result<(), StoreError> = store.write(|tx| {
        tx.put(NOTES, b"a", b"after")?;
        tx.put(NOTES, b"b", &[0; 100_000])
    });
    assert!(matches!(full, Err(StoreError::Full { .. })));
    assert_eq!(get(&store, b"a").unwrap(), b"before");
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(get(&store, b"a").unwrap(), b"before");
    assert_eq!(get(&store, b"b"), None);
}
