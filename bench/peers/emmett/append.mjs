// Executes commands on Emmett's event store: for each new stream one that discovers an opportunity and one that amends
// it. Prints a JSON line. Arguments: workload, commands in flight, connections, seconds of warm-up, seconds.
import { readFileSync } from "node:fs";

import { CommandHandler } from "@event-driven-io/emmett";
import { getPostgreSQLEventStore } from "@event-driven-io/emmett-postgresql";
import pg from "pg";

const [workload, inFlight, connections, warmUpS, measuredS] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const data = JSON.parse(readFileSync(workload, "utf8"));
const url = process.env.PEER_DATABASE_URL;
const pool = new pg.Pool({ connectionString: url, max: connections });
const store = getPostgreSQLEventStore(url, { connectionOptions: { pooled: true, pool } });
await store.schema.migrate();

const handle = CommandHandler({
  initialState: () => null,
  evolve: (_state, event) => event.data.facts,
});
const discover = (state) => {
  if (state) throw new Error("the opportunity exists");
  return { type: "opportunity.discovered", data };
};
const amend = (state) => {
  if (!state) throw new Error("the opportunity does not exist");
  return { type: "opportunity.amended", data: { ...data, facts: { ...state, title: `${state.title}!` } } };
};

let nextStream = 1;
const writeUntil = async (end, waits) => {
  while (performance.now() < end) {
    const stream = `opportunity-${nextStream++}`;
    for (const decide of [discover, amend]) {
      const start = performance.now();
      await handle(store, stream, decide);
      waits.push(performance.now() - start);
    }
  }
};
const measure = async (seconds) => {
  const [start, waits] = [performance.now(), []];
  await Promise.all(Array.from({ length: inFlight }, () => writeUntil(start + seconds * 1000, waits)));
  return { elapsedS: (performance.now() - start) / 1000, waits: waits.sort((one, other) => one - other) };
};

await measure(warmUpS);
const { elapsedS, waits } = await measure(measuredS);
const quantile = (share) => Number(waits[Math.min(waits.length - 1, Math.floor(waits.length * share))].toFixed(3));
const { rows } = await pool.query("select count(*)::int as events from emt_messages");
if (rows[0].events !== 2 * (nextStream - 1)) throw new Error(`${rows[0].events} events of ${nextStream - 1} streams`);
console.log(JSON.stringify({ events_per_s: waits.length / elapsedS, p50_ms: quantile(0.5), p99_ms: quantile(0.99) }));
await store.close();
await pool.end();
process.exit(0);
