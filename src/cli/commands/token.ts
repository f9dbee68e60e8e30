import { defineCommand } from 'citty';
import { type Role, roles } from '../../mcp/connection.ts';
import { mintToken } from '../../mcp/http/bearer.ts';
import { cliCaller } from '../approve-here.ts';
import { usage } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { note } from '../output.ts';
import { table } from '../render.ts';
import { whole } from '../whole.ts';

const dayMs = 24 * 60 * 60_000;
const named = {
  type: 'positional',
  required: true,
  description: 'name of whoever gets it: runs that it starts belong to token:NAME',
} as const;

const add = command(
  'add',
  'Make a bearer token for serve --http; it is shown this once',
  {
    name: named,
    role: { type: 'string', required: true, description: `One of: ${roles.join(', ')}; each may do what those before it may` },
    targets: { type: 'string', valueHint: 'A,B', description: 'Only these targets, and runs about them. Default: all' },
    days: { type: 'string', valueHint: 'N', description: 'How long it is good for. Default: until it is revoked' },
  },
  ({ name, role, targets, days }, raw) =>
    withApp(async ({ tokens, operations }) => {
      const at = 'capstan token add';
      if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
        throw usage(at, 'The name has letters, digits, dots, hyphens and underscores, at most 64.');
      if (!isRole(role)) throw usage(at, `--role is one of: ${roles.join(', ')}.`);
      const list = targets === undefined ? null : targets.split(',').filter((each) => each !== '');
      if (list?.length === 0) throw usage(at, '--targets names at least one target.');
      const expiresAt = days === undefined ? null : Date.now() + whole(at, 'days', days, 3_650) * dayMs;
      const { id, token, hash } = mintToken();
      await tokens.add({ id, name, hash, role, targets: list, expiresAt });
      await operations.note(`token add ${name} as ${role}`, cliCaller());
      // The one line that no scrubber may touch: it is shown once and kept nowhere.
      process.stdout.write(`${raw.includes('--json') ? JSON.stringify({ name, role, targets: list ?? 'all', token }) : token}\n`);
      note(`This token is not kept and not shown again. Clients send it in a header: Authorization: Bearer TOKEN.`);
      return { exit: exitCodes.ok, json: undefined, text: '' };
    }),
);

const list = command('list', 'List the bearer tokens; none of them is shown', {}, () =>
  withApp(async ({ tokens }) => {
    const rows = (await tokens.list()).map(({ id, name, role, targets, createdAt, expiresAt, revokedAt }) => ({
      name,
      id,
      role,
      targets: targets ?? 'all',
      state: revokedAt !== null ? 'revoked' : expiresAt !== null && expiresAt <= Date.now() ? 'expired' : 'in force',
      createdAt: new Date(createdAt).toISOString(),
      expiresAt: expiresAt === null ? null : new Date(expiresAt).toISOString(),
    }));
    return {
      exit: exitCodes.ok,
      json: { tokens: rows },
      text: table(rows, ['name', 'role', 'targets', 'state', 'createdAt', 'expiresAt']),
    };
  }),
);

const revoke = command('revoke', 'Make a bearer token worthless at once', { name: named }, ({ name }) =>
  withApp(async ({ tokens, operations }) => {
    await tokens.revoke(name);
    await operations.note(`token revoke ${name}`, cliCaller());
    return { exit: exitCodes.ok, json: { revoked: name }, text: `Revoked the token ${name}.` };
  }),
);

function isRole(text: string): text is Role {
  return roles.some((role) => role === text);
}

export const token = defineCommand({
  meta: { name: 'token', description: 'Bearer tokens for serve --http' },
  subCommands: { add, list, revoke },
});
