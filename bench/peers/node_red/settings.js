// Node-RED without its editor; the flow's function finds a pool of PostgreSQL here.
const { Pool } = require("pg");

module.exports = {
  flowFile: "flow.json",
  credentialSecret: false,
  httpAdminRoot: false,
  httpNodeRoot: false,
  disableEditor: true,
  uiHost: "127.0.0.1",
  uiPort: Number(process.env.PEER_PORT),
  logging: { console: { level: "warn" } },
  functionGlobalContext: { pool: new Pool({ connectionString: process.env.PEER_DATABASE, max: 4 }) },
};
