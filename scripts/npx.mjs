// `npx capstan-mcp` as a stranger types it: the packed tarball, an empty folder, an empty home; a real MCP client gets its first answers,
// and nothing but our own words may stand on standard error. `npm run test:npx`.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const root = fileURLToPath(new URL('../', import.meta.url));
const windows = process.platform === 'win32';
const npm = windows ? 'npm.cmd' : 'npm';
const npx = windows ? 'npx.cmd' : 'npx';
/** A cold start installs everything and may compile the native module. */
const patienceMs = 10 * 60_000;

const folder = mkdtempSync(join(tmpdir(), 'capstan-npx-'));
try {
  const packed = execFileSync(npm, ['pack', '--json', '--loglevel=error', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
    shell: windows,
  });
  // The build of `prepack` may speak before the JSON.
  const [{ filename, version }] = JSON.parse(packed.slice(packed.indexOf('[')));
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  const began = performance.now();
  const transport = new StdioClientTransport({
    command: npx,
    // What the registry would send, under the name by which people call it.
    args: ['--yes', '--loglevel=error', '--package', join(folder, filename), 'capstan-mcp'],
    cwd: empty,
    env: { ...process.env, npm_config_cache: join(folder, 'cache'), CAPSTAN_HOME: join(folder, 'home'), CAPSTAN_LOG: 'warn' },
    stderr: 'pipe',
  });
  let said = '';
  transport.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const client = new Client({ name: 'npx', version: '1' });
  await client.connect(transport, { timeout: patienceMs }).catch((cause) => {
    throw new Error(`nobody answered; standard error says:\n${said}`, { cause });
  });
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  const { tools } = await client.listTools();
  const { structuredContent } = await client.callTool({ name: 'list_workflows', arguments: {} });
  const server = client.getServerVersion();
  await client.close();
  if (server?.name !== 'capstan' || server.version !== version) throw new Error(`another server answered: ${JSON.stringify(server)}`);
  if (!structuredContent?.workflows?.some((each) => each.name === 'setup-supabase')) throw new Error('the workflows are not there');
  if (said !== '') throw new Error(`standard error is not empty:\n${said}`);
  console.log(JSON.stringify({ version, tools: tools.length, firstAnswerSeconds: seconds }));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
