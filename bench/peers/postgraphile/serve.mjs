// Serves a schema of Postgres with PostGraphile's recommended preset. Arguments: schema, port, connections.
import { createServer } from "node:http";

import pg from "pg";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";

const [schema, port, connections] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: Number(connections) });
const instance = postgraphile({
  extends: [PostGraphileAmberPreset],
  grafserv: { graphiql: false, watch: false },
  pgServices: [makePgService({ pool, schemas: [schema] })],
});
const server = createServer();
await instance.createServ(grafserv).addTo(server);
server.listen(Number(port), "127.0.0.1");
