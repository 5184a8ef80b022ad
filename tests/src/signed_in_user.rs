//! A user of the product who signs in, and acts over GraphQL.

use serde_json::{Value, json};

use crate::ProductHandle;

/// A signed-in user of the product.
#[derive(Debug)]
pub struct SignedInUser<'a> {
    /// The product that the user signed in to.
    pub product: &'a ProductHandle,
    /// The bearer token.
    pub token: String,
}

impl<'a> SignedInUser<'a> {
    /// Signs in through the development login, for a company if `tenant` names one.
    ///
    /// # Panics
    /// If the product refuses it.
    pub async fn login(product: &'a ProductHandle, user: &str, tenant: Option<&str>) -> Self {
        let login =
            "mutation($user: String!, $tenant: String) { developmentLogin(user: $user, tenant: $tenant) { token } }";
        let answer = product.send_graphql_as(None, login, json!({ "user": user, "tenant": tenant })).await;
        let token = answer["data"]["developmentLogin"]["token"].as_str();
        Self { product, token: token.unwrap_or_else(|| panic!("{answer}")).to_owned() }
    }

    /// Registers a company and signs in for it.
    ///
    /// # Panics
    /// If the product refuses it.
    pub async fn register_company(product: &'a ProductHandle, user: &str, tenant: &str) -> Self {
        let founder = Self::login(product, user, None).await;
        let register = "mutation($tenant: String!) { outcome: registerCompany(tenant: $tenant, name: \"A company\") {
            ... on Accepted { version } ... on Rejected { rule } } }";
        assert_eq!(founder.send_mutation(register, json!({ "tenant": tenant })).await, json!({ "version": 1 }));
        Self::login(product, user, Some(tenant)).await
    }

    /// Adds a member to the company, and signs them in.
    ///
    /// # Panics
    /// If the product refuses it.
    pub async fn add_member(&self, user: &str, role: &str, tenant: &str) -> Self {
        let add = format!(
            "mutation($user: String!) {{ outcome: addCompanyMember(user: $user, role: {role}) {{
            ... on Accepted {{ version }} ... on Rejected {{ rule }} }} }}"
        );
        let outcome = self.send_mutation(&add, json!({ "user": user })).await;
        assert!(outcome["version"].is_u64(), "{outcome}");
        Self::login(self.product, user, Some(tenant)).await
    }

    /// Sends a GraphQL document with this user's token.
    ///
    /// # Panics
    /// If the product does not answer in JSON.
    pub async fn send_document(&self, document: &str, variables: Value) -> Value {
        self.product.send_graphql_as(Some(&self.token), document, variables).await
    }

    /// Sends a mutation and returns its field `outcome`, accepted or rejected.
    ///
    /// # Panics
    /// If the answer has errors.
    pub async fn send_mutation(&self, document: &str, variables: Value) -> Value {
        let answer = self.send_document(document, variables).await;
        assert!(answer["errors"].is_null(), "{document}: {answer}");
        answer["data"]["outcome"].clone()
    }

    /// Sends a mutation that has to be accepted.
    ///
    /// # Panics
    /// If it is not.
    pub async fn apply_change(&self, field: &str, variables: Value) -> AcceptedChange {
        let document = format!(
            "mutation{} {{ outcome: {field} {{ ... on Accepted {{ id version consistencyToken }}
            ... on Rejected {{ rule reason }} }} }}",
            variable_declarations(&variables)
        );
        let outcome = self.send_mutation(&document, variables).await;
        let text = |name: &str| outcome[name].as_str().unwrap_or_else(|| panic!("{field}: {outcome}")).to_owned();
        AcceptedChange {
            id: text("id"),
            token: text("consistencyToken"),
            version: outcome["version"].as_u64().unwrap_or_else(|| panic!("{field}: {outcome}")),
        }
    }

    /// Sends a query whose answer includes a change and everything before it.
    ///
    /// # Panics
    /// If the answer has errors.
    pub async fn query_since(&self, since: &AcceptedChange, document: &str, variables: Value) -> Value {
        let since = token_for_everything_until(&since.token);
        let answer = self.product.send_graphql_since_as(&self.token, &since, document, variables).await;
        assert!(answer["errors"].is_null(), "{document}: {answer}");
        answer["data"].clone()
    }
}

/// A consistency token for everything up to a change; the change's own token covers one aggregate.
pub fn token_for_everything_until(token: &str) -> String {
    token.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

/// A change that the product accepted.
#[derive(Debug, Clone)]
pub struct AcceptedChange {
    /// The aggregate.
    pub id: String,
    /// The consistency token.
    pub token: String,
    /// The aggregate's version after it.
    pub version: u64,
}

/// The declarations of a document's variables, whose types follow from their names.
fn variable_declarations(variables: &Value) -> String {
    let graphql_type = |name: &str| match name {
        "id" | "commentId" => "UUID!",
        "basedOn" => "Int!",
        _ => "String!",
    };
    let declarations: Vec<_> = variables
        .as_object()
        .into_iter()
        .flat_map(|names| names.keys())
        .map(|name| format!("${name}: {}", graphql_type(name)))
        .collect();
    if declarations.is_empty() { String::new() } else { format!("({})", declarations.join(", ")) }
}

/// The code of an answer's first error.
///
/// # Panics
/// If it has none.
pub fn error_code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{answer}"))
}
