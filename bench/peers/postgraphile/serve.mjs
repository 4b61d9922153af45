// PostGraphile 5 as its documentation sets it up, on node's own http server. PORT and DATABASE_URL come from the environment.
import { createServer } from "node:http";
import { grafserv } from "postgraphile/grafserv/node";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";

const preset = {
  extends: [PostGraphileAmberPreset],
  pgServices: [makePgService({ connectionString: process.env.DATABASE_URL, schemas: ["public"], poolConfig: { max: 16 } })],
  grafserv: { port: Number(process.env.PORT), host: "127.0.0.1", watch: false, graphiql: false },
  grafast: { explain: false },
};
const service = grafserv({ preset, ...await schemaOf(preset) });
const server = createServer();
await service.addTo(server);
server.listen(preset.grafserv.port, "127.0.0.1", () => console.log("listening"));

async function schemaOf(given) {
  const made = postgraphile(given);
  return { schema: await made.getSchema(), preset: made.getResolvedPreset() };
}
