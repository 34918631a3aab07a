//! Logins by signed files, as NATS calls them *decentralised*: an operator, one account, and users' credentials.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};

/// Who says which users a NATS server lets in.
pub struct NatsOperator {
    operator: KeyPair,
    account: KeyPair,
}

impl NatsOperator {
    /// One with new keys.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each has keys of its own")]
    pub fn new() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            account: KeyPair::new_account(),
        }
    }

    /// Makes a server let in this operator's users and nobody else, for `NatsServer::start_with`.
    #[must_use]
    pub fn configuration(&self) -> String {
        let operator = token(&self.operator, &self.operator, "operator", json!({}));
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1
        });
        let account = token(&self.operator, &self.account, "account", json!({ "limits": limits }));
        let name = self.account.public_key();
        format!("operator: {operator}\nresolver: MEMORY\nresolver_preload: {{ {name}: {account} }}")
    }

    /// A new user's credentials, the text of a `.creds` file.
    ///
    /// # Panics
    /// The keys can't be written.
    #[must_use]
    pub fn credentials(&self) -> String {
        let user = KeyPair::new_user();
        let token = token(&self.account, &user, "user", json!({ "subs": -1, "data": -1, "payload": -1 }));
        let seed = user.seed().expect("a user's seed");
        format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }
}

/// What `issuer` says of `subject`, signed.
fn token(issuer: &KeyPair, subject: &KeyPair, kind: &str, mut claims: Value) -> String {
    claims["type"] = kind.into();
    claims["version"] = 2.into();
    let (issuer_key, subject) = (issuer.public_key(), subject.public_key());
    let body = json!({ "jti": "test", "iat": 1, "iss": issuer_key, "sub": subject, "name": kind, "nats": claims });
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(json!({ "typ": "JWT", "alg": "ed25519-nkey" })), part(body));
    let signature = issuer.sign(text.as_bytes()).expect("it has its secret key");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}
