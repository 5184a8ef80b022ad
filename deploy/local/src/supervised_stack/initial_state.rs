//! The initial state of a stack: its variables, with their secrets.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use uuid::Uuid;

use super::{ASSET_FOLDERS, OPERATOR_TOKEN_VARIABLE, StackConfig};
use crate::{
    engine::{EngineKind, LocalEngine as _},
    process::ProcessIdentity,
    service_port::{AllocatedPorts, ServicePort},
    stack_state::StackState,
};

/// The login that the schema registry requires for registering schemas, as `user:password`.
pub(super) const REGISTRY_LOGIN_VARIABLE: &str = "MEDHUB__REGISTRY__LOGIN";
const REGISTRY_USER: &str = "medhub";

/// Signs the tokens of the development login, which this stack allows.
const SIGNING_SECRET_VARIABLE: &str = "MEDHUB__AUTH__HS256_SECRET";
const DEVELOPMENT_LOGIN_VARIABLE: &str = "MEDHUB__AUTH__DEVELOPMENT_LOGIN";

/// Where mails go: into a folder of the stack, unless this is set outside.
const MAIL_TRANSPORT_VARIABLE: &str = "MEDHUB__MAIL__TRANSPORT";
/// Signs the links to unsubscribe in mails.
const UNSUBSCRIBE_SECRET_VARIABLE: &str = "MEDHUB__MAIL__UNSUBSCRIBE_SECRET";

/// The state before any process is started; `port_numbers` come from an earlier run.
pub(super) fn create_initial_state(
    options: &StackConfig,
    ports: &AllocatedPorts,
    mut port_numbers: BTreeMap<ServicePort, u16>,
) -> anyhow::Result<StackState> {
    let mut variables = BTreeMap::new();
    for &engine in &options.engines {
        let url = match options.urls.get(&engine) {
            Some(url) => url.clone(),
            None if engine == EngineKind::Registry => {
                let login = read_or_create_registry_login()?;
                let url = add_login(&engine.url(ports.number(engine.port())?), &login);
                variables.insert(REGISTRY_LOGIN_VARIABLE.to_owned(), login);
                url
            }
            None => engine.url(ports.number(engine.port())?),
        };
        variables.insert(engine.variable().to_owned(), url);
    }
    let mut http = None;
    if options.product {
        let listen = format!("127.0.0.1:{}", ports.number(ServicePort::Http)?);
        http = Some(format!("http://{listen}"));
        variables.insert("MEDHUB__HTTP__LISTEN".to_owned(), listen);
        variables.insert("MEDHUB__GRPC__LISTEN".to_owned(), format!("127.0.0.1:{}", ports.number(ServicePort::Grpc)?));
        let objects = options.settings.data_folder.join("objects").into_os_string().into_string();
        let objects = objects.map_err(|folder| anyhow!("{} is not UTF-8", folder.display()))?;
        variables.insert("MEDHUB__OBJECTS__DIR".to_owned(), objects);
        if std::env::var_os(MAIL_TRANSPORT_VARIABLE).is_none() {
            let mails = options.settings.data_folder.join("mails").into_os_string().into_string();
            let mails = mails.map_err(|folder| anyhow!("{} is not UTF-8", folder.display()))?;
            variables.insert(MAIL_TRANSPORT_VARIABLE.to_owned(), "folder".to_owned());
            variables.insert("MEDHUB__MAIL__FOLDER".to_owned(), mails);
            variables.extend(http.clone().map(|url| ("MEDHUB__MAIL__PUBLIC_URL".to_owned(), url)));
        }
        for secret in [OPERATOR_TOKEN_VARIABLE, SIGNING_SECRET_VARIABLE, UNSUBSCRIBE_SECRET_VARIABLE] {
            variables.insert(secret.to_owned(), read_or_create_secret(secret)?);
        }
        variables.insert(DEVELOPMENT_LOGIN_VARIABLE.to_owned(), "true".to_owned());
    }
    for (variable, artifact) in ASSET_FOLDERS {
        let folder =
            std::env::var_os(variable).unwrap_or_else(|| artifact.folder(&options.settings.cache).into_os_string());
        let folder = folder.into_string().map_err(|folder| anyhow!("{variable} is not UTF-8: {}", folder.display()))?;
        variables.insert(variable.to_owned(), folder);
    }
    port_numbers.extend(ports.numbers());
    let supervisor = ProcessIdentity::from_pid(std::process::id()).context("reading the identity of this process")?;
    Ok(StackState { supervisor, ready: false, ports: port_numbers, variables, http, processes: BTreeMap::new() })
}

/// The login from the environment, else a new one.
fn read_or_create_registry_login() -> anyhow::Result<String> {
    match std::env::var_os(REGISTRY_LOGIN_VARIABLE) {
        None => Ok(format!("{REGISTRY_USER}:{}", Uuid::new_v4().simple())),
        Some(login) => login.into_string().map_err(|_| anyhow!("{REGISTRY_LOGIN_VARIABLE} is not UTF-8")),
    }
}

/// The URL with a percent-encoded login in it, a form that every client of the registry accepts.
fn add_login(url: &str, login: &str) -> String {
    let escaped = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect()
    };
    let (name, password) = login.split_once(':').unwrap_or((login, ""));
    url.replacen("://", &format!("://{}:{}@", escaped(name), escaped(password)), 1)
}

/// The secret from the environment, else a new one. Only its owner can read the state file that contains it.
fn read_or_create_secret(variable: &str) -> anyhow::Result<String> {
    match std::env::var_os(variable) {
        None => Ok(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())),
        Some(secret) => secret.into_string().map_err(|_| anyhow!("{variable} is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_login_is_percent_encoded_in_a_url() {
        let url = super::add_login("http://127.0.0.1:8081", "medhub:p@ss:w/rd");
        assert_eq!(url, "http://medhub:p%40ss%3Aw%2Frd@127.0.0.1:8081");
    }
}
