//! ts-mls, in a node process of its own: one JSON object a line, there and back.

use crate::mls::{Change, Failure, Made, Mls, Opened, Processed, View};
use base64::{Engine, engine::general_purpose::STANDARD};
use fastchat_e2e::{ConversationId, Credential, DeviceKey, mls::Charter};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// What `npm ci` installs, and by which lines this was made.
const LOCK: &str = include_str!("../ts-mls/package-lock.json");
const MISSING: &str = "ts-mls is not installed as protocol/interop/ts-mls/package-lock.json says: run .ci/install";

/// One device. Dropped, its process ends.
pub(crate) struct TsMls {
    node: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl TsMls {
    pub(crate) fn begin(credential: &Credential, key: &DeviceKey, mended: bool) -> Result<Self, Failure> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        // Where `.ci/install` puts them.
        let mut begun = Self::start(&here.join("ts-mls/member.mjs"), &here.join("../../target/ts-mls"))?;
        begun.ask(&json!({
            "do": "begin",
            "credential": text(credential.as_bytes()),
            "signingSeed": text(key.seed().expose()),
            "publicKey": text(key.public().as_bytes()),
            "mended": mended,
        }))?;
        Ok(begun)
    }

    fn start(program: &Path, modules: &Path) -> Result<Self, Failure> {
        if std::fs::read_to_string(modules.join("package-lock.json")).unwrap_or_default() != LOCK || !modules.join("node_modules").is_dir()
        {
            return Err(MISSING.into());
        }
        let mut node = Command::new("node")
            .arg(program)
            .arg(modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("node does not start ({error}): run .ci/install, or apt-get install nodejs npm"))?;
        let (Some(requests), Some(answers)) = (node.stdin.take(), node.stdout.take()) else {
            return Err("node has no pipes".into());
        };
        Ok(Self {
            node,
            requests,
            answers: BufReader::new(answers),
        })
    }

    fn ask(&mut self, request: &Value) -> Result<Value, Failure> {
        writeln!(self.requests, "{request}")?;
        self.requests.flush()?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("node ended; what it said is above".into());
        }
        let mut answer: Value = serde_json::from_str(&line)?;
        match answer["error"].as_str() {
            Some(error) => Err(format!("ts-mls: {error}").into()),
            None => Ok(answer["ok"].take()),
        }
    }
}

impl Drop for TsMls {
    fn drop(&mut self) {
        // It has nothing to lose; and nobody is left to be told.
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn bytes(value: &Value) -> Result<Vec<u8>, Failure> {
    Ok(STANDARD.decode(value.as_str().ok_or("bytes are missing")?)?)
}

fn number(value: &Value) -> Result<u64, Failure> {
    value.as_u64().ok_or_else(|| "a number is missing".into())
}

fn made(answer: &Value) -> Result<Made, Failure> {
    Ok(Made {
        commit: bytes(&answer["commit"])?,
        welcome: answer.get("welcome").map(bytes).transpose()?,
        group_info: bytes(&answer["groupInfo"])?,
    })
}

impl Mls for TsMls {
    fn key_package(&mut self, last_resort: bool) -> Result<Vec<u8>, Failure> {
        bytes(&self.ask(&json!({"do": "package", "lastResort": last_resort}))?["package"])
    }

    fn create(&mut self, group: ConversationId, charter: &Charter) -> Result<(), Failure> {
        let charter = text(&charter.encode()?);
        self.ask(&json!({"do": "create", "group": text(group.as_bytes()), "charter": charter}))?;
        Ok(())
    }

    fn commit(&mut self, group: ConversationId, change: &Change, authenticated: &[u8]) -> Result<Made, Failure> {
        let charter = change.charter.as_ref().map(Charter::encode).transpose()?;
        made(&self.ask(&json!({
            "do": "commit",
            "group": text(group.as_bytes()),
            "add": change.add.iter().map(|package| text(package)).collect::<Vec<_>>(),
            "remove": change.remove,
            "charter": charter.map(|charter| text(&charter)),
            "authenticated": text(authenticated),
        }))?)
    }

    fn enter(&mut self, group: ConversationId, group_info: &[u8], again: bool) -> Result<Made, Failure> {
        made(&self.ask(&json!({
            "do": "enter",
            "group": text(group.as_bytes()),
            "groupInfo": text(group_info),
            "authenticated": "",
            "again": again,
        }))?)
    }

    fn apply(&mut self, group: ConversationId) -> Result<(), Failure> {
        self.ask(&json!({"do": "apply", "group": text(group.as_bytes())})).map(drop)
    }

    fn withdraw(&mut self, group: ConversationId) -> Result<(), Failure> {
        self.ask(&json!({"do": "withdraw", "group": text(group.as_bytes())})).map(drop)
    }

    fn join(&mut self, group: ConversationId, welcome: &[u8]) -> Result<(), Failure> {
        let request = json!({"do": "join", "group": text(group.as_bytes()), "welcome": text(welcome)});
        self.ask(&request).map(drop)
    }

    fn process(&mut self, group: ConversationId, commit: &[u8]) -> Result<Processed, Failure> {
        let answer = self.ask(&json!({"do": "process", "group": text(group.as_bytes()), "commit": text(commit)}))?;
        Ok(Processed {
            out: answer["out"] == true,
            authenticated: bytes(&answer["authenticated"])?,
        })
    }

    fn open(&mut self, group: ConversationId, message: &[u8]) -> Result<Opened, Failure> {
        let answer = self.ask(&json!({"do": "open", "group": text(group.as_bytes()), "message": text(message)}))?;
        Ok(Opened {
            sender: u32::try_from(number(&answer["sender"])?)?,
            plaintext: bytes(&answer["plaintext"])?,
            authenticated: bytes(&answer["authenticated"])?,
        })
    }

    fn seal(&mut self, group: ConversationId, plaintext: &[u8], authenticated: &[u8]) -> Result<Vec<u8>, Failure> {
        let answer = self.ask(&json!({
            "do": "seal",
            "group": text(group.as_bytes()),
            "plaintext": text(plaintext),
            "authenticated": text(authenticated),
        }))?;
        bytes(&answer["message"])
    }

    fn view(&mut self, group: ConversationId) -> Result<View, Failure> {
        let answer = self.ask(&json!({"do": "view", "group": text(group.as_bytes())}))?;
        let leaf = |leaf: &Value| {
            let index = u32::try_from(number(&leaf["index"])?)?;
            Ok((index, Credential::verify(&bytes(&leaf["credential"])?)?))
        };
        let leaves = answer["leaves"].as_array().ok_or("leaves are missing")?;
        Ok(View {
            epoch: number(&answer["epoch"])?,
            charter: Charter::decode(&bytes(&answer["charter"])?)?,
            leaves: leaves.iter().map(leaf).collect::<Result<_, Failure>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_ts_mls_is_not_installed_the_line_that_installs_it_is_told() {
        let empty = tempfile::tempdir().unwrap();
        let missing = TsMls::start(Path::new("member.mjs"), empty.path()).err().unwrap().to_string();
        assert!(missing.contains("run .ci/install"), "{missing}");
    }

    #[test]
    fn a_program_that_ends_is_told_of() {
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/ts-mls");
        let mut node = TsMls::start(Path::new("/dev/null"), &modules).unwrap();
        // It ends before it reads, or after.
        let told = node.ask(&json!({"do": "view"})).unwrap_err().to_string().to_lowercase();
        assert!(told.contains("node ended") || told.contains("broken pipe"), "{told}");
    }
}
