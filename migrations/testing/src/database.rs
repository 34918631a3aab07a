//! A database for one test.

use crate::Server;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A database of the run's server. It ends with the server.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    server: Server,
}

impl TestDatabase {
    /// One without any table.
    ///
    /// # Panics
    /// PostgreSQL is missing or does not start.
    pub async fn empty() -> Self {
        Self::create("template0").await
    }

    /// One with the schema, and the control plane's tables empty.
    ///
    /// # Panics
    /// PostgreSQL is missing or does not start.
    pub async fn migrated() -> Self {
        Self::create(&template_name()).await
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    async fn create(template: &str) -> Self {
        let server = run_server().await;
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let mut connection = connect(&server.url("postgres")).await;
        execute(&mut connection, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Self { name, server }
    }
}

/// The server of this run: of this user and this checkout. It has a template with the schema.
async fn run_server() -> Server {
    let user = rustix::process::geteuid().as_raw();
    let folder = format!("fastchat-pg-{user}-{:016x}", hash(env!("CARGO_MANIFEST_DIR")));
    let server = Server::join(&std::env::temp_dir().join(folder));
    let _turn = server.turn();
    let mut connection = connect(&server.url("postgres")).await;
    let template = template_name();
    let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)")
        .bind(&template)
        .fetch_one(&mut connection)
        .await
        .expect("the list of databases");
    if !known {
        // Under another name until it is whole.
        let half = format!("half_{template}");
        execute(&mut connection, format!("DROP DATABASE IF EXISTS {half}")).await;
        execute(&mut connection, format!("CREATE DATABASE {half} TEMPLATE template0")).await;
        fastchat_schema::migrate(&server.url(&half)).await.expect("the schema");
        execute(&mut connection, format!("ALTER DATABASE {half} RENAME TO {template}")).await;
    }
    server
}

/// Another schema, another template: the server may be an earlier build's.
fn template_name() -> String {
    let schema: String = fastchat_schema::MIGRATIONS.iter().map(|migration| migration.postgres).collect();
    format!("fastchat_{:016x}", hash(&schema))
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("the server that was just started")
}

async fn execute(connection: &mut PgConnection, sql: String) {
    connection.execute(AssertSqlSafe(sql)).await.expect("a statement on the server");
}
