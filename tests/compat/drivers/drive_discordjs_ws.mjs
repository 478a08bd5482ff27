// @discordjs/ws as a bot's author runs it, telling on stdout, one JSON object a line, what it was given.
// Run by `compatibility.driver_process` with the packages that `npm ci` installed: knows nothing of this repository.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const config = JSON.parse(process.argv[2]);
const require = createRequire(join(process.env.COMPAT_NODE_PACKAGES, 'package.json'));
const { REST } = require('@discordjs/rest');
const { CompressionMethod, WebSocketManager, version } = require('@discordjs/ws');

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const named = new Set(['GUILD_CREATE', 'GUILD_UPDATE', 'GUILD_DELETE']);
const ALL_INTENTS = 53608447;
const closeCodes = new Map();
const sessions = new Map();

// rest_url is https://host:port/api/v10; the library adds the version itself.
const rest = new REST({ api: new URL('.', config.rest_url).href.replace(/\/$/, ''), version: '10' });
rest.setToken(config.token);
const manager = new WebSocketManager({
  token: config.token,
  intents: ALL_INTENTS,
  rest,
  compression: config.compression === 'none' ? null : CompressionMethod.ZlibNative,
});

manager.on('dispatch', (payload, shard) => {
  const { d, s, t } = payload;
  if (t === 'READY') sessions.set(shard, d.session_id);
  tell({
    kind: 'dispatch',
    number: d.event_number,
    type: t,
    shard,
    session: sessions.get(shard),
    seq: s,
    guild: (named.has(t) ? d.id : d.guild_id) ?? null,
  });
  if (t === 'GUILD_MEMBERS_CHUNK') {
    tell({ kind: 'members', guild: d.guild_id, users: d.members.map((member) => member.user.id), nonce: d.nonce });
  }
});
manager.on('closed', (code, shard) => closeCodes.set(shard, code));
manager.on('error', (error, shard) => {
  const code = closeCodes.get(shard);
  tell(code === undefined ? { kind: 'error', error: String(error) } : { kind: 'refused', report: error.message, code });
});

const SHARD_BITS = 22n;
createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const order = JSON.parse(line);
    const shard = Number((BigInt(order.guild) >> SHARD_BITS) % BigInt(await manager.getShardCount()));
    await manager.send(shard, { op: 8, d: { guild_id: order.guild, user_ids: order.users, limit: 0, nonce: order.nonce } });
  })
  .on('close', async () => {
    await manager.destroy();
    process.exit(0);
  });

tell({ kind: 'library', version });
await manager.connect();
