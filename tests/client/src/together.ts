import assert from "node:assert/strict";

import WebSocket from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

import { Client } from "./client.js";
import { graphql } from "./generated/gql.js";

const http = process.argv[2];
assert(http, "the first argument is the URL of the service");

const SignIn = graphql(`
  mutation SignIn($user: String!, $tenant: String) {
    developmentLogin(user: $user, tenant: $tenant) { token }
  }
`);
const Found = graphql(`
  mutation Found($tenant: String!) {
    registerCompany(tenant: $tenant, name: "Written together") { __typename }
  }
`);
const Join = graphql(`
  mutation Join($user: String!) {
    addCompanyMember(user: $user, role: CONTRIBUTOR) { __typename }
  }
`);
const Begin = graphql(`
  mutation Begin {
    draftProposal(
      input: { opportunityId: "036:X", title: "Together", outline: [{ key: "approach", heading: "Approach" }] }
    ) { __typename ... on Accepted { id } }
  }
`);
const Recorded = graphql(`
  query Recorded($id: UUID!) {
    proposal(id: $id) { sections { key content } }
  }
`);

const tenant = "written-together";
const signIn = async (user: string, tenant?: string) => {
  const { developmentLogin } = await new Client(http).sendDocument(SignIn, { user, tenant });
  return { token: developmentLogin.token, client: new Client(http, developmentLogin.token) };
};
await (await signIn("tess")).client.sendDocument(Found, { tenant });
const tess = await signIn("tess", tenant);
await tess.client.sendDocument(Join, { user: "toby" });
const toby = await signIn("toby", tenant);
const { draftProposal: begun } = await tess.client.sendDocument(Begin, {});
assert(begun.__typename === "Accepted");

/** An editor as a page has it: the standard provider of Yjs, and two subprotocols of the product. */
const editor = (token: string) => {
  const doc = new Y.Doc();
  const provider = new WebsocketProvider(`${http.replace("http", "ws")}/together`, begun.id, doc, {
    WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
    protocols: ["medhub-together", `bearer.${token}`],
    disableBc: true,
  });
  return { provider, text: doc.getText("approach") };
};
/** How long an expected condition may take, in milliseconds: the machine may be busy. */
const timeoutMs = 120_000;
const until = async (what: string, holds: () => boolean | Promise<boolean>) => {
  for (const end = Date.now() + timeoutMs; !(await holds()); await new Promise((done) => setTimeout(done, 50))) {
    assert(Date.now() < end, `not in time: ${what}`);
  }
};

const [one, two] = [editor(tess.token), editor(toby.token)];
await until("both are connected", () => one.provider.synced && two.provider.synced);
one.text.insert(0, "We deliver beds.");
await until("the second editor has the text", () => two.text.toString() === "We deliver beds.");

// Both write in the same section, one of them without a connection.
two.provider.disconnect();
await until("the second editor is disconnected", () => !two.provider.wsconnected);
two.text.insert(two.text.length, " Soon.");
one.text.insert(11, "hospital ");
two.provider.connect();
const merged = "We deliver hospital beds. Soon.";
await until("both editors have the merged text", () => one.text.toString() === merged && two.text.toString() === merged);

one.provider.awareness.setLocalStateField("user", { name: "Tess", color: "#30bced" });
const others = () => [...two.provider.awareness.getStates().values()] as { by?: string; user?: { name: string } }[];
const seesTess = () => others().some((state) => state.by === "tess" && state.user?.name === "Tess");
await until("the second editor has the first one's awareness", seesTess);

await until("the text is recorded", async () => {
  const { proposal } = await tess.client.sendDocument(Recorded, { id: begun.id });
  return proposal?.sections[0]?.content === merged;
});
one.provider.destroy();
await until("the first editor's awareness is removed", () => !others().some((state) => state.by === "tess"));
two.provider.destroy();
console.log("all edits merged");
process.exit(0);
