use super::*;
use clap::Parser;
use std::ffi::OsString;

fn load(line: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let cli = Cli::try_parse_from(line.split(' ')).expect("the command line parses");
    let get = |key| environment.iter().find(|(k, _)| *k == key).map(|(_, value)| OsString::from(value));
    Config::load(cli.command, Layer::from_environment(get)?)
}

fn process(config: Config) -> Process {
    match config {
        Config::Server(process) | Config::Balancer(process) | Config::Agent(process, _) => process,
        Config::Migrate(_) => panic!("not a process"),
    }
}

fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fastchatd.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    (folder, path)
}

#[test]
fn a_flag_beats_the_environment_beats_the_file() {
    let (_folder, path) = file(
        "name = 'file'\ncontrol = 'http://127.0.0.9:1'\ntoken_file = '/file'\nstate = '/file'\n[log]\nlevel = 'warn'\nformat = 'json'",
    );
    let environment = [
        ("FASTCHAT_NAME", "env"),
        ("FASTCHAT_STATE", "/env"),
        ("FASTCHAT_LOG_LEVEL", "debug"),
    ];
    let got = process(load(&format!("fastchatd server --config {path} --name flag"), &environment).unwrap());
    assert_eq!(got.name, "flag");
    assert_eq!(got.state, Path::new("/env"));
    assert_eq!(got.log.level, "debug");
    assert_eq!(got.log.format, LogFormat::Json);
    let control = Source::Control {
        url: "http://127.0.0.9:1".into(),
        token_file: "/file".into(),
    };
    assert_eq!(got.source, control);
}

#[test]
fn the_file_may_be_named_by_the_environment() {
    let (_folder, path) = file("name = 'b1'\nspec = '/b1.json'");
    let got = process(load("fastchatd balancer", &[("FASTCHAT_CONFIG", &path)]).unwrap());
    assert_eq!((got.name.as_str(), got.role), ("b1", Role::Balancer));
}

#[test]
fn the_source_of_the_spec_is_one_decision() {
    let (_folder, path) = file("control = 'http://127.0.0.9:1'\ntoken_file = '/file'");
    let got = process(load(&format!("fastchatd server --config {path} --name s1 --spec /s1.json"), &[]).unwrap());
    assert_eq!(got.source, Source::File("/s1.json".into()));
    let both = [("FASTCHAT_CONTROL", "http://localhost:1"), ("FASTCHAT_SPEC", "/s1.json")];
    assert_eq!(load("fastchatd server --name s1", &both), Err(ConfigError::TwoSources));
}

#[test]
fn an_empty_variable_says_nothing() {
    assert_eq!(
        load("fastchatd server --spec /x", &[("FASTCHAT_NAME", "")]),
        Err(ConfigError::Missing("--name"))
    );
}

#[test]
fn folders_follow_the_data_folder_and_the_name() {
    let Config::Agent(process, agent) = load("fastchatd agent --name host-1 --spec x --data /data --stop-children", &[]).unwrap() else {
        panic!("not an agent")
    };
    assert_eq!(process.state, Path::new("/data/processes/host-1"));
    assert_eq!(agent.data, Path::new("/data"));
    assert!(agent.stop_children);
    let server = self::process(load("fastchatd server --name s1 --spec x", &[]).unwrap());
    assert!(server.state.is_absolute() && server.state.ends_with("fastchat-data/processes/s1"));
}

#[test]
fn whatever_is_wrong_is_named() {
    let wrong = |line: &str, environment: &[(&str, &str)], words: &str| {
        let error = load(line, environment).unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    };
    wrong(
        "fastchatd server --name s1",
        &[],
        "--control (with --token-file) or --spec is missing",
    );
    wrong("fastchatd server --name s1 --control https://a:1", &[], "--token-file is missing");
    wrong(
        "fastchatd server --name s1 --control ftp://a:1 --token-file x",
        &[],
        "give http://HOST:PORT",
    );
    wrong(
        "fastchatd server --name s1 --control http://a:1 --token-file x",
        &[],
        "--allow-plaintext on a network that you trust",
    );
    wrong(
        "fastchatd server --name s1 --spec x --tls-key k",
        &[],
        "--tls-certificate is missing",
    );
    wrong(
        "fastchatd server --name s1 --spec x --tls-certificate c",
        &[],
        "--tls-key is missing",
    );
    wrong(
        "fastchatd server --name s1 --spec x --tls-certificate c --tls-key k",
        &[],
        "--tls-name is missing",
    );
    wrong(
        "fastchatd server --name s1 --spec x --tls-certificate c --tls-key k",
        &[("FASTCHAT_TLS_NAME", "not a name")],
        "--tls-name can't be",
    );
    wrong("fastchatd server --name ../s1 --spec x", &[], "--name can't be");
    wrong(
        "fastchatd server --name s1 --spec x --log-level loud=9",
        &[],
        "--log-level can't be",
    );
    wrong(
        "fastchatd server --name s1 --spec x --log-level verbose",
        &[],
        "--log-level can't be",
    );
    wrong("fastchatd server --config /nowhere/x.toml", &[], "check --config");
    wrong("fastchatd migrate", &[], "--database is missing");
    wrong(
        "fastchatd agent --name h --spec x",
        &[("FASTCHAT_STOP_CHILDREN", "si")],
        "FASTCHAT_STOP_CHILDREN is wrong",
    );
    let (_folder, path) = file("name = 's1'\nspeck = 'x'");
    wrong(&format!("fastchatd server --config {path}"), &[], "line 2: unknown field `speck`");
    let (_folder, path) = file("name = 's1'\nstop_children = 'x'");
    wrong(&format!("fastchatd server --config {path}"), &[], "line 2: ");
}

#[test]
fn what_an_agent_is_told_of_tls_its_instances_are_told_too() {
    let (_folder, path) = file(
        "name = 'h1'\nspec = '/h1.json'\nallow_plaintext = true\n[tls]\ncertificate = '/c.pem'\nkey = '/k.pem'\nname = 'file.example.org'",
    );
    let agent = process(
        load(
            &format!("fastchatd agent --config {path} --tls-ca /ca.pem"),
            &[("FASTCHAT_TLS_NAME", "chat.example.org")],
        )
        .unwrap(),
    );
    let flags: Vec<_> = agent
        .protection
        .flags()
        .into_iter()
        .map(|flag| flag.into_string().unwrap())
        .collect();
    let line = format!("fastchatd server --name s1 --spec /s1.json {}", flags.join(" "));
    let server = process(load(&line, &[]).unwrap());
    assert_eq!(server.protection, agent.protection);
    assert_eq!(server.protection.tls.unwrap().name, "chat.example.org");
    assert_eq!(
        process(load("fastchatd server --name s1 --spec x", &[]).unwrap()).protection,
        Protection::default()
    );
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}
