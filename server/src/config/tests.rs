//! What a configuration file may say, and what is said about one that is wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::*;

/// A folder with a configuration file.
struct ConfigFile {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl ConfigFile {
    fn new(contents: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fulmar.toml");
        fs::write(&path, contents).unwrap();
        Self { path, _folder: folder }
    }
}

/// The refusal of a file, without the folder's random name.
fn refusal(contents: &str) -> String {
    let file = ConfigFile::new(contents);
    let error = Config::load(&file.path).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error.replace(&file.path.display().to_string(), "FILE")
}

fn example() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/fulmar.example.toml")
}

/// Every key with its value, `section.key` to text. Keys that are not set are there too.
fn keys(value: &serde_json::Value) -> BTreeMap<String, String> {
    let sections = value.as_object().unwrap();
    let keys = sections.iter().flat_map(|(section, keys)| {
        let keys = keys.as_object().unwrap();
        keys.iter().map(move |(key, value)| (format!("{section}.{key}"), value.to_string()))
    });
    keys.collect()
}

/// The example with the keys that it only shows, as comments, because setting one of them changes what the server is.
fn with_what_it_only_shows(text: &str) -> String {
    let is_key = |line: &&str| {
        let key = line.split_once(" = ").map(|(key, _)| key);
        key.is_some_and(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
    };
    let uncommented = |line| str::strip_prefix(line, "# ").filter(is_key).unwrap_or(line);
    text.lines().map(uncommented).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_has_every_key_with_its_default() {
    let text = with_what_it_only_shows(&fs::read_to_string(example()).unwrap());
    let shown = keys(&serde_json::to_value(toml::from_str::<toml::Table>(&text).unwrap()).unwrap());
    let defaults = keys(&serde_json::to_value(Config::default()).unwrap());
    let names = |keys: &BTreeMap<String, String>| keys.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&shown), names(&defaults));
    for (key, default) in defaults {
        // What has no default is shown with a path that somebody might use.
        assert!(default == "null" || shown[&key] == default, "{key} = {}, not {default}", shown[&key]);
    }
    let mut config = Config::load(&example()).unwrap();
    assert!(config.credentials().is_ok());
    (config.tls, config.auth.jwks) = (TlsConfig::default(), None);
    assert_eq!(config, Config::default());
}

