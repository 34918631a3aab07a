//! Connections to a PostgreSQL server with a certificate, as an operator's URL asks for them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use fastchat_schema::{OpenError, Opened, PostgresDatabase, migrate, open};
use fastchat_schema_testing::{Server, TestDatabase};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// A server whose certificate is for `localhost`, by an authority in a file.
struct Sealed {
    _server: Server,
    port: u16,
    folder: tempfile::TempDir,
}

impl Sealed {
    fn start() -> Self {
        let authority = || {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        let (ours, other) = (authority(), authority());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &ours).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), ours.pem()).unwrap();
        std::fs::write(folder.path().join("other.pem"), other.pem()).unwrap();
        let (server, port) = Server::start_with_certificate(&certificate.pem(), &key.serialize_pem());
        Self {
            _server: server,
            port,
            folder,
        }
    }

    fn url(&self, host: &str, mode: &str, authority: &str) -> String {
        let folder = self.folder.path().display();
        format!(
            "postgres://postgres@{host}:{}/postgres?sslmode={mode}&sslrootcert={folder}/{authority}",
            self.port
        )
    }

    fn url_without_authority(&self, mode: &str) -> String {
        format!("postgres://postgres@localhost:{}/postgres?sslmode={mode}", self.port)
    }
}

async fn is_sealed(database: &PostgresDatabase) -> bool {
    sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        .fetch_one(database.pool())
        .await
        .unwrap()
}

async fn opened(url: &str) -> PostgresDatabase {
    match open(url).await.unwrap() {
        Opened::Postgres(database) => database,
        Opened::Sqlite(_) => panic!("PostgreSQL was asked for"),
    }
}

#[tokio::test]
async fn a_connection_is_sealed_as_the_url_asks() {
    let server = tokio::task::spawn_blocking(Sealed::start).await.unwrap();
    migrate(&server.url("localhost", "verify-full", "ca.pem")).await.unwrap();
    for url in [
        server.url("localhost", "verify-full", "ca.pem"),
        server.url("localhost", "verify-ca", "ca.pem"),
        // Another name than the certificate's.
        server.url("127.0.0.1", "verify-ca", "ca.pem"),
        server.url_without_authority("require"),
        server.url_without_authority("prefer"),
    ] {
        assert!(is_sealed(&opened(&url).await).await, "{url}");
    }
    assert!(!is_sealed(&opened(&server.url_without_authority("disable")).await).await);

    for url in [
        server.url("127.0.0.1", "verify-full", "ca.pem"),
        server.url("localhost", "verify-full", "other.pem"),
        server.url("localhost", "verify-ca", "other.pem"),
        server.url("localhost", "require", "other.pem"),
        server.url_without_authority("verify-full"),
    ] {
        let error = open(&url).await.unwrap_err();
        assert!(matches!(error, OpenError::NoTls(_)), "{url}: {error}");
        assert!(error.to_string().contains("sslrootcert=FILE"), "{error}");
    }
}

#[tokio::test]
async fn a_server_without_a_certificate_is_refused_where_one_is_asked_for() {
    let plain = TestDatabase::migrated().await;
    // Over a socket there is no TLS; whoever asks for it by name is told.
    let error = open(&format!("{}&sslmode=require", plain.url())).await.unwrap_err();
    assert!(matches!(error, OpenError::NoTls(_)), "{error}");
}
