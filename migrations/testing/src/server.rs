//! A server in a folder, on a socket in the same folder, with fsync on.

use crate::programs::{done, give, program, run};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::{
    fs::{File, Metadata, OpenOptions, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Longest wait for a start.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// The lock of who starts or ends a server.
const START: &str = "start.lock";

/// Attempts to take it.
const ENTER_MAX: usize = 100;

/// What differs from the defaults. Durability stays as it is: on.
const CONFIGURATION: &str = "
listen_addresses = ''
max_connections = 200
shared_buffers = 64MB
";

/// A server. Other processes may use it too; its watchdog ends it when nobody does.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    /// Its shared lock says that this process uses the server.
    _user: File,
}

impl Server {
    /// Starts a server of its own.
    ///
    /// # Panics
    /// PostgreSQL is missing or does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("fastchat-pg-").tempdir().expect("a folder");
        // The watchdog removes it.
        Self::join(&folder.keep())
    }

    /// Starts a server of its own that also listens on 127.0.0.1, with this certificate and key, in PEM;
    /// answers it and its port.
    ///
    /// # Panics
    /// PostgreSQL is missing or does not start.
    #[must_use]
    pub fn start_with_certificate(certificate: &str, key: &str) -> (Self, u16) {
        let server = Self::start();
        server.stop();
        // Nobody else takes it between here and its start, or the start fails.
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        for (name, pem) in [("server.crt", certificate), ("server.key", key)] {
            let path = server.data().join(name);
            std::fs::write(&path, pem).expect("its certificate");
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its certificate");
            give(&path).expect("its certificate");
        }
        server.configure(&format!("listen_addresses = '127.0.0.1'\nport = {port}\nssl = on\n"));
        server.start_again();
        (server, port)
    }

    /// Uses the server of a folder; starts it where nobody does.
    pub(crate) fn join(folder: &Path) -> Self {
        let _start = enter(folder);
        let user = lock_file(folder, "users.lock");
        user.lock_shared().expect("the lock of who uses the server");
        let server = Self {
            folder: folder.to_owned(),
            _user: user,
        };
        if !server.data().join("PG_VERSION").exists() {
            server.init();
        }
        if !server.runs() {
            server.start_again();
            server.watch();
        }
        server
    }

    /// The turn among all processes that use the server.
    pub(crate) fn turn(&self) -> File {
        let turn = lock_file(&self.folder, "turn.lock");
        turn.lock().expect("the turn");
        turn
    }

    /// The URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.display())
    }

    /// The process that started all others of it.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let pid = self.postmaster().expect("a running server");
        pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Kills it, all of its processes at once: none gets to say or to finish anything.
    ///
    /// # Panics
    /// It does not run.
    pub fn kill(&self) {
        let pid = self.postmaster().expect("a running server");
        let number = pid.as_raw_nonzero();
        let children = std::fs::read_to_string(format!("/proc/{number}/task/{number}/children")).expect("a running server");
        let children = children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
        kill_process(pid, Signal::KILL).expect("a running server");
        for child in children {
            // It may have ended by itself.
            let _ = kill_process(child, Signal::KILL);
        }
    }

    /// Starts it after it was killed; it recovers, and this returns when it answers.
    ///
    /// # Panics
    /// It does not start within a minute.
    pub fn start_again(&self) {
        let deadline = Instant::now() + START_TIME_MAX;
        loop {
            // The processes of a killed one take a moment to see that they are orphans; until then it refuses.
            let output = run(program("pg_ctl")
                .arg("start")
                .args(["--wait", "--silent", "-D"])
                .arg(self.data())
                .arg("--log")
                .arg(self.folder.join("log"))
                .stdout(Stdio::null())
                .stderr(Stdio::null()));
            if output.status.success() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "PostgreSQL does not start: {}",
                std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn stop(&self) {
        done(
            program("pg_ctl")
                .args(["stop", "--wait", "--silent", "--mode=fast", "-D"])
                .arg(self.data()),
        );
    }

    fn configure(&self, more: &str) {
        let path = self.data().join("postgresql.conf");
        let mut configuration = std::fs::read_to_string(&path).expect("its configuration");
        configuration.push_str(more);
        std::fs::write(&path, configuration).expect("its configuration");
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn init(&self) {
        // What a start that was interrupted left behind.
        let _ = std::fs::remove_dir_all(self.data());
        done(
            program("initdb")
                .args([
                    "--auth=trust",
                    "--username=postgres",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--no-sync",
                    "-D",
                ])
                .arg(self.data()),
        );
        self.configure(CONFIGURATION);
        self.configure(&format!("unix_socket_directories = '{}'\n", self.folder.display()));
    }

    fn postmaster(&self) -> Option<Pid> {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        Pid::from_raw(file.lines().next()?.trim().parse().ok()?)
    }

    fn runs(&self) -> bool {
        self.postmaster().is_some_and(|pid| test_kill_process(pid).is_ok())
    }

    /// Starts the watchdog, which outlives this process.
    fn watch(&self) {
        let script = r#"
            cd "$1" || exit
            while sleep 10 && [ -e data ]; do
                flock --nonblock start.lock flock --nonblock users.lock sh -c '
                    kill -QUIT "$(head -1 data/postmaster.pid)" 2>/dev/null; sleep 0.5; rm -rf "$1"' - "$1" && exit
            done &"#;
        let status = Command::new("sh")
            .args(["-c", script, "-"])
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .status();
        assert!(status.is_ok_and(|status| status.success()), "the watchdog did not start");
    }
}

/// Makes the folder, and takes the lock of who starts or ends its server.
fn enter(folder: &Path) -> File {
    for _ in 0..ENTER_MAX {
        // Whoever ends a server removes its folder, maybe between any two of these steps.
        let Ok(lock) = make(folder).and_then(|()| open(&folder.join(START))) else {
            continue;
        };
        lock.lock().expect("the lock of who starts the server");
        let same = |found: Metadata| lock.metadata().is_ok_and(|own| own.ino() == found.ino());
        if std::fs::metadata(folder.join(START)).is_ok_and(same) {
            return lock;
        }
    }
    panic!("can't make {}: remove what is there", folder.display());
}

/// The folder, open to the server's user.
fn make(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    give(folder)
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn lock_file(folder: &Path, name: &str) -> File {
    open(&folder.join(name)).expect("a lock file")
}
