import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

/** An error answer of the service. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(`${code}: ${message}`);
  }
}

type Answer<T> = { data?: T; errors?: { message: string; extensions?: { code?: string } }[] };

/** A typed client: documents carry the types of their variables and answers. */
export class Client {
  constructor(
    private readonly http: string,
    private readonly token?: string,
  ) {}

  /** Sends a query or a mutation; `since` is the consistency token of a change that the answer must include. */
  async sendDocument<T, V>(document: TypedDocumentNode<T, V>, variables: V, since?: string | null): Promise<T> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (this.token) headers.authorization = `Bearer ${this.token}`;
    const extensions = since ? { consistencyToken: since } : undefined;
    const body = JSON.stringify({ query: print(document), variables, extensions });
    const response = await fetch(`${this.http}/graphql`, { method: "POST", headers, body });
    const answer = (await response.json()) as Answer<T>;
    const error = answer.errors?.[0];
    if (error || !answer.data) throw new Refused(error?.extensions?.code ?? "NO_DATA", error?.message ?? response.statusText);
    return answer.data;
  }

  /** Yields the answers of a subscription until the caller stops. */
  async *subscribe<T, V extends Record<string, unknown>>(document: TypedDocumentNode<T, V>, variables: V): AsyncGenerator<T> {
    const socket = createClient({
      url: `${this.http.replace("http", "ws")}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${this.token}` },
    });
    try {
      for await (const answer of socket.iterate<T>({ query: print(document), variables })) {
        if (answer.data) yield answer.data;
      }
    } finally {
      await socket.dispose();
    }
  }
}
