// Editors of one shared text, each with the standard provider of Yjs: one types, and the others note when they have its
// changes. Prints a JSON line. Arguments: URL, room, subprotocols, editors, edits per second, seconds, edits at full speed.
import WebSocket from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

const [url, room, protocols] = process.argv.slice(2, 5);
const [editorCount, rate, seconds, fastEdits] = process.argv.slice(5).map(Number);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const timeoutMs = 60_000;
// Edits at full speed that some editor does not have yet.
const maxPending = 16;

const editors = Array.from({ length: editorCount }, () => {
  const doc = new Y.Doc();
  const options = { WebSocketPolyfill: WebSocket, protocols: protocols.split(",").filter(Boolean), disableBc: true };
  return { provider: new WebsocketProvider(url, room, doc, options), text: doc.getText("approach"), seen: 0 };
});
const [writer, ...readers] = editors;

const sentAt = [];
let waits = [];
let whenSeen = () => {};
for (const reader of readers) {
  reader.text.observe(() => {
    const now = performance.now();
    for (; reader.seen < reader.text.length; reader.seen++) waits.push(now - sentAt[reader.seen]);
    whenSeen();
  });
}
const type = () => {
  sentAt.push(performance.now());
  writer.text.insert(writer.text.length, "x");
};
const slowest = () => Math.min(...readers.map((reader) => reader.seen));
const untilSeen = async (edits) => {
  const end = performance.now() + timeoutMs;
  while (slowest() < edits) {
    if (performance.now() > end) throw new Error(`an editor has ${slowest()} of ${edits} edits`);
    await new Promise((done) => {
      whenSeen = done;
      setTimeout(done, 1_000);
    });
  }
};

for (const end = performance.now() + timeoutMs; editors.some(({ provider }) => !provider.synced); await sleep(20)) {
  if (performance.now() > end) throw new Error("not every editor is connected");
}
for (let edit = 0; edit < 200; edit++) {
  type();
  if (edit % maxPending === 0) await untilSeen(sentAt.length);
}
await untilSeen(sentAt.length);

waits = [];
const start = performance.now();
for (let edit = 0; edit < rate * seconds; edit++) {
  await sleep(start + (edit * 1_000) / rate - performance.now());
  type();
}
await untilSeen(sentAt.length);
const steady = [...waits].sort((one, other) => one - other);
const quantile = (share) => Number(steady[Math.min(steady.length - 1, Math.floor(steady.length * share))].toFixed(3));

const fastStart = performance.now();
for (let edit = 0; edit < fastEdits; edit++) {
  type();
  if (sentAt.length - slowest() >= maxPending) await untilSeen(sentAt.length - maxPending + 1);
}
await untilSeen(sentAt.length);
const fastS = (performance.now() - fastStart) / 1_000;
console.log(JSON.stringify({ p50_ms: quantile(0.5), p99_ms: quantile(0.99), edits_per_s: fastEdits / fastS }));
process.exit(0);
