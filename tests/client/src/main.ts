import assert from "node:assert/strict";

import { Client, Refused } from "./client.js";
import { graphql } from "./generated/gql.js";

const http = process.argv[2];
assert(http, "the first argument is the URL of the service");

const Login = graphql(`
  mutation Login($user: String!, $tenant: String) {
    developmentLogin(user: $user, tenant: $tenant) { token expiresAt }
  }
`);
const Register = graphql(`
  mutation Register($tenant: String!) {
    registerCompany(tenant: $tenant, name: "Client check") { __typename ... on Accepted { version } ... on Rejected { rule } }
  }
`);
const Draft = graphql(`
  mutation Draft($title: String!, $key: String) {
    draftProposal(
      input: { opportunityId: "036:X", title: $title, outline: [{ key: "approach", heading: "Approach" }] }
      conditions: { idempotencyKey: $key }
    ) { __typename ... on Accepted { id version repeated consistencyToken } ... on Rejected { rule reason } }
  }
`);
const Edit = graphql(`
  mutation Edit($id: UUID!, $content: String!, $basedOn: Int!) {
    editProposalSection(
      input: { proposalId: $id, section: "approach", heading: "Approach", content: $content, basedOn: $basedOn }
    ) { __typename ... on Accepted { version consistencyToken } ... on Rejected { rule } }
  }
`);
const Read = graphql(`
  query Read($id: UUID!) {
    proposal(id: $id) { title phase version sections { key content revision } createdBy }
    proposals(first: 10) { totalCount edges { cursor node { id } } }
    me { user tenant role }
  }
`);
const Changes = graphql(`
  subscription Changes($after: String) {
    proposalChanges(after: $after) { cursor kind proposalId section proposal { version } }
  }
`);

const anonymous = new Client(http);
const login = async (tenant?: string) => {
  const { developmentLogin } = await anonymous.sendDocument(Login, { user: "tess", tenant });
  return new Client(http, developmentLogin.token);
};
await (await login()).sendDocument(Register, { tenant: "client-check" });
const tess = await login("client-check");

await assert.rejects(
  anonymous.sendDocument(Draft, { title: "x" }),
  (error) => error instanceof Refused && error.code === "UNAUTHENTICATED",
);
const { draftProposal: drafted } = await tess.sendDocument(Draft, { title: "Beds", key: "first" });
assert(drafted.__typename === "Accepted");
const { draftProposal: repeated } = await tess.sendDocument(Draft, { title: "Beds", key: "first" });
assert(repeated.__typename === "Accepted" && repeated.repeated && repeated.id === drafted.id);

const { editProposalSection: edited } = await tess.sendDocument(Edit, { id: drafted.id, content: "We deliver.", basedOn: 0 });
assert(edited.__typename === "Accepted");
const { editProposalSection: stale } = await tess.sendDocument(Edit, { id: drafted.id, content: "Or not.", basedOn: 0 });
assert(stale.__typename === "Rejected" && stale.rule === "STALE_SECTION");

const read = await tess.sendDocument(Read, { id: drafted.id }, edited.consistencyToken);
assert.deepEqual(read.proposal?.sections, [{ key: "approach", content: "We deliver.", revision: 1 }]);
assert.equal(read.proposals.totalCount, 1);
assert.deepEqual(read.me, { user: "tess", tenant: "client-check", role: "ADMIN" });

// From before the first change, and then again after it: no change is missed or repeated.
const log = drafted.consistencyToken?.split(".")[0];
const kinds: string[] = [];
let cursor: string | undefined = `${log}.0`;
for (let round = 0; round < 2; round += 1) {
  for await (const { proposalChanges } of tess.subscribe(Changes, { after: cursor })) {
    kinds.push(proposalChanges.kind);
    cursor = proposalChanges.cursor;
    break;
  }
}
assert.deepEqual(kinds, ["proposal.drafted", "proposal.section_edited"]);
console.log("all checks passed");
