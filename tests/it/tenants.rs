//! What companies do with what they own, as frontends and machines see it: over a running stack, with tokens and keys.

mod cost;
mod documents;
mod identity;
mod isolation;
mod proposals;
mod search;
mod together;
mod told;

use serde_json::{Value, json};
use tests::Stack;

/// Somebody who signed in.
pub(crate) struct Person<'a> {
    stack: &'a Stack,
    pub(crate) token: String,
}

impl<'a> Person<'a> {
    /// Signs in by the stack's development login.
    pub(crate) async fn login(stack: &'a Stack, user: &str, tenant: Option<&str>) -> Self {
        let login =
            "mutation($user: String!, $tenant: String) { developmentLogin(user: $user, tenant: $tenant) { token } }";
        let answer = stack.graphql_with(None, login, json!({ "user": user, "tenant": tenant })).await;
        let token = answer["data"]["developmentLogin"]["token"].as_str();
        Self { stack, token: token.unwrap_or_else(|| panic!("{answer}")).to_owned() }
    }

    /// Founds a company and acts for it.
    pub(crate) async fn found(stack: &'a Stack, user: &str, tenant: &str) -> Self {
        let founder = Self::login(stack, user, None).await;
        let register = "mutation($tenant: String!) { outcome: registerCompany(tenant: $tenant, name: \"A company\") {
            ... on Accepted { version } ... on Rejected { rule } } }";
        assert_eq!(founder.done(register, json!({ "tenant": tenant })).await, json!({ "version": 1 }));
        Self::login(stack, user, Some(tenant)).await
    }

    /// Lets somebody else belong to the company, and signs them in.
    pub(crate) async fn joined_by(&self, user: &str, role: &str, tenant: &str) -> Self {
        let add = format!(
            "mutation($user: String!) {{ outcome: addCompanyMember(user: $user, role: {role}) {{
            ... on Accepted {{ version }} ... on Rejected {{ rule }} }} }}"
        );
        let outcome = self.done(&add, json!({ "user": user })).await;
        assert!(outcome["version"].is_u64(), "{outcome}");
        Self::login(self.stack, user, Some(tenant)).await
    }

    pub(crate) async fn ask(&self, document: &str, variables: Value) -> Value {
        self.stack.graphql_with(Some(&self.token), document, variables).await
    }

    /// What became of a change, by the name `outcome`.
    pub(crate) async fn done(&self, document: &str, variables: Value) -> Value {
        let answer = self.ask(document, variables).await;
        assert!(answer["errors"].is_null(), "{document}: {answer}");
        answer["data"]["outcome"].clone()
    }

    /// Changes something that has to be accepted; what follows shows it.
    pub(crate) async fn change(&self, field: &str, variables: Value) -> Done {
        let document = format!(
            "mutation{} {{ outcome: {field} {{ ... on Accepted {{ id version consistencyToken }}
            ... on Rejected {{ rule reason }} }} }}",
            declared(&variables)
        );
        let outcome = self.done(&document, variables).await;
        let text = |name: &str| outcome[name].as_str().unwrap_or_else(|| panic!("{field}: {outcome}")).to_owned();
        Done { id: text("id"), token: text("consistencyToken"), version: outcome["version"].as_u64().unwrap() }
    }

    /// Asks for what is at least as new as a change, and as everything before it.
    pub(crate) async fn see(&self, since: &Done, document: &str, variables: Value) -> Value {
        let body = json!({ "query": document, "variables": variables, "extensions": { "consistencyToken": everything(&since.token) } });
        let request = reqwest::Client::new().post(format!("{}/graphql", self.stack.http())).json(&body);
        let answer: Value = request.bearer_auth(&self.token).send().await.unwrap().json().await.unwrap();
        assert!(answer["errors"].is_null(), "{document}: {answer}");
        answer["data"].clone()
    }
}

/// A token for everything up to a change, where its own is for what happened to the same thing.
pub(crate) fn everything(token: &str) -> String {
    token.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

/// A change that is on record.
pub(crate) struct Done {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) version: u64,
}

/// Variables as a document declares them: by the types that their names end with, `id` being a UUID.
fn declared(variables: &Value) -> String {
    let types = |name: &str| match name {
        "id" | "commentId" => "UUID!",
        "basedOn" => "Int!",
        _ => "String!",
    };
    let list: Vec<_> = variables.as_object().unwrap().keys().map(|name| format!("${name}: {}", types(name))).collect();
    if list.is_empty() { String::new() } else { format!("({})", list.join(", ")) }
}

/// The code of an answer's first error.
pub(crate) fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{answer}"))
}