#[test]
fn the_example_explains_every_key() {
    let text = fs::read_to_string(example()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (above, line) in lines.iter().zip(&lines[1..]) {
        assert!(above.starts_with('#') || !line.contains(" = ") || line.starts_with('#'), "{line}");
    }
}

#[test]
fn an_empty_file_is_the_default_and_the_default_is_in_range() {
    let file = ConfigFile::new("");
    assert_eq!(Config::load(&file.path).unwrap(), Config::default());
    assert!(Config::default().check().is_ok());
    assert!(Config::development().check().is_ok());
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    assert_eq!(
        refusal("[limits]\nsends_per_second = 5\nsends_per_secnd = 6\n"),
        "FILE, line 3 (limits.sends_per_secnd): unknown field `sends_per_secnd`, expected one of \
         `sends_per_second`, `sends_burst`, `conversations_started_per_hour`, `group_members_max`, \
         `stored_bytes_per_user_max`, `sessions_per_user_max`, `devices_per_user_max`, `blocked_users_max`, \
         `sessions_max`, `tickets_max`"
    );
    assert_eq!(
        refusal("\n[limit]\n"),
        "FILE, line 2 (limit): unknown field `limit`, expected one of `listen`, `tls`, `auth`, `store`, \
         `cluster`, `limits`, `log`"
    );
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_its_key() {
    assert_eq!(
        refusal("# limits\n[limits]\nsessions_max = \"many\"\n"),
        "FILE, line 3 (limits.sessions_max): invalid type: string \"many\", expected usize"
    );
    assert!(
        refusal("[listen]\naddress = \"nowhere\"\n").starts_with("FILE, line 2 (listen.address): "),
        "{}",
        refusal("[listen]\naddress = \"nowhere\"\n")
    );
    let negative = refusal("[limits]\nsends_per_second = -1\n");
    assert!(negative.starts_with("FILE, line 2 (limits.sends_per_second): "), "{negative}");
    assert_eq!(
        refusal("[log]\nformat = \"xml\"\n"),
        "FILE, line 2 (log.format): unknown variant `xml`, expected `text` or `json`"
    );
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    for broken in ["[log]\nfilter = \n", "[log]\nfilter = \"a\"\nfilter = \"b\"\n", "[log\n", "\u{0}"] {
        let error = refusal(broken);
        assert!(error.starts_with("FILE, line "), "{error}");
    }
    let file = ConfigFile::new("");
    fs::write(&file.path, [0xff, 0xfe]).unwrap();
    assert!(Config::load(&file.path).unwrap_err().to_string().ends_with(": not UTF-8 text"));
    let missing = Config::load(Path::new("/nonexistent/fulmar.toml")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read /nonexistent/fulmar.toml: "), "{missing}");
}

#[test]
fn a_value_out_of_range_is_refused_with_what_is_allowed() {
    assert_eq!(
        refusal("[limits]\nsends_per_second = 0\n"),
        "FILE: limits.sends_per_second is 0, and may be 1 to 1000000"
    );
    assert_eq!(
        refusal("[auth]\naudience = \"\"\n"),
        "FILE: auth.audience (its length in bytes) is 0, and may be 1 to 256"
    );
    for (section, key) in [
        ("limits", "sends_burst"),
        ("limits", "conversations_started_per_hour"),
        ("limits", "group_members_max"),
        ("limits", "stored_bytes_per_user_max"),
        ("limits", "sessions_per_user_max"),
        ("limits", "devices_per_user_max"),
        ("limits", "blocked_users_max"),
        ("limits", "sessions_max"),
        ("store", "cache_bytes"),
        ("store", "write_buffer_bytes"),
        ("store", "worker_threads"),
    ] {
        let error = refusal(&format!("[{section}]\n{key} = 0\n"));
        assert!(error.starts_with(&format!("FILE: {section}.{key} is 0, and may be ")), "{error}");
        let error = refusal(&format!("[{section}]\n{key} = {}\n", i64::MAX));
        assert!(error.contains(key), "{error}");
    }
    assert!(refusal("[auth]\nleeway_seconds = 301\n").ends_with("is 301, and may be 0 to 300"));
    assert!(refusal("[log]\nfilter = \"\"\n").contains("log.filter"));
}

#[test]
fn a_missing_credential_names_the_key_to_set() {
    let mut config = Config::default();
    let missing = |config: &Config| config.credentials().unwrap_err().to_string();
    assert_eq!(
        missing(&config),
        "tls.certificate is not set: name the server's certificate chain (PEM) in the configuration \
         (fulmar serve --config FILE), or use --dev for a trial"
    );
    config.tls.certificate = Some(PathBuf::from("c.pem"));
    assert!(missing(&config).starts_with("tls.key is not set: "));
    config.tls.key = Some(PathBuf::from("k.pem"));
    assert!(missing(&config).starts_with("auth.jwks is not set: "));
    config.auth.jwks = Some(PathBuf::from("jwks.json"));
    assert!(config.credentials().is_ok());
}

#[test]
fn paths_are_taken_from_the_folder_of_the_file() {
    let file = ConfigFile::new(
        "[tls]\ncertificate = \"tls/cert.pem\"\nkey = \"/secret/key.pem\"\n[auth]\njwks = \"jwks.json\"\n",
    );
    let credentials = Config::load(&file.path).unwrap().credentials().unwrap();
    let folder = file.path.parent().unwrap();
    assert_eq!(credentials.certificate, folder.join("tls/cert.pem"));
    assert_eq!(credentials.key, PathBuf::from("/secret/key.pem"));
    assert_eq!(credentials.jwks, folder.join("jwks.json"));
}

/// A node with everything that it needs.
const NODE: &str = "[cluster]\nlisten = \"10.0.0.1:4434\"\ncertificate = \"n.pem\"\nkey = \"n.key\"\n\
                    authority = \"a.pem\"\n";

#[test]
fn a_node_of_a_cluster_is_configured_in_one_section() {
    let all = format!(
        "{NODE}client_addresses = [\"chat-1.example.org:4433\"]\nserver_id = 7\nsecret = \"secret\"\n\
         plain_connection_ids = true\nadvertise = \"10.0.0.9:4434\"\n"
    );
    let file = ConfigFile::new(&all);
    let cluster = Config::load(&file.path).unwrap().cluster;
    assert!(cluster.is_on());
    assert_eq!(cluster.advertised(), Some(([10, 0, 0, 9], 4434).into()));
    assert_eq!(cluster.addresses_for_clients().unwrap().len(), 1);
    assert_eq!(cluster.secret, Some(file.path.parent().unwrap().join("secret")));
    assert!(!ClusterConfig::default().is_on());
}

#[test]
fn what_does_not_go_together_in_a_cluster_is_refused_in_one_line() {
    for (contents, part) in [
        ("[cluster]\nserver_id = 7\n".to_owned(), "cluster.server_id is set, cluster.secret is not"),
        (
            "[cluster]\nlisten = \"10.0.0.1:1\"\n".to_owned(),
            "cluster.listen is set, cluster.certificate is not",
        ),
        ("[cluster]\ncertificate = \"c\"\n".to_owned(), "cluster.certificate is set, cluster.listen is not"),
        (
            "[cluster]\nadvertise = \"10.0.0.1:1\"\n".to_owned(),
            "cluster.advertise is set, cluster.listen is not",
        ),
        (NODE.replace("key = \"n.key\"\n", ""), "cluster.listen is set, cluster.key is not"),
        (NODE.replace("10.0.0.1", "0.0.0.0"), "cluster.listen is on all addresses"),
        (format!("{NODE}advertise = \"10.0.0.1:0\"\n"), "cluster.advertise has port 0"),
        (format!("{NODE}client_addresses = [\"chat\"]\n"), "\"chat\" is not HOST:PORT"),
        (format!("{NODE}plain_connection_ids = true\n"), "cluster.plain_connection_ids is set"),
        (
            format!("{NODE}client_addresses = {:?}\n", ["a:1"; 5]),
            "cluster.client_addresses (their number) is 5, and may be 0 to 4",
        ),
    ] {
        let error = refusal(&contents);
        assert!(error.starts_with("FILE: ") && error.contains(part), "{error}");
    }
}
